"""One look at an account's insights: its budget, what Meta has refused in it, and how a reading becomes figures."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from app.clients import graph_insights as meta
from app.clients.graph_call import At
from app.clients.graph_insights import Figure, Told
from app.db import Database, Doc
from app.models.insight_metrics import DAILY, Metric, Table
from app.services.insights.merging import known, lacking
from app.services.insights.trouble import PermissionLost

MOST_READS = 60
"""Of one look; each is up to four calls."""
LASTS = timedelta(seconds=20)
"""Within the time that an operation may take; what is left over is read next."""
QUIET_AT_PERCENT = 75
"""From this share of the account's limit on, the calls are left to what people wait for."""


@dataclass
class Look:
    """One look: where it calls, its budget, and what came of it."""

    db: Database
    connection: Doc
    at: At
    now: datetime
    asked_at: datetime
    """When it was asked for: what was listed since then belongs to it."""
    reads: int = 0
    permitted: bool = False
    """Whether Meta has shown figures in this look: only then are those that are missing no lost permission."""
    refused: dict[str, set[str]] = field(default_factory=dict)
    """By the table's subject, what Meta did not take: it is not asked for again in this look."""
    found: dict[str, int] = field(default_factory=lambda: {"days": 0, "media": 0, "figures": 0})
    ends_at_s: float = field(default_factory=lambda: asyncio.get_running_loop().time() + LASTS.total_seconds())

    def may_read(self) -> bool:
        """Whether one more reading is in the budget; it is counted."""
        late = asyncio.get_running_loop().time() > self.ends_at_s
        self.reads += 1
        return self.reads <= MOST_READS and not late and not self.is_quiet()

    def is_quiet(self) -> bool:
        """Whether Meta wants calm for this account, or has little left for it."""
        used = self.at.host.usage_percent(self.at.account_id) or 0
        return used >= QUIET_AT_PERCENT or self.at.host.pause_left_s(self.at.account_id) > 0

    async def read(
        self, table: Table, node: str, *, first: date | None = None, last: date | None = None
    ) -> dict[str, Told]:
        """What Meta tells of the table's metrics. Raises `GraphError` as `read` there, `PermissionLost`."""
        refused = self.refused.setdefault(table.subject, set())
        asked = [metric for metric in table.metrics if metric.name not in refused]
        told = await meta.read(self.at, node, asked, first=first, last=last) if asked else {}
        everywhere = {metric.name for metric in asked if not metric.alone}
        refused |= {name for name, one in told.items() if one.lack == "refused" and name in everywhere}
        self.permitted |= any(one.figures or one.lack == "no_data" for one in told.values())
        if not self.permitted and any(one.lack == "too_few_viewers" for one in told.values()):
            if not await self.can_read():
                raise PermissionLost
            self.permitted = True
        return told | {name: Told(lack="refused") for name in refused}

    async def can_read(self) -> bool:
        """Whether the account's own figures can be read.

        For too few viewers and for a lost permission Meta has the same code, and of what is gone it says the same as of
        an account that is unlinked.
        """
        probe: Metric = DAILY[self.connection["network"]][0].metrics[0]
        return self.permitted or await meta.may_read(self.at, probe)

    def reading(self, table: Table, told: Told, figures: Sequence[Figure], *, settled: bool) -> Doc:
        """A figure as it is kept, or why there is none."""
        stamp: dict[str, Any] = {"as_of": self.now, "source": table.source, "api_version": self.at.host.version}
        if figures:
            return known(figures[0], **stamp, settled=settled)
        return lacking(told.lack or "no_data", **stamp)

    def readings(self, table: Table, told: Mapping[str, Told], *, settled: bool) -> dict[str, Doc]:
        """The figures of one day or one media, by our names."""
        return {name: self.reading(table, one, one.figures, settled=settled) for name, one in told.items()}
