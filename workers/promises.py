"""What a worker does for the promises by itself: measure what is due, and attest once a day."""

from app.logs import get_logger
from app.services.promises.attesting import attest
from app.services.promises.measuring import measure_due
from app.services.promises.promise import Look
from app.services.tokens import load_signer
from workers.jobs import Parts

log = get_logger(__name__)
EVERY_S = 20


async def look_after(parts: Parts) -> None:
    """One round."""
    for operation_id in await measure_due(Look(parts.db, parts.settings, parts.clock(), parts.policies)):
        await parts.bell.ring(operation_id)
    try:
        signer = load_signer(parts.settings.jwt_key_file, issuer=parts.settings.public_url)
    except (OSError, ValueError) as exc:
        log.warning("no attestation: the key that signs cannot be read", reason=type(exc).__name__)
        return
    await attest(parts.db, signer, now=parts.clock())
