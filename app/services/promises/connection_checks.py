"""Checks of connected accounts: authorised, used for what was enabled, and gone when they are disconnected."""

from datetime import UTC, datetime, timedelta

from ulid import ULID

from app.clock import EPOCH
from app.db import Database, Doc
from app.models.features import Feature, asked_scopes, features_of, granted_features
from app.services.connections.erasing import left_of
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import WHY, all_told, count_odd, sample

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
MOST = 100
"""So many pieces of work of one connection are looked at."""
HOUR = timedelta(hours=1)


async def public_profiles(look: Look) -> Measured:
    """Profiles of accounts and of fans that hold more than name, picture and ids."""
    shown: dict[str, tuple[str, frozenset[str]]] = {
        "connections": ("account", ACCOUNT),
        "conversations": ("participant", FAN),
        "comments": ("author", FAN),
    }
    odd = {}
    for name, (field, allowed) in shown.items():
        odd[name] = [one for one in await sample(look, name) if not (one.get(field) or {}).keys() <= allowed]
    return all_told(odd)


async def granted_only(look: Look) -> Measured:
    """Connections with a feature that is on without the permissions that it needs."""
    return await count_odd(look, ["connections"], _uses_more)


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

    return await count_odd(look, ["connections"], asks_more)


async def enabled_only(look: Look) -> Measured:
    """What was stored for a feature after it had been switched off."""
    odd = {}
    for name, feature in OF_FEATURE.items():
        found = await sample(look, name)
        connections = await _connections(look.db, found)
        odd[name] = [one for one in found if _is_of_off(one, connections.get(_whose(one)), feature)]
    return all_told(odd)


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
    odd = {}
    for name in (*OF_FEATURE, "conversations", "media"):
        found = await sample(look, name)
        connections = await _connections(look.db, found)
        odd[name] = [one for one in found if _whose(one) not in connections]
    return all_told(odd)


async def nothing_left(look: Look) -> Measured:
    """Accounts that were disconnected, and of which something is still here."""
    ended = [one for one in await sample(look, "disconnections", size=ENDED) if one["completed_at"]]
    return all_told({"disconnections": [one for one in ended if await left_of(look.db, one)]})


async def ended_in_time(look: Look) -> Measured:
    """For how long the disconnect that has not ended for the longest has been under way."""
    open_ones = look.db.open("disconnections").find({"completed_at": None}, {"begun_at": 1}, comment=WHY).limit(1000)
    oldest = min([one["begun_at"] async for one in open_ones], default=look.now)
    return Measured(round((look.now - oldest) / HOUR, 2), REVOKED_WITHIN / HOUR)


async def calls_of_connected(look: Look) -> Measured:
    """Disconnected accounts for which work waits, other than their end. The detail names what kinds of work."""
    odd: dict[str, list[str]] = {}
    for one in await sample(look, "connections"):
        if one["status"] == "revoked":
            query = {"label_id": one["label_id"], "connection_id": one["_id"], "state": "queued"}
            waiting = look.db.open("operations").find(query, {"kind": 1}).limit(MOST)
            kinds = {found["kind"] async for found in waiting} - {"disconnect"}
            odd |= {one["_id"]: sorted(kinds)} if kinds else {}
    kinds = {kind for found in odd.values() for kind in found}
    return Measured(len(odd), detail=" ".join(sorted(kinds)), odd={"connections": list(odd)} if odd else {})


async def _connections(db: Database, of: list[Doc]) -> dict[tuple[str, str], Doc]:
    """The connections of these documents, by whose they are: another label's is none."""
    query = {"_id": {"$in": sorted({one["connection_id"] for one in of})}}
    found = db.open("connections").find(query, comment=WHY)
    return {(one["label_id"], one["_id"]): one async for one in found}


def _whose(one: Doc) -> tuple[str, str]:
    """The label, and the connection that it came through."""
    return one["label_id"], one["connection_id"]
