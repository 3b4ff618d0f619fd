"""Which webhooks an account sends us: switched on and off at the provider.

A provider knows one subscription of our app for an account, whichever labels have connected it: what is subscribed is
what all of them together have switched on.
"""

from app.clients import graph as instagram
from app.clients.credentials import Opened
from app.db import Doc
from app.models.features import WITH_WEBHOOKS
from app.services.connections import store
from app.services.connections.hands import Hands


async def sync(hands: Hands, connection: Doc, token: Opened) -> list[str]:
    """Subscribe to exactly what the live connections of the account have switched on; the fields now subscribed.

    `connection` counts with its `active_features`, whatever its status. Raises what the provider's client raises.
    """
    wanted = await wanted_features(hands, connection)
    if connection["provider"] != "instagram" or connection["subscription_id"] is None:
        return []
    if wanted:
        return await instagram.subscribe(hands.graph, token, wanted)
    if connection["subscribed_fields"]:
        await instagram.unsubscribe(hands.graph, token)
    return []


async def wanted_features(hands: Hands, connection: Doc) -> list[str]:
    """The features with webhooks that any live connection of the account has switched on, this one included."""
    if connection["subscription_id"] is None:
        return []
    others = await store.sharing(hands.db, connection)
    found = {feature for one in [connection, *others] for feature in one["active_features"]}
    return sorted(found & WITH_WEBHOOKS)
