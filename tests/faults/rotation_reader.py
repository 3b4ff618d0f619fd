"""A process that reads and refreshes sealed tokens, as API and workers do, until it is told to end (SIGTERM).

    python -m tests.faults.rotation_reader REPORT SEED CONNECTIONS

It says in heartbeats which keys it holds. Every figure goes to the file REPORT: `{reads, refreshed, failed}`.
"""

import asyncio
import json
import random
import signal
import sys
from pathlib import Path

from app.clock import utc_now
from app.db import Database, Doc
from app.services import heartbeat
from app.services.vault.envelope import SealBroken, unseal
from app.services.vault.private_ring import PrivateRing, open_private_ring
from app.services.vault.ring import PublicRing, RingUnavailable
from app.services.vault.rings import open_public_ring
from app.services.vault.secrets import binding_of_stored, put_secret
from app.settings import WorkerSettings, load

PAUSE_S = 0.01
A_REFRESH_EVERY = 20
"""So many reads."""
PURPOSE = "access_token"


def connection_of(number: int) -> Doc:
    """A connection; each is a label's of its own."""
    return {"_id": f"con_{number}", "label_id": f"lbl_{number}", "provider": "instagram"}


async def read(db: Database, ring: PrivateRing, connection: Doc) -> str | None:
    """What is wrong with a connection's token, if anything is. None is there while it is being exchanged."""
    key = {"label_id": connection["label_id"], "connection_id": connection["_id"], "purpose": PURPOSE}
    stored = await db.open("secrets").find_one(key)
    if stored is None:
        return None
    try:
        token = await unseal(ring, stored["envelope"], binding_of_stored(stored))
    except SealBroken:
        return f"{connection['_id']} does not open, under {stored['envelope']['key_id']}"
    return None if token.startswith(f"token of {connection['_id']}, ") else f"{connection['_id']} opens as another's"


async def refresh(db: Database, ring: PublicRing, connection: Doc, number: int) -> int:
    """Put another token in its place, as a refresh does; 0 when the ring says to try again."""
    token = f"token of {connection['_id']}, refreshed {number}"
    try:
        await put_secret(db, ring, token, connection=connection, purpose=PURPOSE, now=utc_now())
    except RingUnavailable:
        return 0
    return 1


async def main(seed: int, count: int) -> Doc:
    """Read until told to end; the figures."""
    settings, rng, stop = load(WorkerSettings), random.Random(seed), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    db = Database(settings.mongodb_url.get_secret_value())
    public, private = open_public_ring(settings), open_private_ring(settings)
    figures: Doc = {"reads": 0, "refreshed": 0, "failed": []}
    while not stop.is_set():
        if figures["reads"] % 50 == 0:
            await heartbeat.beat(db, f"wrk_{seed}", key_ids=private.key_ids(), now=utc_now())
        connection = connection_of(rng.randrange(count))
        if figures["reads"] % A_REFRESH_EVERY == A_REFRESH_EVERY - 1:
            figures["refreshed"] += await refresh(db, public, connection, figures["reads"])
        trouble = await read(db, private, connection)
        figures["reads"] += 1
        figures["failed"] += [trouble] if trouble else []
        await asyncio.sleep(PAUSE_S)
    db.close()
    return figures


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asyncio.run(main(int(sys.argv[2]), int(sys.argv[3])))))
