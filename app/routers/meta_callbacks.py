"""What Meta posts when a person removes the app or asks for deletion, and the page that tells that person of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from app import deletion_page
from app.access import ANYBODY, SIGNED, PartsDep, state_of
from app.errors import InvalidInput, InvalidSignedRequest, NotFound
from app.forms import DATA_DELETION, DEAUTHORIZE
from app.models.deletion import Deauthorized, DeletionRequested, DeletionStatus, SignedForm
from app.models.oauth import FORM
from app.parts import Parts
from app.problems import problems
from app.services.audit import By
from app.services.connections import callbacks
from app.services.webhooks import signed_request

router = APIRouter(tags=["webhooks"])
TAKES: dict[str, Any] = SIGNED | {
    "requestBody": {"content": {FORM: {"schema": {"$ref": "#/components/schemas/SignedForm"}}}}
}
PAGE = {"text/html": {"schema": {"type": "string"}}}
ANSWERS = problems(NotFound) | {200: {"content": PAGE, "description": "How far it is"}}
ANSWERS[404]["content"] |= PAGE


@router.post(
    DEAUTHORIZE,
    operation_id="receiveMetaDeauthorization",
    openapi_extra=TAKES,
    responses=problems(InvalidInput, InvalidSignedRequest),
)
async def receive_meta_deauthorization(request: Request, parts: PartsDep, body: SignedForm) -> Deauthorized:
    """End every connection of a person who has removed the app (Meta, Facebook Login; Instagram Business Login).

    Somebody whom we do not know is answered alike, and so is the same request again.
    """
    await _receive(request, parts, body, "deauthorized")
    return Deauthorized(received=True)


@router.post(
    DATA_DELETION,
    operation_id="receiveMetaDataDeletion",
    openapi_extra=TAKES,
    responses=problems(InvalidInput, InvalidSignedRequest),
)
async def receive_meta_data_deletion(request: Request, parts: PartsDep, body: SignedForm) -> DeletionRequested:
    """Begin to delete what is there of a person, and tell Meta where they can see how far it is.

    Somebody whom we do not know gets a page too. The same request again gets the same code, and so does another one
    while the first is being worked off.
    """
    code = await _receive(request, parts, body, "data_deletion")
    return DeletionRequested(url=f"{parts.settings.public_url}/data-deletion/{code}", confirmation_code=code)


@router.get(
    "/data-deletion/{code}",
    operation_id="getDataDeletion",
    openapi_extra=ANYBODY,
    response_model=DeletionStatus,
    responses=ANSWERS,
)
async def get_data_deletion(
    request: Request,
    parts: PartsDep,
    code: Annotated[str, Path(examples=["K7M2Q9XW4TB6ZD3F5GH7"])],
) -> Response:
    """How far a deletion is, for the person who asked for it: a page, or JSON where `Accept` prefers that.

    The code is all that it needs, and the answer names nobody.
    """
    found = await callbacks.get_request(parts.db, code, now=parts.clock())
    status = deletion_page.status_of(found, await callbacks.progress_of(parts.db, found)) if found else None
    if not deletion_page.wants_json(",".join(request.headers.getlist("accept"))):
        page = deletion_page.page_of(status)
        return HTMLResponse(page, 200 if status else NotFound.status, headers=deletion_page.HEADERS)
    if status is None:
        raise NotFound
    return Response(status.model_dump_json(), media_type="application/json", headers=deletion_page.HEADERS)


async def _receive(request: Request, parts: Parts, body: SignedForm, kind: callbacks.Kind) -> str:
    """Do what the request asks for; its confirmation code. Raises `InvalidSignedRequest`."""
    now = parts.clock()
    signed = signed_request.verify(body.signed_request, parts.app_secrets, now=now)
    by = By("system", "soundops", None, state_of(request)["request_id"])
    return await callbacks.receive(parts.db, parts.audit, parts.callback_key, signed, kind=kind, by=by, now=now)
