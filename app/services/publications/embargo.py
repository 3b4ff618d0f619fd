"""Until when a release must not be revealed: the first midnight of its day, in the earliest of its zones.

A day begins first at UTC+14 (Kiritimati). Where a plan names its zones, it is the earliest of those.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from app.models.base import rfc3339
from app.services.publications.times import on_day

EARLIEST = "Pacific/Kiritimati"


@dataclass(frozen=True)
class EmbargoProblem:
    """Why a publication must not go out then."""

    code: str
    detail: str
    not_before: datetime


def first_midnight(plan: Mapping[str, Any]) -> datetime:
    """The instant from which the plan's release may be revealed."""
    day = date.fromisoformat(plan["release_date"])
    return min(on_day(day, "00:00", zone).at for zone in plan["timezones"] or (EARLIEST,))


def embargo_problem(
    publication: Mapping[str, Any], plan: Mapping[str, Any] | None, at: datetime
) -> EmbargoProblem | None:
    """Why the publication must not go out at this instant, or none. `plan` is the one that it belongs to.

    Pure: asked when it is scheduled, and by the engine again right before it calls.
    """
    if plan is None or not plan["embargo"] or not publication.get("reveals_release"):
        return None
    earliest = first_midnight(plan)
    if at >= earliest:
        return None
    return EmbargoProblem("embargoed", f"The release may not be revealed before {rfc3339(earliest)}", earliest)
