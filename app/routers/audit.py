"""The audit log: who did what, on what, when and from where. Nothing here writes."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Security

from app import cursors
from app.access import Access, PartsDep, PersonDep, label_access
from app.deps import PagingDep
from app.errors import InvalidCursor, InvalidInput
from app.models.audit import ActionName, ActorId, AuditIntegrity, AuditPage, AuditRowOut
from app.models.base import Instant
from app.parts import Parts
from app.problems import problems
from app.services.audit_reading import Filters, check_chain, page_of

router = APIRouter(prefix="/v1", tags=["audit"])
PATH = "/labels/{label_id}/audit-log"
Reader = Annotated[Access, Security(label_access, scopes=["audit:read"])]


async def get_filters(
    actor: Annotated[ActorId | None, Query(description="Only what this account or API client did")] = None,
    action: Annotated[ActionName | None, Query(description="Only this")] = None,
    since: Annotated[Instant | None, Query(alias="from", description="From this instant on")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Before this instant")] = None,
) -> Filters:
    """Which rows are asked for."""
    return Filters(actor, action, since, until)


FiltersDep = Annotated[Filters, Depends(get_filters)]


@router.get(PATH, operation_id="listAuditLog", responses=problems(InvalidInput, InvalidCursor))
async def list_audit_log(parts: PartsDep, access: Reader, paging: PagingDep, filters: FiltersDep) -> AuditPage:
    """What was done in the label in the last 12 months, newest first."""
    return await _page(parts, access.label_id, access.label_id, paging, filters)


@router.get(PATH + "/integrity", operation_id="checkAuditLog")
async def check_audit_log(parts: PartsDep, access: Reader) -> AuditIntegrity:
    """Check every row of the label's log: whether any was changed, moved, added or taken out."""
    found = await check_chain(
        parts.db, parts.audit.key, label_id=access.label_id, chain=access.label_id, now=parts.clock()
    )
    return AuditIntegrity(
        intact=found.problem is None,
        checked=found.checked,
        first_broken_seq=found.first_broken_seq,
        problem=found.problem,
    )


@router.get("/me/audit-log", operation_id="listOwnAuditLog", responses=problems(InvalidInput, InvalidCursor))
async def list_own_audit_log(parts: PartsDep, person: PersonDep, paging: PagingDep, filters: FiltersDep) -> AuditPage:
    """What happened to the caller's own account in the last 12 months, newest first."""
    return await _page(parts, None, person.user_id, paging, filters)


async def _page(parts: Parts, label_id: str | None, chain: str, paging: PagingDep, filters: Filters) -> AuditPage:
    asked = [filters.actor, filters.action, _told(filters.since), _told(filters.until)]
    place = f"audit:{label_id}:{chain}:{asked}"
    before = cursors.decode(parts.cursor_key, place, paging.cursor)[0] if paging.cursor is not None else None
    found = await page_of(
        parts.db,
        label_id=label_id,
        chain=chain,
        filters=filters,
        before=before,
        limit=paging.limit,
        now=parts.clock(),
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["seq"], limit=paging.limit)
    return AuditPage(data=[AuditRowOut.of(row) for row in page], next_cursor=following)


def _told(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
