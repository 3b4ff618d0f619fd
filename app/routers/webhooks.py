"""Meta's handshake. Deliveries themselves are taken in front of the router: `app/meta_webhook.py`."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse

from app.access import SIGNED, PartsDep
from app.errors import Forbidden, InvalidInput
from app.meta_webhook import PATH
from app.problems import problems

router = APIRouter(tags=["webhooks"])


@router.get(
    PATH,
    operation_id="verifyMetaWebhook",
    openapi_extra=SIGNED,
    response_class=PlainTextResponse,
    responses=problems(InvalidInput, Forbidden),
)
async def verify_meta_webhook(
    parts: PartsDep,
    mode: Annotated[str, Query(alias="hub.mode", max_length=40, description="`subscribe`")],
    verify_token: Annotated[str, Query(alias="hub.verify_token", max_length=200, description="As set up at Meta")],
    challenge: Annotated[
        str, Query(alias="hub.challenge", max_length=64, pattern=r"^[0-9]+$", description="What the answer repeats")
    ],
) -> PlainTextResponse:
    """Answer the challenge of a handshake that names our verify token (Meta, Webhooks, 2026-02)."""
    ours = parts.settings.meta_verify_token.get_secret_value()
    if mode != "subscribe" or not hmac.compare_digest(verify_token.encode(), ours.encode()):
        raise Forbidden("The verify token is not ours")
    return PlainTextResponse(challenge)
