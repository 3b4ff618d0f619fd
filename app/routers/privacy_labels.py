"""A label's requests of fans who want to be erased."""

from typing import Annotated

from fastapi import APIRouter, Path, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.db import Doc
from app.deps import PagingDep
from app.errors import Conflict, InvalidCursor, InvalidInput, NotFound
from app.models.fan_requests import FanErasureCreate, FanErasureRefuse, FanRequestOut, FanRequestPage
from app.parts import Parts
from app.problems import problems
from app.routers.privacy_me import signed
from app.services.privacy import fan_requests

router = APIRouter(prefix="/v1/labels/{label_id}/privacy-requests", tags=["privacy"])
Reader = Annotated[Access, Security(label_access, scopes=["privacy:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["privacy:write"])]
FanRequestId = Annotated[str, Path(max_length=64, examples=["prq_01k9zv3t5w8x2m4c6d7f9g1h3j"])]


@router.get("", operation_id="listFanRequests", responses=problems(InvalidInput, InvalidCursor))
async def list_fan_requests(parts: PartsDep, access: Reader, paging: PagingDep) -> FanRequestPage:
    """The label's requests of fans, the newest first."""
    place = f"fan-requests:{access.label_id}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await fan_requests.page_of(parts.db, access.label_id, before=before, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return FanRequestPage(data=[_shown(parts, one) for one in page], next_cursor=following)


@router.post("", operation_id="eraseFan", status_code=202, responses=problems(InvalidInput, NotFound))
async def erase_fan(parts: PartsDep, access: Writer, body: FanErasureCreate) -> FanRequestOut:
    """Erase everything that the label has of a fan: conversations, messages, notes, comments. Needs a fresh log-in.

    What they write later is a new conversation. Asked again while it runs, it is the same request; where nothing of
    them is here, it is none.
    """
    fan = fan_requests.fan_of(body.provider_id, body.handle)
    request = await fan_requests.open_by_label(
        parts.db, parts.audit, access.label_id, fan, by=access.by, now=parts.clock()
    )
    await parts.bell.ring(request["operation_id"])
    return _shown(parts, request)


@router.get("/{request_id}", operation_id="getFanRequest", responses=problems(NotFound))
async def get_fan_request(parts: PartsDep, access: Reader, request_id: FanRequestId) -> FanRequestOut:
    """One request of a fan's, with its receipt once it is done."""
    return _shown(parts, await fan_requests.need(parts.db, access.label_id, request_id))


@router.post(
    "/{request_id}/accept", operation_id="acceptFanRequest", status_code=202, responses=problems(Conflict, NotFound)
)
async def accept_fan_request(parts: PartsDep, access: Writer, request_id: FanRequestId) -> FanRequestOut:
    """Do at once what a fan asked for. Needs a fresh log-in."""
    request = await fan_requests.execute(
        parts.db, parts.audit, access.label_id, request_id, by=access.by, now=parts.clock()
    )
    await parts.bell.ring(request["operation_id"])
    return _shown(parts, request)


@router.post(
    "/{request_id}/refuse", operation_id="refuseFanRequest", responses=problems(InvalidInput, Conflict, NotFound)
)
async def refuse_fan_request(
    parts: PartsDep, access: Writer, request_id: FanRequestId, body: FanErasureRefuse
) -> FanRequestOut:
    """Refuse a fan's request, for a reason that the law knows. Needs a fresh log-in."""
    request = await fan_requests.refuse(
        parts.db, parts.audit, access.label_id, request_id, reason=body.reason, by=access.by, now=parts.clock()
    )
    return _shown(parts, request)


def _shown(parts: Parts, request: Doc) -> FanRequestOut:
    return FanRequestOut.of(request, signed(parts, request))
