"""The rules' loop: whichever worker looks first at a label has its lease; the others look at other labels."""

import asyncio

from app.services.rules import running
from workers.jobs import Parts

LABELS_AT_ONCE = 4


async def look_after(parts: Parts) -> None:
    """Have the rules of every label look at what they have not seen. One label's trouble ends the round, no other's."""
    room = asyncio.Semaphore(LABELS_AT_ONCE)

    async def one(label_id: str) -> None:
        async with room:
            if not parts.stopping:
                await running.run_label(parts.db, label_id, clock=parts.clock)

    behind = await running.labels_behind(parts.db, now=parts.clock())
    failed = [found for found in await asyncio.gather(*map(one, behind), return_exceptions=True) if found is not None]
    if failed:
        raise failed[0]
