"""Checks of our looking after the promises itself."""

from datetime import timedelta

from app.services.promises.promise import Look, Measured

DAY = timedelta(days=1)


async def newest_attestation(look: Look) -> Measured:
    """How far from now the newest attestation is; before the first, the oldest check that is stored.

    One of the future was made by a clock that was wrong, and shows nothing of today.
    """
    newest = await look.db.open("attestations").find_one({}, {"at": 1}, sort=[("_id", -1)])
    if newest is None:
        newest = await look.db.open("promise_checks").find_one({}, {"since": 1}, sort=[("since", 1)])
    at = (newest or {}).get("at") or (newest or {}).get("since") or look.now
    return Measured(round(abs(look.now - at) / DAY, 3), 2)
