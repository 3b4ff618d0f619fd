"""An envelope that does not open: somebody moved or changed it, or its key is gone. Never silent."""

from datetime import datetime

from prometheus_client import Counter

from app.db import Database
from app.logs import get_logger
from app.services.events import Event, append

log = get_logger(__name__)
BROKEN = Counter("vault_envelopes_broken_total", "Openings of a sealed secret that failed")


async def alarm(
    db: Database, *, label_id: str, connection_id: str, secret_id: str, key_id: str, job: str, now: datetime
) -> None:
    """Tell the label by an event, once for this secret and key; count it, and log an error each time."""
    BROKEN.inc()
    where = {"label": label_id, "connection": connection_id, "record": secret_id, "key": key_id}
    log.error("a sealed token does not open", **where, job=job)
    key = f"vault:{secret_id}:{key_id}:broken"
    await append(db, [Event(label_id, key, "vault.envelope_broken", connection_id, now)])
