"""`POST /v1/webhooks/stripe`: a plain ASGI route in front of the router.

Verified over the raw bytes, written down, durable, and only then `200`. When the store is away: `503`, and Stripe
delivers again. Whatever is not one of Stripe's deliveries to us is a `400`, and which of its faults it was is not told.
"""

from starlette.types import Receive, Scope, Send

from app.errors import InvalidDelivery
from app.logs import get_logger
from app.parts import Parts
from app.receive import read_body
from app.services.billing import stripe_events
from app.services.billing.signature import is_signed
from app.services.billing.stripe_events import NotAnEvent, StripeEvent

log = get_logger(__name__)
PATH = "/v1/webhooks/stripe"
AT_MOST = 1024 * 1024
SIGNATURE = b"stripe-signature"


async def receive_event(parts: Parts, scope: Scope, receive: Receive, send: Send) -> None:
    """Take a delivery in. Raises `Problem`."""
    body = await read_body(receive, scope["headers"], at_most=AT_MOST)
    signatures = [value for name, value in scope["headers"] if name == SIGNATURE]
    event = _verified(parts, body, signatures)
    if await stripe_events.record(parts.db, [event], found_by="webhook", now=parts.clock()):
        await parts.bell.ring_billing()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _verified(parts: Parts, body: bytes, signatures: list[bytes]) -> StripeEvent:
    """The event, if it is signed for us, now, and of our mode. Raises `InvalidDelivery`."""
    secrets = [secret.encode() for secret in parts.settings.stripe_secrets]
    if not is_signed(body, signatures, secrets, now=parts.clock()):
        raise InvalidDelivery
    try:
        event = stripe_events.parse(body)
    except NotAnEvent as exc:
        raise InvalidDelivery from exc
    if event.live != (parts.settings.environment == "production"):
        log.warning("an event of the other mode was refused: an endpoint at Stripe is set up wrongly", live=event.live)
        raise InvalidDelivery
    return event
