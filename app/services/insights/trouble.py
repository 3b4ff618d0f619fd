"""Calling Meta for insights: with which token, and what a failure means to the work that met it."""

from datetime import timedelta
from typing import NoReturn

from app.clients.graph_errors import RateLimited, Refused, TokenDead, Unavailable
from app.db import Doc
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.connections.reauth import give_up_dead, require_login
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
MOST_ATTEMPTS = 30


class PermissionLost(Refused):
    """The account itself shows no insights any more."""

    reason = "permission_lost"


async def end(hands: Hands, operation: Doc, connection: Doc, failure: Exception) -> NoReturn:
    """End, or put off, the work that met this failure; its connection is told. Raises `GiveUp`, `TryAgain`."""
    now = hands.clock()
    if isinstance(failure, RateLimited):
        raise TryAgain(now + failure.wait, "rate_limited") from failure
    if isinstance(failure, Unavailable) and operation["attempts"] < MOST_ATTEMPTS:
        raise TryAgain(now + min(RETRY * operation["attempts"], LONGEST_RETRY), "unavailable") from failure
    if isinstance(failure, Unavailable):
        raise GiveUp("provider_unavailable", "Meta could not be reached.") from failure
    if isinstance(failure, TokenDead):
        await give_up_dead(hands.db, hands.audit, operation, connection, failure, now=now)
    if isinstance(failure, NoSecret | SealBroken):
        await require_login(hands.db, hands.audit, connection, "token_unreadable", now=now)
        raise GiveUp("needs_reauth", "The account must be connected again.") from failure
    if isinstance(failure, NotAllowed):
        raise GiveUp(
            "connection_not_active", "The account is not connected any more, or insights are off."
        ) from failure
    if isinstance(failure, Refused) and failure.reason == "permission_lost":
        await store.note(hands.db, connection, {"check_at": now})
        raise GiveUp("permission_lost", "The account's owner has withdrawn the permission for insights.") from failure
    raise GiveUp("refused_by_provider", "Meta refused to show the insights.") from failure
