"""A worker that can also be told to use a Spotify connection: `python -m tests.faults.refresh_worker`.

Using is an operation of the kind `check_connection`, which asks Spotify whose the token is. It stands for whatever
services do with tokens, so that a drill can have many connections used at one moment.
"""

import asyncio

from app.clients import spotify
from app.clients.spotify_errors import TokenExpired, Unavailable
from app.db import Doc
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.connections.refreshing import usable_token
from app.services.operations import GiveUp, TryAgain
from app.services.vault.opening import NotAllowed
from app.settings import WorkerSettings, load
from workers.jobs import OF_CONNECTIONS
from workers.main import main


async def use(hands: Hands, operation: Doc) -> Doc:
    """Call Spotify with the connection's token. A token that turns out to be dead ends it with `dead_token`."""
    connection = await store.need(hands.db, operation["label_id"], operation["target"])
    try:
        token = await usable_token(hands, connection, used_for="catalogue", job=operation["_id"])
        await spotify.me(hands.spotify, token.reveal("catalogue"))
    except NotAllowed as exc:
        raise GiveUp("needs_reauth", "It waits for a new log-in.") from exc
    except TokenExpired as exc:
        raise GiveUp("dead_token", "Spotify did not take the token.") from exc
    except Unavailable as exc:
        raise TryAgain(hands.clock(), "unavailable") from exc
    return {}


if __name__ == "__main__":
    OF_CONNECTIONS["check_connection"] = use
    asyncio.run(main(load(WorkerSettings)))
