"""Completing a log-in with Instagram: code, short token, long token, account. Source: meta-platform.md, section 1.1."""

import random

from app.clients import graph as meta
from app.clients.credentials import Opened
from app.db import Doc
from app.services.connections import store
from app.services.connections.activation import Grant, activate
from app.services.connections.hands import Hands
from app.services.connections.schedule import refresh_after
from app.services.vault.opening import NoSecret
from app.services.vault.secrets import Room, destroy_secret, fill, make_room


async def complete(hands: Hands, operation: Doc, connection: Doc) -> None:
    """Make the pending connection active. Raises `GraphError`, `NoSecret`, `SealBroken`, `GiveUp`."""
    token = await _long_token(hands, operation, connection)
    account = await meta.get_account(hands.graph, token)
    fresh = await store.need(hands.db, connection["label_id"], connection["_id"])
    issued_at, ends_at = fresh["token_issued_at"], fresh["token_expires_at"]
    idle = refresh_after("instagram", ends_at - issued_at, spread=random.random())  # noqa: S311 (spreads load)
    ids = (account.provider_id, account.scoped_id)
    grant = Grant(
        kind="instagram",
        provider_id=account.provider_id,
        username=account.username,
        name=account.name,
        picture_url=account.picture_url,
        account_ids=ids,
        person_ids=ids,
        subscription_id=account.provider_id,
        tokens={"access_token": token},
        token_expires_at=ends_at,
        refresh_at=issued_at + idle,
        access_ends_at=ends_at,
    )
    await activate(hands, fresh, grant, sealed=True)


async def _long_token(hands: Hands, operation: Doc, connection: Doc) -> Opened:
    """The long-lived token: from the vault, or by whichever steps are still to do."""

    async def opened(purpose: str) -> Opened:
        return await hands.open(connection, purpose, used_for="connect", job=operation["_id"])

    async def room_for(purpose: str) -> Room:
        return await make_room(hands.db, hands.ring, connection=connection, purpose=purpose, now=hands.clock())

    async def keep(room: Room, secret: str, instead_of: str) -> Opened:
        await fill(hands.db, hands.ring, room, secret, now=hands.clock())
        await destroy_secret(hands.db, connection=connection, purpose=instead_of)
        return Opened(secret, "connect")

    try:
        return await opened("access_token")
    except NoSecret:
        pass
    try:
        short = await opened("short_token")
    except NoSecret:
        uri = hands.settings.redirect_uri("instagram")
        code, room = await opened("code"), await room_for("short_token")
        found = await meta.exchange_code(hands.graph, code, redirect_uri=uri)
        granted = list(found.scopes) or connection["asked_scopes"]  # it does not always say
        await store.update(hands.db, connection, {"granted_scopes": granted})
        short = await keep(room, found.token, "code")
    room = await room_for("access_token")
    long = await meta.exchange_for_long(hands.graph, short)
    now = hands.clock()
    await store.update(hands.db, connection, {"token_issued_at": now, "token_expires_at": now + long.lifetime})
    return await keep(room, long.token, "short_token")
