"""The link in a marketing mail: GET shows a page with a button, POST unsubscribes (RFC 8058, one click)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from app import unsubscribe_page
from app.access import SIGNED, PartsDep, state_of
from app.deletion_page import wants_json
from app.errors import NotFound
from app.forms import UNSUBSCRIBE
from app.models.consents import Unsubscribed
from app.parts import Parts
from app.problems import problems
from app.services.audit import By
from app.services.marketing import links, unsubscribing
from app.signals import GpcDep

router = APIRouter(tags=["privacy"])
PATH = UNSUBSCRIBE + "{token}"
PAGE = {"text/html": {"schema": {"type": "string"}}}
ANSWERS = problems(NotFound) | {200: {"content": PAGE, "description": "A page for people, or JSON by `Accept`"}}
ANSWERS[404]["content"] |= PAGE
Token = Annotated[str, Path(max_length=300, examples=["sot_dXNyX2V4YW1wbGU"])]


@router.get(
    PATH, operation_id="getUnsubscribePage", openapi_extra=SIGNED, response_model=Unsubscribed, responses=ANSWERS
)
async def get_unsubscribe_page(request: Request, parts: PartsDep, token: Token) -> Response:
    """What the link in a marketing mail leads to: a page with a button. It changes nothing, whoever fetches it."""
    known = links.recipient_of(parts.link_key, token) is not None
    return _answer(request, "ask" if known else "unknown")


@router.post(PATH, operation_id="unsubscribe", openapi_extra=SIGNED, response_model=Unsubscribed, responses=ANSWERS)
async def unsubscribe(request: Request, parts: PartsDep, gpc: GpcDep, token: Token) -> Response:
    """End marketing mail, at once: for a mail program's one click (RFC 8058), and for the page's button.

    It needs no cookie and no body; a form that comes is not looked at. Done again, it is answered alike.
    """
    recipient = links.recipient_of(parts.link_key, token)
    if recipient is None:
        return _answer(request, "unknown")
    await _unsubscribe(request, parts, recipient, gpc=gpc)
    return _answer(request, "done")


async def _unsubscribe(request: Request, parts: Parts, recipient: links.Recipient, *, gpc: bool) -> None:
    state = state_of(request)
    by = By("person", recipient.user_id, state["client"].network, state["request_id"])
    await unsubscribing.unsubscribe(parts.db, parts.audit, recipient, gpc=gpc, by=by, now=parts.clock())
    await parts.note_outside("consent_ended", f"{recipient.user_id}:marketing_mail")


def _answer(request: Request, state: str) -> Response:
    told: dict[str, Any] = {"headers": unsubscribe_page.HEADERS}
    if not wants_json(",".join(request.headers.getlist("accept"))):
        status = NotFound.status if state == "unknown" else 200
        return HTMLResponse(unsubscribe_page.page_of(state), status, **told)
    if state == "unknown":
        raise NotFound
    body = Unsubscribed(unsubscribed=state == "done").model_dump_json()
    return Response(body, media_type="application/json", **told)
