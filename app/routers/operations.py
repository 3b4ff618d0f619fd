"""Operations: deferred work, visible."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, Security

from app import cursors
from app.access import BY_RESOURCE, Access, ClaimsDep, PartsDep, access_to, get_person, label_access
from app.db import Doc
from app.deps import PagingDep, WaitDep, answer_operation, content_tag, wait_for_end
from app.errors import (
    AssetNotFound,
    AssetNotReady,
    Conflict,
    Forbidden,
    InvalidCursor,
    InvalidInput,
    NotFound,
    Unauthenticated,
)
from app.models.operations import OperationOut, OperationPage, OperationState
from app.parts import Parts
from app.problems import problems
from app.services import cancelling, operations, retrying
from app.services.exports import store as exports
from app.services.inbox.eligibility import our_apps
from app.services.inbox.replies import REFUSED
from app.services.tokens import Claims, ClientClaims

router = APIRouter(tags=["operations"])
PATH = "/v1/labels/{label_id}/operations"
Reader = Annotated[Access, Security(label_access, scopes=["operations:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["operations:write"])]


@router.get(
    "/v1/operations/{operation_id}",
    operation_id="getOperation",
    openapi_extra=BY_RESOURCE,
    responses=problems(Forbidden, NotFound, Unauthenticated),
)
async def get_operation(
    request: Request, parts: PartsDep, claims: ClaimsDep, operation_id: str, wait_s: WaitDep, response: Response
) -> OperationOut:
    """One operation. With `Prefer: wait` the answer comes when it has ended, or when the time is over."""
    operation = await _need_own(request, parts, claims, operation_id)
    if wait_s:
        operation = await wait_for_end(parts, operation, wait_s)
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
    shown = OperationOut.of(operation)
    response.headers["ETag"] = content_tag(shown)
    return shown


@router.get(
    PATH, operation_id="listOperations", responses=problems(InvalidInput, InvalidCursor, NotFound, Unauthenticated)
)
async def list_operations(
    parts: PartsDep,
    access: Reader,
    paging: PagingDep,
    state: Annotated[OperationState | None, Query(description="Only those that stand so")] = None,
) -> OperationPage:
    """The label's operations, newest first."""
    place = f"operations:{access.label_id}:{state}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await operations.page_of(parts.db, access.label_id, state=state, before=before, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return OperationPage(data=[OperationOut.of(doc) for doc in page], next_cursor=following)


@router.post(
    PATH + "/{operation_id}/retry",
    operation_id="retryOperation",
    status_code=202,
    responses=problems(*REFUSED.values(), Conflict, AssetNotFound, AssetNotReady, Forbidden, NotFound, Unauthenticated)
    | {200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}},
)
async def retry_operation(
    parts: PartsDep, access: Writer, operation_id: str, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Do it again, as a person decides.

    Of one whose outcome is `unknown` it may have happened: then it happens twice.
    """
    operation = await operations.need(parts.db, access.label_id, operation_id)
    await retrying.begin_anew(parts.db, operation, by=access.by, app_ids=our_apps(parts.settings), now=parts.clock())
    operation = await operations.need(parts.db, access.label_id, operation_id)
    return await answer_operation(parts, operation, wait_s, response)


@router.post(
    PATH + "/{operation_id}/cancel",
    operation_id="cancelOperation",
    responses=problems(Conflict, Forbidden, NotFound, Unauthenticated),
)
async def cancel_operation(parts: PartsDep, access: Writer, operation_id: str) -> OperationOut:
    """End a reply or an action on a comment that has not begun. One that has begun may have happened: `409`."""
    operation = await operations.need(parts.db, access.label_id, operation_id)
    await cancelling.cancel(parts.db, operation, now=parts.clock())
    return OperationOut.of(await operations.need(parts.db, access.label_id, operation_id))


async def _need_own(request: Request, parts: Parts, claims: Claims | ClientClaims, operation_id: str) -> Doc:
    """The operation, if it is of a label that the caller works for, or makes the caller's own export.

    Raises `NotFound`, `Forbidden`, `Unauthenticated`.

    Whoever may not see it learns nothing of whether it is there: a client's label is known, a person's session is asked
    for in any case.
    """
    if isinstance(claims, ClientClaims):
        await access_to(request, parts, claims, claims.label_id, "operations:read")
        return await operations.need(parts.db, claims.label_id, operation_id)
    operation = await operations.find_anywhere(parts.db, operation_id)
    if operation is None or operation["label_id"] is None:
        person = await get_person(request, parts, claims)
        if operation is None or not await exports.is_of(parts.db, operation, person.user_id):
            raise NotFound
        return operation
    await access_to(request, parts, claims, operation["label_id"], "operations:read")
    return operation
