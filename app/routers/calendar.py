"""The calendar: what is published when, what is meant to be, and which times are free."""

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.deps import PagingDep
from app.errors import FieldError, InvalidCursor, InvalidInput
from app.models.base import Instant
from app.models.slots import CalendarItem, CalendarPage
from app.problems import problems
from app.services.labels import labels
from app.services.publications import calendar
from app.services.publications.times import on_day

router = APIRouter(prefix="/v1/labels/{label_id}/calendar", tags=["publishing"])
Reader = Annotated[Access, Security(label_access, scopes=["publishing:read"])]
LONGEST, USUAL = timedelta(days=100), timedelta(days=31)
Edge = Instant | date


@router.get("", operation_id="getCalendar", responses=problems(InvalidInput, InvalidCursor))
async def get_calendar(
    parts: PartsDep,
    access: Reader,
    paging: PagingDep,
    since: Annotated[Edge | None, Query(alias="from", description="A day of the label's zone, or an instant")] = None,
    until: Annotated[Edge | None, Query(alias="to", description="Up to, and without; at most 100 days later")] = None,
    connection_id: Annotated[str | None, Query(max_length=64, description="Only what goes to this account")] = None,
) -> CalendarPage:
    """What is or is meant to be published in a time, in order, and the times of slots that are still free.

    Left out, `from` is now and `to` 31 days later. What was cancelled is not in it.
    """
    now, label = parts.clock(), await labels.need_label(parts.db, access.label_id)
    begin = _instant(since, label["timezone"]) or now
    end = _instant(until, label["timezone"]) or begin + USUAL
    if not timedelta() < end - begin <= LONGEST:
        raise InvalidInput(errors=(FieldError("/query/from", f"must be before `to`, by at most {LONGEST.days} days"),))
    place = f"calendar:{access.label_id}:{begin}:{end}:{connection_id}" if since else f"calendar:{access.label_id}:now"
    found = await calendar.page_of(
        parts.db,
        access.label_id,
        since=begin,
        until=end,
        connection_id=connection_id,
        timezone=label["timezone"],
        after=cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor),
        limit=paging.limit,
        now=now,
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["at", "key"], limit=paging.limit)
    shown = [CalendarItem(**{name: one[name] for name in CalendarItem.model_fields}) for one in page]
    return CalendarPage(data=shown, next_cursor=following)


def _instant(edge: Edge | None, timezone: str) -> datetime | None:
    """An end of the time: of a day, its beginning in the label's zone. Raises `InvalidInput`."""
    if edge is None or isinstance(edge, datetime):
        found = edge
    else:
        found = on_day(edge, "00:00", timezone).at if 2000 <= edge.year < 2100 else None
    if edge is not None and (found is None or not 2000 <= found.year < 2100):
        raise InvalidInput(errors=(FieldError("/query/from", "must be in this century"),))
    return found
