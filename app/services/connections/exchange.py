"""The worker's half of connecting: the code that came back becomes tokens, and the pending connection an active one.

Each step is kept when it is done, so that a worker that takes over goes on where the last one stopped.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from app.clients import graph_errors, spotify_errors
from app.db import Doc
from app.models.features import Provider
from app.services.connections import facebook_login, instagram_login, spotify_login, store
from app.services.connections.activation import end
from app.services.connections.hands import Hands
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

RETRY = timedelta(seconds=10)
UNAVAILABLE = (graph_errors.Unavailable, spotify_errors.Unavailable)
RATE_LIMITED = (graph_errors.RateLimited, spotify_errors.RateLimited)
OUTCOME_UNKNOWN = (graph_errors.OutcomeUnknown, spotify_errors.OutcomeUnknown)
PROVIDER_ERRORS = (graph_errors.GraphError, spotify_errors.SpotifyError)
LOG_INS: dict[Provider, Callable[[Hands, Doc, Doc], Awaitable[None]]] = {
    "instagram": instagram_login.complete,
    "facebook": facebook_login.complete,
    "spotify": spotify_login.complete,
}
"""What completes a log-in, given the operation and the pending connection."""


async def exchange(hands: Hands, operation: Doc) -> Doc:
    """Make a pending connection active, or let its accounts be chosen. The result names it.

    Raises `TryAgain`, `GiveUp`.
    """
    connection = await store.need(hands.db, operation["label_id"], operation["target"])
    try:
        if connection["status"] == "pending":
            await LOG_INS[connection["provider"]](hands, operation, connection)
    except (*UNAVAILABLE, *RATE_LIMITED) as exc:
        wait = exc.wait if isinstance(exc, RATE_LIMITED) else RETRY
        raise TryAgain(hands.clock() + wait, "provider_unavailable") from exc
    except NotAllowed as exc:  # it is pending no more: another worker has completed it, or somebody has ended it
        there = await store.need(hands.db, connection["label_id"], connection["_id"])
        if there["status"] not in store.CONNECTED and "replaced_by" not in there:
            raise GiveUp("disconnected", "The connection was ended while its log-in was completed.") from exc
    except (*PROVIDER_ERRORS, NoSecret, SealBroken) as exc:
        code = "exchange_interrupted" if isinstance(exc, OUTCOME_UNKNOWN) else "exchange_refused"
        await end(hands, connection, code)
        raise GiveUp(code, "The provider did not complete the log-in. Connect the account again.") from exc
    now_there = await store.need(hands.db, connection["label_id"], connection["_id"])
    return {"connection_id": now_there.get("replaced_by", connection["_id"])}
