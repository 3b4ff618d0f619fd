"""How each provider gives fresh tokens for those we have. Source: meta-platform.md, 1.1 and 1.2; spotify.md, 2."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.clients import facebook, graph, spotify
from app.clients.credentials import Opened
from app.clients.graph_errors import TokenDead
from app.db import Doc
from app.models.features import Provider
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.connections.schedule import next_warning, refresh_after
from app.services.operations import GiveUp, TryAgain

RIPE_AFTER = timedelta(hours=24)
"""Instagram refreshes no younger token."""
PAGE_LIVES_ON = timedelta(days=1)
"""When a person's token is tried again that is dead, while the Page's token by it is not."""


class Moved(Exception):
    """Somebody else has written fresh tokens meanwhile."""


class Ended(Exception):
    """The time of these tokens is over, so that no provider need be asked."""


@dataclass(frozen=True)
class Renewed:
    """Fresh tokens by their purpose in the vault, and what their connection says of them from then on."""

    tokens: dict[str, str] = field(repr=False)
    changes: Doc


Renewal = Callable[[Hands, Doc, Doc], Awaitable[Renewed]]


async def of_instagram(hands: Hands, operation: Doc, connection: Doc) -> Renewed:
    """The long token for a fresh one, which must be a day old and must not have ended."""
    now, ends_at = hands.clock(), connection["token_expires_at"]
    if ends_at is not None and ends_at <= now:
        raise Ended
    if now < connection["token_issued_at"] + RIPE_AFTER:
        raise TryAgain(connection["token_issued_at"] + RIPE_AFTER, "token_too_young")
    token = await _opened(hands, operation, connection, "access_token")
    found = await graph.refresh_token(hands.graph, token)
    ends_at = hands.clock() + found.lifetime
    tokens = {"access_token": found.token}
    return _renewed(hands, connection, tokens, life=found.lifetime, token_expires_at=ends_at, access_ends_at=ends_at)


async def of_facebook(hands: Hands, operation: Doc, connection: Doc) -> Renewed:
    """The person's long token for a fresh one, and a fresh Page's token by it only where the old one has died.

    A Page's token may outlive its person's: then the connection goes on. A refresh does not make access last longer;
    when that ends is Facebook's to say, and is asked each time.
    """
    now, ends_at = hands.clock(), connection["access_ends_at"]
    user_token = await _opened(hands, operation, connection, "user_token")
    of_page = await _opened(hands, operation, connection, "access_token")
    try:
        found = await facebook.lengthen(hands.facebook, user_token)
    except TokenDead as exc:
        if not await facebook.is_alive(hands.facebook, of_page):
            raise
        if ends_at is None or ends_at <= now + PAGE_LIVES_ON:
            raise GiveUp("log_in_ended", "The Page's token lives on; a new log-in makes it last.") from exc
        raise TryAgain(now + PAGE_LIVES_ON, "log_in_ended") from exc
    tokens, fresh = {"user_token": found.token}, Opened(found.token, "refresh")
    if not await facebook.is_alive(hands.facebook, of_page):
        tokens["access_token"] = await facebook.page_token(hands.facebook, fresh, page_id=connection["subscription_id"])
    ends_at = (await facebook.debug_token(hands.facebook, fresh)).access_ends_at
    return _renewed(hands, connection, tokens, life=found.lifetime, token_expires_at=None, access_ends_at=ends_at)


async def of_spotify(hands: Hands, operation: Doc, connection: Doc) -> Renewed:
    """A fresh access token, and where tokens rotate a fresh refresh token. The grant ends when it would have."""
    if connection["access_ends_at"] <= hands.clock():
        raise Ended
    token = await _opened(hands, operation, connection, "refresh_token")
    found = await spotify.refresh(hands.spotify, token.reveal("refresh"))
    tokens = {"access_token": found.access_token}
    tokens |= {"refresh_token": found.refresh_token} if found.refresh_token else {}
    times = {"token_expires_at": hands.clock() + found.lifetime, "access_ends_at": connection["access_ends_at"]}
    return _renewed(hands, connection, tokens, life=None, **times)


TOKENS: dict[Provider, tuple[str, ...]] = {
    "instagram": ("access_token",),
    "facebook": ("user_token", "access_token"),
    "spotify": ("access_token", "refresh_token"),
}
"""What a refresh may give, by its purpose in the vault."""
RENEWALS: dict[Provider, Renewal] = {"instagram": of_instagram, "facebook": of_facebook, "spotify": of_spotify}
"""Given the operation and the connection. Each raises what its client raises, `NoSecret`, `NotAllowed`, `SealBroken`,
`Moved`, `Ended`, `TryAgain` and `GiveUp`."""


async def _opened(hands: Hands, operation: Doc, connection: Doc, purpose: str) -> Opened:
    """The secret that belongs to the version of the connection: a newer one must not be used up in its name."""
    opened = await hands.open(connection, purpose, used_for="refresh", job=operation["_id"])
    there = await store.need(hands.db, connection["label_id"], connection["_id"])
    if there["token_version"] != connection["token_version"]:
        raise Moved
    return opened


def _renewed(
    hands: Hands,
    connection: Doc,
    tokens: dict[str, str],
    *,
    life: timedelta | None,
    token_expires_at: datetime | None,
    access_ends_at: datetime | None,
) -> Renewed:
    now = hands.clock()
    idle = refresh_after(connection["provider"], life, spread=random.random())  # noqa: S311 (spreads load)
    changes: Doc = {"token_issued_at": now, "token_expires_at": token_expires_at, "refresh_at": now + idle}
    if access_ends_at != connection["access_ends_at"]:
        changes |= {"access_ends_at": access_ends_at, "warn_at": next_warning(access_ends_at, now)}
    return Renewed(tokens, changes)
