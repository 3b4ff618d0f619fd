"""What a worker does by itself about consents: tell of a changed policy, and sum up usage that has become old."""

from app.services.policies import telling
from app.services.usage import summing
from workers.jobs import Parts

EVERY_S = 10


async def look_after(parts: Parts) -> None:
    """One round of what has become due."""
    now = parts.clock()
    queued = await telling.tell(parts.db, parts.policies, now=now)
    if month := await summing.tend(parts.db, now=now):
        queued.append(month)
    for operation_id in queued:
        await parts.bell.ring(operation_id)
