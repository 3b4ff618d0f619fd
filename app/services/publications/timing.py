"""When a publication is meant to be published: by an instant, by a local time, or by its plan's date."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from app.db import Doc
from app.errors import FieldError, InvalidInput
from app.models.publications import TIMING, TimeRule
from app.services.publications import times

SETS_TIME = ("scheduled_at", "local_time", "timezone", "plan_id", "offset")
YEARS = (2000, 2100)
NO_TIME: Doc = dict.fromkeys(TIMING)


def timing(publication: Mapping[str, Any], given: Mapping[str, Any], *, plan: Doc | None, timezone: str) -> Doc:
    """The stored time of a publication, of which `given` was asked for just now.

    `plan` is the one it belongs to then, `timezone` the label's. Another zone alone keeps the local time. Raises
    `InvalidInput`.
    """
    merged = {**publication, **given}
    zone: str = merged.get("timezone") or timezone
    if given.get("scheduled_at") and given.get("local_time"):
        raise _refused("/local_time", "must not be there together with scheduled_at")
    if merged.get("offset"):
        return _by_plan(given, merged["offset"], plan, timezone)
    if given.get("scheduled_at"):
        at: datetime = given["scheduled_at"]
        if not YEARS[0] <= at.year < YEARS[1]:
            raise _refused("/scheduled_at", "must be in this century")
        return _stored(at, zone, times.local_of(at, zone), None)
    if given.get("local_time"):
        return by_local_time(given["local_time"], zone)
    if {"scheduled_at", "local_time"} & given.keys() or not publication.get("local_time"):
        return NO_TIME | {"timezone": merged.get("timezone")}
    if zone == publication["timezone"]:
        return {name: publication.get(name) for name in TIMING}  # also the second of two, which only an instant names
    return by_local_time(publication["local_time"], zone)


def by_local_time(local_time: str, timezone: str, *, pointer: str = "/local_time") -> Doc:
    """The stored time of a local one. Raises `InvalidInput`."""
    local = datetime.fromisoformat(local_time)
    if not YEARS[0] <= local.year < YEARS[1]:
        raise _refused(pointer, "must be in this century")
    found = times.resolve(local, timezone)
    return _stored(found.at, timezone, local_time, found.rule)


def of_plan(offset: Mapping[str, Any], plan: Doc, *, timezone: str) -> Doc:
    """The stored time of what hangs on a plan by this offset. `timezone` is the label's."""
    zone: str = offset.get("timezone") or timezone
    day = times.days_after(date.fromisoformat(plan["release_date"]), offset["days"])
    return by_local_time(f"{day.isoformat()}T{offset['time']}", zone, pointer="/offset")


def _by_plan(given: Mapping[str, Any], offset: Mapping[str, Any], plan: Doc | None, timezone: str) -> Doc:
    if plan is None:
        raise _refused("/offset", "needs the plan_id of a release plan")
    if given.get("scheduled_at") or given.get("local_time"):
        raise _refused("/offset", "must not be there together with a time of its own")
    return of_plan(offset, plan, timezone=timezone)


def _stored(at: datetime, timezone: str, local_time: str, rule: TimeRule | None) -> Doc:
    return {"scheduled_at": at, "timezone": timezone, "local_time": local_time, "time_rule": rule}


def _refused(pointer: str, detail: str) -> InvalidInput:
    return InvalidInput(errors=(FieldError(pointer, detail),))
