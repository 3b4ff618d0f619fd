"""Our support's access to a label: opened by staff for a reason, seen and ended by the label's owners."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, FreshPersonDep, LabelId, PartsDep, label_access
from app.deps import PagingDep, content_tag
from app.errors import Conflict, Forbidden, InvalidCursor, InvalidInput, NotFound, ReauthenticationRequired
from app.models.support import SupportAccessCreate, SupportAccessOut, SupportAccessPage
from app.problems import problems
from app.services import support
from app.services.audit import By

router = APIRouter(prefix="/v1/labels/{label_id}/support-access", tags=["support"])
Reader = Annotated[Access, Security(label_access, scopes=["audit:read"])]
Ender = Annotated[Access, Security(label_access, scopes=["support:end"])]


@router.post(
    "",
    operation_id="openSupportAccess",
    status_code=201,
    responses=problems(InvalidInput, Conflict, Forbidden, NotFound, ReauthenticationRequired),
)
async def open_support_access(
    parts: PartsDep, person: FreshPersonDep, label_id: LabelId, body: SupportAccessCreate, response: Response
) -> SupportAccessOut:
    """Look into a label, as a person of our support: for a reason that its owners read, for 5 to 60 minutes.

    It needs a second factor and a log-in of the last minutes, reaches no messages or comments, and changes nothing.
    The opening and every use are in the label's audit log. For everybody else there is nothing here.
    """
    grant = await support.open_grant(
        parts.db,
        parts.audit,
        label_id=label_id,
        reason=body.reason,
        minutes=body.minutes,
        by=By("support", person.user_id, person.by.network, person.by.request_id),
        now=parts.clock(),
    )
    shown = SupportAccessOut.of(grant)
    response.headers["ETag"] = content_tag(shown)
    return shown


@router.get("", operation_id="listSupportAccess", responses=problems(InvalidInput, InvalidCursor))
async def list_support_access(parts: PartsDep, access: Reader, paging: PagingDep) -> SupportAccessPage:
    """When our support may look or has looked into the label in the last 12 months, and why; newest first."""
    place = f"support:{access.label_id}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await support.page_of_grants(
        parts.db, access.label_id, before=before, limit=paging.limit, now=parts.clock()
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return SupportAccessPage(data=[SupportAccessOut.of(grant) for grant in page], next_cursor=following)


@router.delete("/{grant_id}", operation_id="endSupportAccess", status_code=204, responses=problems(NotFound))
async def end_support_access(parts: PartsDep, access: Ender, grant_id: str) -> None:
    """End support's access at once. One that has ended already stays as it is."""
    await support.end_grant(
        parts.db, parts.audit, label_id=access.label_id, grant_id=grant_id, by=access.by, now=parts.clock()
    )
