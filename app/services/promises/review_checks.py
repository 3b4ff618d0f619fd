"""Checks of our looking after the promises itself."""

from datetime import timedelta

from app.services.promises.promise import Look, Measured

DAY = timedelta(days=1)


async def newest_attestation(look: Look) -> Measured:
    """The age of the newest attestation; before the first, that of the oldest check that is stored."""
    newest = await look.db.open("attestations").find_one({}, {"at": 1}, sort=[("_id", -1)])
    if newest is None:
        newest = await look.db.open("promise_checks").find_one({}, {"since": 1}, sort=[("since", 1)])
    at = (newest or {}).get("at") or (newest or {}).get("since") or look.now
    return Measured(round((look.now - at) / DAY, 3), 2)
