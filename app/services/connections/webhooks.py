"""Which webhooks an account sends us: switched on and off at the provider.

A provider knows one subscription of our app for an account, whichever labels have connected it: what is subscribed is
what all of them together have switched on. An Instagram account behind a Page is subscribed through the Page.
"""

from app.clients import facebook
from app.clients import graph as instagram
from app.clients.credentials import Opened
from app.clients.graph_errors import Refused, TokenDead
from app.db import Doc
from app.models.features import WITH_WEBHOOKS, AccountKind, Feature
from app.services.connections import store
from app.services.connections.facts import Webhooks
from app.services.connections.hands import Hands
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed


async def sync(hands: Hands, connection: Doc, token: Opened) -> list[str]:
    """Subscribe to exactly what the live connections of the account have switched on; the fields now subscribed.

    `connection` counts with its `active_features`, whatever its status. Raises what the provider's client raises.
    """
    page_id = connection["subscription_id"]
    if page_id is None:
        return []
    wanted = await _wanted(hands, connection)
    if connection["provider"] == "facebook":
        if wanted:
            return await _subscribe_page(hands, connection, token, wanted)
        if connection["subscribed_fields"]:
            await facebook.unsubscribe(hands.facebook, token, page_id=page_id)
        return []
    if connection["provider"] != "instagram":
        return []
    if wanted:
        return await instagram.subscribe(hands.graph, token, sorted({feature for _, feature in wanted}))
    if connection["subscribed_fields"]:
        await instagram.unsubscribe(hands.graph, token)
    return []


async def wanted_features(hands: Hands, connection: Doc) -> list[str]:
    """The features with webhooks that any live connection of the account has switched on, this one included."""
    if connection["subscription_id"] is None:
        return []
    return sorted({feature for _, feature in await _wanted(hands, connection)})


async def look(hands: Hands, connection: Doc, token: Opened) -> Webhooks | None:
    """What the account sends us, compared with what is wanted and with what we left, and put right at once.

    None when the provider does not tell. What is wanted may change meanwhile: then it is done once more.
    """
    connection = await store.need(hands.db, connection["label_id"], connection["_id"])
    found = await _compare(hands, connection, token)
    there = await store.need(hands.db, connection["label_id"], connection["_id"])
    if there["status"] in store.LIVE and there["active_features"] != connection["active_features"]:
        return await _compare(hands, there, token)
    return found


async def _compare(hands: Hands, connection: Doc, token: Opened) -> Webhooks | None:
    every, core = await _wanted_fields(hands, connection)
    try:
        shown = sorted(await _subscribed_fields(hands, connection, token))
    except (Refused, TokenDead):
        return None
    left = sorted(connection["subscribed_fields"])
    fields = core if shown == core == left else every  # where Meta has refused the others, the core is all there is
    drift = sorted(set(left) ^ set(shown))
    if shown == fields:
        return Webhooks(fields, shown, [], None)
    try:
        now_there = await sync(hands, connection | {"subscribed_fields": shown}, token)
    except (Refused, TokenDead):
        return Webhooks(fields, shown, drift or sorted(set(fields) ^ set(shown)), None)
    return Webhooks(fields, sorted(now_there), drift, hands.clock() if drift else None)


async def _wanted_fields(hands: Hands, connection: Doc) -> tuple[list[str], list[str]]:
    wanted = await _wanted(hands, connection)
    if connection["provider"] == "facebook":
        every, core = facebook.fields_of(wanted)
    else:
        every, core = instagram.fields_of({feature for _, feature in wanted})
    return sorted(every), sorted(core)


async def _subscribed_fields(hands: Hands, connection: Doc, token: Opened) -> list[str]:
    if connection["provider"] == "facebook":
        return await facebook.subscribed_fields(hands.facebook, token, page_id=connection["subscription_id"])
    return await instagram.subscribed_fields(hands.graph, token, account_id=connection["active_account_id"])


async def _subscribe_page(
    hands: Hands, connection: Doc, token: Opened, wanted: set[tuple[AccountKind, Feature]]
) -> list[str]:
    """By this connection's token; where its owner has not granted what others want, by the token of one of these."""
    page_id = connection["subscription_id"]
    try:
        return await facebook.subscribe(hands.facebook, token, page_id=page_id, wanted=wanted)
    except Refused as exc:
        if exc.reason != "permission_lost":
            raise
        refused = exc
    for other in await store.sharing(hands.db, connection):
        try:
            theirs = await hands.open(other, "access_token", used_for="subscribe", job=f"sync:{connection['_id']}")
            return await facebook.subscribe(hands.facebook, theirs, page_id=page_id, wanted=wanted)
        except (Refused, TokenDead, NoSecret, NotAllowed, SealBroken):
            continue
    raise refused


async def _wanted(hands: Hands, connection: Doc) -> set[tuple[AccountKind, Feature]]:
    """With the kind of account, as a Page and the Instagram account behind it share their subscription."""
    others = await store.sharing(hands.db, connection)
    found: set[tuple[AccountKind, Feature]] = {
        (one["account"]["kind"], feature) for one in [connection, *others] for feature in one["active_features"]
    }
    return {pair for pair in found if pair[1] in WITH_WEBHOOKS}
