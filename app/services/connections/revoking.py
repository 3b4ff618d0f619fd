"""What a provider is asked when a connection ends: to send no more webhooks, and to take back what was granted.

Each function says what came of it, and raises what the provider's client raises. It may be asked again after a crash.
Source: meta-platform.md, section 1.5; spotify.md.
"""

from datetime import timedelta

from app.clients import facebook
from app.clients import graph as instagram
from app.clients.credentials import Opened
from app.clients.graph_errors import Refused, TokenDead
from app.db import Doc
from app.models.features import WITH_WEBHOOKS
from app.models.receipts import Result
from app.services.connections import store, webhooks
from app.services.connections.hands import Hands
from app.services.operations import TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret

LOOK_AGAIN = timedelta(seconds=5)
APP_REMOVED = 458
"""Of code 190: the person uses our app no more (meta-platform.md, section 1.7)."""
Outcome = tuple[Result, str]
FOR_OTHERS = "Another connection here still uses this; only this connection's token is destroyed."


async def unsubscribe(hands: Hands, connection: Doc, job: str) -> Outcome:
    """Switch the account's webhooks off, or to what other connections of it have switched on."""
    if connection["subscription_id"] is None:
        return "not_needed", "The account sends no webhooks."
    token = await hands.open(connection, "access_token", used_for="disconnect", job=job)
    others = await _subscribe_for_others(hands, connection, token)
    if not others:  # a log-in that was completed meanwhile may have switched on what we have just switched off
        others = bool(await store.sharing(hands.db, connection)) and await _subscribe_for_others(
            hands, connection, token
        )
    if others:
        return "kept_for_others", "The webhooks are those that other connections of the account have switched on."
    return "done", "The account's webhooks are off."


async def _subscribe_for_others(hands: Hands, connection: Doc, token: Opened) -> bool:
    """Leave on what others have switched on, and nothing else; whether there are others."""
    others = await store.sharing(hands.db, connection)
    perhaps = connection["subscribed_fields"] or sorted(WITH_WEBHOOKS.intersection(connection["features"]))
    await webhooks.sync(hands, connection | {"subscribed_fields": perhaps}, token)  # a worker may have died in between
    return bool(others)


async def revoke(hands: Hands, connection: Doc, job: str) -> Outcome:
    """Have the provider take the grant back, unless another live connection, whoever's, lives by it.

    Raises `TryAgain` too, while a log-in of the label's is being completed.
    """
    if connection["provider"] == "spotify":
        return "not_offered", "Spotify has no way for an app to give its access back."
    if not connection["person_ids"]:
        return "not_needed", "The log-in had not come so far that anything was granted."
    if await store.has_log_in_under_way(hands.db, connection):
        raise TryAgain(hands.clock() + LOOK_AGAIN, "log_in_under_way")  # perhaps the same person's, who comes back
    others = [
        one
        for person_id in _people(connection)
        for one in await store.of_person(hands.db, connection["provider"], person_id)
    ]
    if any(one["status"] in store.CONNECTED for one in others):
        return "kept_for_others", FOR_OTHERS
    if others:  # a log-in of that person that may yet lead to nothing
        raise TryAgain(hands.clock() + LOOK_AGAIN, "log_in_under_way")
    if connection["provider"] == "facebook":
        return await _revoke_facebook(hands, connection, job)
    return await _ask_instagram(hands, connection, job)


async def _revoke_facebook(hands: Hands, connection: Doc, job: str) -> Outcome:
    """One `DELETE` takes back all that the person has granted. Whether an earlier one did, the token tells."""
    already: Outcome = "already_revoked", "Facebook had ended the permission before."
    token = await _any_token(hands, connection, job)
    if token is not None:
        facts = await facebook.debug_token(hands.facebook, token)
        if not facts.is_valid and facts.dead_subcode == APP_REMOVED:  # dead by a new password, the grant may live
            return already
    for person_id in _people(connection):
        if not await facebook.revoke(hands.facebook, person_id=person_id):
            return already
    return "done", "Facebook has ended all permissions of the person for our app."


def _people(connection: Doc) -> list[str]:
    """By which ids the provider knows who has logged in for it, now and before."""
    return [*connection["person_ids"], *connection.get("former_person_ids", ())]


async def _any_token(hands: Hands, connection: Doc, job: str) -> Opened | None:
    """The person's own token, or the Page's; none when neither can be read: Facebook is asked without, then."""
    for purpose in ("user_token", "access_token"):
        try:
            return await hands.open(connection, purpose, used_for="disconnect", job=job)
        except (NoSecret, SealBroken):
            continue
    return None


async def _ask_instagram(hands: Hands, connection: Doc, job: str) -> Outcome:
    """Meta documents no revocation for Instagram Login; the one that many try is asked for once."""
    token = await hands.open(connection, "access_token", used_for="disconnect", job=job)
    try:
        await instagram.ask_revocation(hands.graph, token)
    except TokenDead:
        return "already_revoked", "Instagram had ended the permission before."
    except Refused:
        return "not_offered", "Instagram has no way for an app to give its access back."
    return "asked_undocumented", "Instagram took the request; that it acts on it is not documented."
