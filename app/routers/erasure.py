"""How far an erasure is, for whoever has its code."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from app import deletion_page, erasure_page
from app.access import ANYBODY, PartsDep
from app.errors import NotFound
from app.models.privacy_requests import ErasureStatus
from app.problems import problems
from app.routers.privacy_me import signed
from app.services.privacy import erasure, requests

router = APIRouter(tags=["privacy"])
PAGE = {"text/html": {"schema": {"type": "string"}}}
ANSWERS = problems(NotFound) | {200: {"content": PAGE, "description": "How far it is"}}
ANSWERS[404]["content"] |= PAGE


@router.get(
    "/erasure/{code}",
    operation_id="getErasure",
    openapi_extra=ANYBODY,
    response_model=ErasureStatus,
    responses=ANSWERS,
)
async def get_erasure(
    request: Request,
    parts: PartsDep,
    code: Annotated[str, Path(examples=["K7M2Q9XW4TB6ZD3F5GH7ABCD"])],
) -> Response:
    """How far an erasure is, and its receipt: a page, or JSON where `Accept` prefers that.

    The code of the mail is all that it needs, and the answer names nobody.
    """
    found = await requests.by_code(parts.db, erasure.hash_of(code), now=parts.clock())
    status = None
    if found is not None:
        names = ("kind", "state", "received_at", "due_at", "closed_at")
        erases_at = found["received_at"] + erasure.GRACE if found["state"] == "waiting" else None
        shown = {name: found[name] for name in names} | {"erases_at": erases_at}
        status = ErasureStatus(**shown, receipt=signed(parts, found))
    if not deletion_page.wants_json(",".join(request.headers.getlist("accept"))):
        page = erasure_page.page_of(status)
        return HTMLResponse(page, 200 if status else NotFound.status, headers=deletion_page.HEADERS)
    if status is None:
        raise NotFound
    return Response(status.model_dump_json(), media_type="application/json", headers=deletion_page.HEADERS)
