"""Checks of connected accounts: authorised, used for what was enabled, and gone when they are disconnected."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ulid import ULID

from app.clock import EPOCH
from app.db import Database, Doc
from app.models.features import Feature, asked_scopes, features_of, granted_features
from app.services.connections.erasing import left_of
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import WHY, count_odd, sample

ACCOUNT = frozenset(("provider_id", "username", "name", "picture_url", "kind"))
FAN = frozenset(("provider_id", "username", "name", "picture_url"))
OF_FEATURE: dict[str, Feature] = {"messages": "messages", "comments": "comments", "account_days": "insights"}
"""What is received for which feature."""
ON_ITS_WAY = timedelta(minutes=1)
"""What was being stored when a feature was switched off."""
REVOKED_WITHIN = timedelta(hours=73)
"""A provider that is away is asked for 72 hours: docs/leaving.md."""
ENDED = 20
"""So many ended connections are looked into, twice."""
HOUR = timedelta(hours=1)


async def public_profiles(look: Look) -> Measured:
    """Profiles of accounts and of fans that hold more than name, picture and ids."""
    shown: dict[str, tuple[str, frozenset[str]]] = {
        "connections": ("account", ACCOUNT),
        "conversations": ("participant", FAN),
        "comments": ("author", FAN),
    }
    counts = {}
    for name, (field, allowed) in shown.items():
        counts[name] = sum(not (one.get(field) or {}).keys() <= allowed for one in await sample(look.db, name))
    return Measured(sum(counts.values()), detail=" ".join(name for name, count in counts.items() if count))


async def granted_only(look: Look) -> Measured:
    """Connections with a feature that is on without the permissions that it needs."""
    return await count_odd(look.db, ["connections"], _uses_more)


def _uses_more(connection: Doc) -> bool:
    if connection["status"] != "active" or not connection["account"]:
        return False
    on, kind = connection["active_features"], connection["account"]["kind"]
    return len(granted_features(connection["provider"], kind, on, connection["granted_scopes"])) < len(on)


async def least_scopes(look: Look) -> Measured:
    """Connections for which we have asked for permissions that none of our features needs."""

    def asks_more(connection: Doc) -> bool:
        provider = connection["provider"]
        return not set(connection["asked_scopes"]) <= set(asked_scopes(provider, features_of(provider)))

    return await count_odd(look.db, ["connections"], asks_more)


async def enabled_only(look: Look) -> Measured:
    """What was stored for a feature after it had been switched off."""
    counts: dict[str, int] = dict.fromkeys(OF_FEATURE, 0)
    for name, feature in OF_FEATURE.items():
        found = await sample(look.db, name)
        connections = await _connections(look.db, found)
        counts[name] = sum(_is_of_off(one, connections.get(one["connection_id"]), feature) for one in found)
    return Measured(sum(counts.values()), detail=" ".join(name for name, count in counts.items() if count))


def _is_of_off(one: Doc, connection: Doc | None, feature: Feature) -> bool:
    if connection is None or connection["status"] != "active" or feature in connection["features"]:
        return False
    since: datetime = connection.get("features_at") or connection["created_at"]
    return _stored_at(one) > since + ON_ITS_WAY


def _stored_at(one: Doc) -> datetime:
    at = one.get("read_at") or one.get("received_at")
    if isinstance(at, datetime):
        return at
    try:
        return ULID.from_str(str(one["_id"])[4:].upper()).datetime.astimezone(UTC)
    except ValueError:
        return EPOCH


async def of_connected(look: Look) -> Measured:
    """Data from a provider whose connection is not there."""
    counts: dict[str, int] = {}
    for name in (*OF_FEATURE, "conversations", "media"):
        found = await sample(look.db, name)
        connections = await _connections(look.db, found)
        counts[name] = sum(one["connection_id"] not in connections for one in found)
    return Measured(sum(counts.values()), detail=" ".join(name for name, count in counts.items() if count))


async def nothing_left(look: Look) -> Measured:
    """Accounts that were disconnected, and of which something is still here."""
    ended = [one for one in await sample(look.db, "disconnections", size=ENDED) if one["completed_at"]]
    left: dict[str, int] = {}
    for one in ended:
        left[one["_id"]] = len(await left_of(look.db, one))
    return Measured(sum(count > 0 for count in left.values()))


async def ended_in_time(look: Look) -> Measured:
    """For how long the disconnect that has not ended for the longest has been under way."""
    open_ones = look.db.open("disconnections").find({"completed_at": None}, {"begun_at": 1}, comment=WHY).limit(1000)
    oldest = min([one["begun_at"] async for one in open_ones], default=look.now)
    return Measured(round((look.now - oldest) / HOUR, 2), REVOKED_WITHIN / HOUR)


async def calls_of_connected(look: Look) -> Measured:
    """Work that waits for an account that is disconnected, other than its end."""
    query = {"due_at": {"$gte": EPOCH}}
    found = await look.db.open("operations").find(query, comment=WHY).sort("due_at", 1).limit(200).to_list()
    waiting = [one for one in found if one["state"] == "queued" and one.get("connection_id")]
    waiting = [one for one in waiting if one["kind"] != "disconnect"]
    connections = await _connections(look.db, waiting)
    ended = [one for one in waiting if connections.get(one["connection_id"], {}).get("status") == "revoked"]
    return Measured(len(ended), detail=" ".join(sorted({one["kind"] for one in ended})))


async def _connections(db: Database, of: list[Doc]) -> dict[str, Doc]:
    """The connections of these documents, by id; only those of the same label."""
    query: dict[str, Any] = {"_id": {"$in": sorted({one["connection_id"] for one in of})}}
    found = {one["_id"]: one async for one in db.open("connections").find(query, comment=WHY)}
    labels = {one["connection_id"]: one["label_id"] for one in of}
    return {_id: one for _id, one in found.items() if one["label_id"] == labels[_id]}
