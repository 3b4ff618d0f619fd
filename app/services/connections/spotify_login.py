"""Completing a log-in with Spotify: code and PKCE verifier, tokens, account. Source: spotify.md, section 2."""

import random

from app.clients import spotify
from app.clients.credentials import Opened
from app.clients.spotify_errors import NotAllowed, Refused
from app.db import Doc, Session
from app.services.connections import store
from app.services.connections.activation import Grant, activate, end
from app.services.connections.hands import Hands
from app.services.connections.schedule import end_of_grant, refresh_after
from app.services.operations import GiveUp
from app.services.vault.opening import NoSecret
from app.services.vault.secrets import Room, destroy_secret, fill, make_room


async def complete(hands: Hands, operation: Doc, connection: Doc) -> None:
    """Make the pending connection active. Raises `SpotifyError`, `NoSecret`, `SealBroken`, `GiveUp`.

    Who is not on our app's allow-list can log in, but is refused everything afterwards.
    """
    tokens = await _tokens(hands, operation, connection)
    try:
        account = await spotify.me(hands.spotify, tokens["access_token"].reveal("connect"))
    except NotAllowed as exc:
        await end(hands, connection, "not_allowlisted")
        raise GiveUp(
            "not_allowlisted", "Spotify lets our app serve only people on its list, and not this one."
        ) from exc
    fresh = await store.need(hands.db, connection["label_id"], connection["_id"])
    idle = refresh_after("spotify", None, spread=random.random())  # noqa: S311 (spreads load)
    grant = Grant(
        kind="spotify_user",
        provider_id=account.account_id,
        username=account.user_id,
        name=account.name,
        picture_url=account.picture_url,
        account_ids=(account.account_id,),
        person_ids=(account.account_id,),
        subscription_id=None,
        tokens=tokens,
        token_expires_at=fresh["token_expires_at"],
        refresh_at=fresh["token_issued_at"] + idle,
        access_ends_at=end_of_grant(fresh["authorized_at"]),
    )
    await activate(hands, fresh, grant, sealed=True)


async def _tokens(hands: Hands, operation: Doc, connection: Doc) -> dict[str, Opened]:
    """Both tokens: from the vault, or for the code, which works once."""

    async def opened(purpose: str) -> Opened:
        return await hands.open(connection, purpose, used_for="connect", job=operation["_id"])

    try:
        return {"access_token": await opened("access_token"), "refresh_token": await opened("refresh_token")}
    except NoSecret:
        pass
    code, verifier = await opened("code"), await opened("verifier")
    rooms = [  # made first: the code works once, and the ring may be away afterwards
        await make_room(hands.db, hands.ring, connection=connection, purpose=purpose, now=hands.clock())
        for purpose in ("access_token", "refresh_token")
    ]
    found = await spotify.exchange_code(
        hands.spotify,
        code.reveal("connect"),
        redirect_uri=hands.settings.redirect_uri("spotify"),
        verifier=verifier.reveal("connect"),
    )
    if found.refresh_token is None:
        raise Refused("malformed_answer")
    tokens = {"access_token": found.access_token, "refresh_token": found.refresh_token}
    await _keep(hands, connection, found, tokens, rooms)
    return {purpose: Opened(token, "connect") for purpose, token in tokens.items()}


async def _keep(
    hands: Hands, connection: Doc, found: spotify.Tokens, tokens: dict[str, str], rooms: list[Room]
) -> None:
    """Seal both tokens and forget the code they came for: all of it, or nothing."""
    now = hands.clock()
    changes: Doc = {"token_issued_at": now, "token_expires_at": now + found.lifetime, "authorized_at": now}
    changes["granted_scopes"] = list(found.scopes) or connection["asked_scopes"]

    async def all_of_it(session: Session) -> None:
        for room in rooms:
            await fill(hands.db, hands.ring, room, tokens[room.purpose], now=now, session=session)
        for purpose in ("code", "verifier"):
            await destroy_secret(hands.db, connection=connection, purpose=purpose, session=session)
        await store.update(hands.db, connection, changes, session=session)

    await hands.db.in_transaction(all_of_it)
