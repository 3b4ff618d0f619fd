"""The operation that fills a connection's gaps, a step at a time: its place is kept with the connection."""

from datetime import datetime, timedelta

from app.clients.graph_errors import GraphError, RateLimited, TokenDead, Unavailable
from app.db import Doc
from app.services.connections import store
from app.services.connections.calling import host_of
from app.services.connections.hands import Hands
from app.services.connections.reauth import give_up_dead
from app.services.inbox import repair
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

RETRY = timedelta(minutes=1)
MOST_FAILURES = 10
SLOW_AT_PERCENT = 80
SLOWLY = timedelta(minutes=10)
"""Background work waits so long when Meta says that this much of the limit is used: people's answers come first."""


async def backfill(hands: Hands, operation: Doc) -> Doc:
    """Do one step. The result names the connection and how many messages were new.

    Raises `TryAgain` to go on with the next step or after a failure, `GiveUp`.
    """
    connection = await store.need(hands.db, operation["label_id"], operation["target"])
    place = _place(connection, operation, hands.clock())
    _wait_for_room(hands, connection)
    try:
        if "messages" in connection["active_features"] and not place["messages_done"]:
            await _messages(hands, connection, place)
    except (Unavailable, RateLimited) as exc:
        place["failures"] += 1
        await store.note(hands.db, connection, {"repair": place})
        if place["failures"] > MOST_FAILURES:
            raise GiveUp("provider_unavailable", "Meta could not be reached.") from exc
        wait = exc.wait if isinstance(exc, RateLimited) else RETRY * place["failures"]
        raise TryAgain(hands.clock() + wait, "provider_unavailable") from exc
    except TokenDead as exc:
        await give_up_dead(hands.db, hands.audit, operation, connection, exc, now=hands.clock())
    except (NotAllowed, NoSecret, SealBroken) as exc:
        raise GiveUp("connection_not_active", "The account is not connected any more.") from exc
    except GraphError as exc:
        raise GiveUp("refused_by_provider", "Meta refused to show the conversations.") from exc
    noted: Doc = {"repaired_at": place["began_at"], "repair": None}
    noted |= {"comments_at": hands.clock()} if "comments" in connection["active_features"] else {}  # looked at next
    await store.note(hands.db, connection, noted)
    return {"connection_id": connection["_id"], "found": place["found"]}


def _place(connection: Doc, operation: Doc, now: datetime) -> Doc:
    """How far this operation is; one that begins looks from where the last one did."""
    kept: Doc | None = connection.get("repair")
    if kept and kept["operation_id"] == operation["_id"]:
        return kept
    fresh: Doc = {"operation_id": operation["_id"], "since": repair.since_of(connection, now), "began_at": now}
    return fresh | {"after": None, "found": 0, "failures": 0, "messages_done": False}


async def _messages(hands: Hands, connection: Doc, place: Doc) -> None:
    """One page of conversations. Raises `TryAgain` where there are more."""
    step = await repair.repair_page(
        hands, connection, since=place["since"], after=place["after"], job=place["operation_id"]
    )
    place |= {"after": step.after, "found": place["found"] + step.found, "failures": 0}
    place["messages_done"] = step.after is None
    await store.note(hands.db, connection, {"repair": place})
    if step.after is not None:
        raise TryAgain(hands.clock(), "goes_on")


def _wait_for_room(hands: Hands, connection: Doc) -> None:
    """Raises `TryAgain` while Meta wants calm for this account, or has little left for it."""
    account_id = connection.get("active_account_id") or ""
    host = host_of(hands, connection)
    if pause_s := host.pause_left_s(account_id):
        raise TryAgain(hands.clock() + timedelta(seconds=pause_s), "rate_limited")
    if (host.usage_percent(account_id) or 0) >= SLOW_AT_PERCENT:
        raise TryAgain(hands.clock() + SLOWLY, "rate_limited")
