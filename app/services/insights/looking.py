"""The operation that reads an account's insights: its days, its media, and their figures, as far as the budget goes.

Where it stopped is told by what is stored: a day that is not settled, a media that is due. So it goes on after any end.
"""

from datetime import timedelta

from app.db import Doc
from app.services.connections import store as connections
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.connections.hands import Hands
from app.services.insights import account_reading, media_reading
from app.services.insights.look import Look
from app.services.insights.trouble import end
from app.services.operations import WAITING, TryAgain

GOES_ON = timedelta(seconds=2)


async def read_insights(hands: Hands, operation: Doc) -> Doc:
    """Read what is due. The result counts the days, the media that were new, and the media whose figures were read.

    While Meta has little left for the account, the rest is left to the next look. Raises `TryAgain`, `GiveUp`.
    """
    connection = await connections.need(hands.db, operation["label_id"], operation["target"])
    try:
        at = await open_at(hands, connection, used_for="insights", job=operation["_id"])
        look = Look(hands.db, connection, at, hands.clock(), operation["created_at"])
        whole = not look.is_quiet() and await _all(look)
    except EXCEPTIONS as exc:
        await end(hands, operation, connection, exc)
    if not whole and not look.is_quiet():
        raise TryAgain(hands.clock() + GOES_ON, WAITING)
    outcome = "done" if whole else "left_for_later"
    return {"connection_id": connection["_id"], "outcome": outcome, **look.found}


async def _all(look: Look) -> bool:
    """Whether nothing is left. Stories first, which are gone tomorrow; the days before the many media."""
    await media_reading.list_new(look)
    stories = await media_reading.read_due(look, product="STORY")
    days = await account_reading.read_days(look)
    return stories and days and await media_reading.read_due(look)
