"""What came of a release plan: the media that its publications became, and what they come to together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.db import Database, Doc
from app.models.insight_metrics import MEDIA, MEDIA_METRICS
from app.services.insights import store
from app.services.publications import plans
from app.services.publishing.queueing import targets_of


@dataclass(frozen=True)
class Total:
    """A metric over all media that have it. `missing`: those that could, and have no figure yet."""

    metric: str
    value: int | float | None
    media: int
    missing: int
    reason: Literal["not_additive", "media_missing"] | None


@dataclass(frozen=True)
class Campaign:
    """A plan's targets, each with the media that it became if that is known, and the totals."""

    publications: int
    targets: tuple[tuple[Doc, Doc | None], ...]
    totals: tuple[Total, ...]


async def campaign(db: Database, label_id: str, plan_id: str, *, now: datetime) -> Campaign:
    """What came of a plan. Raises `NotFound`."""
    plan = await plans.need_plan(db, label_id, plan_id)
    publications = await plans.publications_of(db, label_id, plan["_id"])
    by_publication = await targets_of(db, label_id, [one["_id"] for one in publications])
    targets = [target for one in publications for target in by_publication.get(one["_id"], [])]
    ids = [str(target["provider_id"]) for target in targets if target.get("provider_id")]
    found = {
        (one["connection_id"], one["provider_id"]): one for one in await store.of_provider(db, label_id, ids, now=now)
    }
    pairs = tuple((target, found.get((target["connection_id"], target.get("provider_id")))) for target in targets)
    out = [media for target, media in pairs if target["state"] == "published"]
    return Campaign(len(publications), pairs, totals_of(out))


def totals_of(media: Sequence[Doc | None]) -> tuple[Total, ...]:
    """What the media come to; one that no look has found yet is missing everywhere."""
    unseen = sum(one is None for one in media)
    names = {
        metric.name for one in media if one and one["product"] in MEDIA for metric in MEDIA[one["product"]].metrics
    }
    return tuple(_total(name, media, unseen) for name in sorted(names) if MEDIA_METRICS[name].kind != "other")


def _total(name: str, media: Sequence[Doc | None], unseen: int) -> Total:
    could = [one for one in media if one and MEDIA.get(one["product"]) and MEDIA[one["product"]].named(name)]
    told = [one["latest"].get(name, {}).get("value") for one in could]
    known = [value for value in told if value is not None]
    missing = unseen + len(told) - len(known)
    if MEDIA_METRICS[name].kind == "people":
        return Total(name, None, len(known), missing, "not_additive")
    return Total(name, sum(known) if known else None, len(known), missing, "media_missing" if missing else None)
