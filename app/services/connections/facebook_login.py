"""Completing a log-in with Facebook: code, short token, long token, and what can be chosen with it.

It leads to Pages and the Instagram accounts behind them; somebody chooses among these (`choices.py`), unless the log-in
was begun to renew a connection. Source: meta-platform.md, section 1.2.
"""

from app.clients import facebook as meta
from app.clients.credentials import Opened
from app.db import Doc
from app.models.features import AccountKind
from app.services.connections import store
from app.services.connections.activation import give_up, need_renewed, tell
from app.services.connections.choices import row_of
from app.services.connections.choosing import renew_chosen
from app.services.connections.hands import Hands
from app.services.vault.opening import NoSecret
from app.services.vault.secrets import Room, destroy_secret, fill, make_room

LIST_SCOPE, INSTAGRAM_SCOPE = "pages_show_list", "instagram_basic"


async def complete(hands: Hands, operation: Doc, connection: Doc) -> None:
    """Let the accounts be chosen, or renew the one that the log-in is for.

    Raises `GraphError`, `NoSecret`, `SealBroken`, `GiveUp`.
    """
    if connection.get("step") != "choose_accounts":
        token = await _long_token(hands, operation, connection)
        for purpose in ("code", "short_token"):
            await destroy_secret(hands.db, connection=connection, purpose=purpose)
        facts = await _own_facts(hands, connection, token)
        changes = await _what_can_be_chosen(hands, token, facts)
        if connection["renews"]:
            changes |= await _choose_by_itself(hands, connection, changes["choices"], operation)
        await store.update(hands.db, connection, changes)
        connection = await store.need(hands.db, connection["label_id"], connection["_id"])
    if connection["renews"]:
        await renew_chosen(hands, operation, connection)
    else:
        await tell(hands.db, connection, "choose_accounts", hands.clock)


async def _own_facts(hands: Hands, connection: Doc, token: Opened) -> meta.TokenFacts:
    """What the token is worth, if it is one of our app's and of the person it speaks for. Raises `GiveUp`.

    A token that was made for another app would be good for calls too, and its owner never agreed to ours.
    """
    facts = await meta.debug_token(hands.facebook, token)
    ours = facts.app_id == hands.facebook.app_id and facts.is_valid
    if not ours or facts.person_id != await meta.me(hands.facebook, token):
        await give_up(hands, connection, "token_not_ours", "The log-in led to a token that was not made for our app.")
    return facts


async def _what_can_be_chosen(hands: Hands, token: Opened, facts: meta.TokenFacts) -> Doc:
    said = await meta.permissions(hands.facebook, token, person_id=facts.person_id)
    granted = sorted(scope for scope, status in said.items() if status == "granted")
    pages = []
    if LIST_SCOPE in granted:  # without it Facebook refuses the list, and the person sees which scope is missing
        pages = await meta.pages(hands.facebook, token, with_instagram=INSTAGRAM_SCOPE in granted)
    return {
        "granted_scopes": granted,
        "person_ids": [facts.person_id],
        "access_ends_at": facts.access_ends_at,
        "choices": [row for page in pages for row in _choices(page)],
        "chosen": [],
        "choosing": None,
        "step": "choose_accounts",
    }


def _choices(page: meta.Page) -> list[Doc]:
    """The Page, and the Instagram account behind it: each can be connected alone."""
    of_page = {"page_id": page.provider_id, "tasks": list(page.tasks)}
    rows = [_choice("page", page.provider_id, page.name, None, page.picture_url) | of_page]
    if page.instagram:
        linked = page.instagram
        name = linked.name or linked.username
        rows.append(_choice("instagram", linked.provider_id, name, linked.username, linked.picture_url) | of_page)
    return rows


def _choice(kind: AccountKind, provider_id: str, name: str, username: str | None, picture_url: str | None) -> Doc:
    shown = {"name": name, "username": username, "picture_url": picture_url}
    return {"kind": kind, "provider_id": provider_id} | shown


async def _choose_by_itself(hands: Hands, connection: Doc, choices: list[Doc], operation: Doc) -> Doc:
    """The choice of the account that the log-in is to renew. Raises `GiveUp` when it did not lead there."""
    known = await need_renewed(hands, connection)
    wanted = (known["account"]["kind"], known["account"]["provider_id"])
    if wanted not in [(row["kind"], row["provider_id"]) for row in choices]:
        await give_up(hands, connection, "wrong_account", "The log-in was to other accounts. Nothing was changed.")
    return {"chosen": [row_of(wanted[1], connection["features"])], "choosing": operation["_id"]}


async def _long_token(hands: Hands, operation: Doc, connection: Doc) -> Opened:
    """The person's long-lived token: from the vault, or by whichever steps are still to do."""

    async def opened(purpose: str) -> Opened:
        return await hands.open(connection, purpose, used_for="connect", job=operation["_id"])

    async def room_for(purpose: str) -> Room:
        return await make_room(hands.db, hands.ring, connection=connection, purpose=purpose, now=hands.clock())

    async def keep(room: Room, secret: str) -> Opened:
        await fill(hands.db, hands.ring, room, secret, now=hands.clock())
        return Opened(secret, "connect")

    try:
        return await opened("user_token")
    except NoSecret:
        pass
    try:
        short = await opened("short_token")
    except NoSecret:
        uri = hands.settings.redirect_uri("facebook")
        code, room = await opened("code"), await room_for("short_token")
        found = await meta.exchange_code(hands.facebook, code, redirect_uri=uri)
        short = await keep(room, found.token)
    room = await room_for("user_token")
    long = await meta.lengthen(hands.facebook, short)
    await store.update(hands.db, connection, {"token_issued_at": hands.clock()})
    return await keep(room, long.token)
