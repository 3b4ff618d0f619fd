"""The operation that has a provider send exactly the webhooks that are wanted: after features were switched."""

from datetime import timedelta

from app.clients.graph_errors import GraphError, RateLimited, TokenDead, Unavailable
from app.db import Doc
from app.services.connections import store, webhooks
from app.services.connections.hands import Hands
from app.services.connections.reauth import give_up_dead
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(minutes=10)
MOST_ATTEMPTS = 20


async def sync_webhooks(hands: Hands, operation: Doc) -> Doc:
    """Have the provider send what the connection's features need. The result names the connection.

    What cannot be done now is done by the next check. Raises `TryAgain`, `GiveUp`.
    """
    connection = await store.need(hands.db, operation["label_id"], operation["target"])
    wanted = await webhooks.wanted_features(hands, connection)
    try:
        token = await hands.open(connection, "access_token", used_for="subscribe", job=operation["_id"])
        fields = await webhooks.sync(hands, connection, token)
    except (Unavailable, RateLimited) as exc:
        if operation["attempts"] >= MOST_ATTEMPTS:
            raise GiveUp("provider_unavailable", "The provider could not be reached.") from exc
        wait = exc.wait if isinstance(exc, RateLimited) else min(RETRY * operation["attempts"], LONGEST_RETRY)
        raise TryAgain(hands.clock() + wait, "provider_unavailable") from exc
    except TokenDead as exc:
        await give_up_dead(hands.db, hands.audit, operation, connection, exc, now=hands.clock())
    except (NotAllowed, NoSecret, SealBroken) as exc:
        raise GiveUp("connection_not_active", "The account is not connected any more.") from exc
    except GraphError as exc:
        raise GiveUp("refused_by_provider", "The provider refused the change of its webhooks.") from exc
    told = {"wanted_fields": fields, "subscribed_fields": fields, "drift": []}
    noted: Doc = {f"checks.webhooks.{name}": value for name, value in told.items()} | {"subscribed_fields": fields}
    if set(fields) - set(connection["subscribed_fields"]):
        noted["repair_at"] = hands.clock()
    await store.note(hands.db, connection, noted)
    now_there = await store.need(hands.db, connection["label_id"], connection["_id"])
    if await webhooks.wanted_features(hands, now_there) != wanted:
        raise TryAgain(hands.clock(), "changed_meanwhile")
    return {"connection_id": connection["_id"]}
