"""Keeping tokens alive: one refresh for each connection and version of its tokens, whoever asks, in any process.

The operation's unique key is the single flight; the write is a compare-and-set on `token_version`. Who comes second
reads what the first has written.
"""

import asyncio
import random
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NoReturn

from pymongo.errors import DuplicateKeyError, PyMongoError

from app.clients.credentials import Opened
from app.clients.graph_errors import TokenDead
from app.clients.spotify_errors import GrantInvalid
from app.db import Database, Doc, Session
from app.errors import Conflict, NotFound
from app.models.features import UsedFor
from app.services import faults, operations
from app.services.audit import SYSTEM
from app.services.connections import store
from app.services.connections.exchange import PROVIDER_ERRORS, RATE_LIMITED
from app.services.connections.hands import Hands
from app.services.connections.reauth import OF_TOKENS, require_login, tell_restored
from app.services.connections.renewals import RENEWALS, TOKENS, Ended, Moved, Renewed
from app.services.connections.schedule import after_denial, after_failure
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed
from app.services.vault.secrets import Room, fill, make_room

ENDS_SOON = timedelta(minutes=1)
"""A token that ends within this time is used no more."""
LOOK_AGAIN = timedelta(seconds=1)
TENDED = ("active", "needs_reauth")
DEAD = "token_dead"
"""The problem of a connection whose token the provider calls dead when it is to be refreshed."""
WRITE_AGAIN_S = (0.2, 1.0, 3.0, None)
"""Pauses between tries to write what a provider has just given, and perhaps gives only once."""


async def usable_token(hands: Hands, connection: Doc, *, used_for: UsedFor, job: str) -> Opened:
    """The connection's access token, which still lives for a minute or more.

    Raises `TryAgain` while it is being refreshed, `GiveUp` when it cannot be, and what opening raises.
    """
    fresh = await store.need(hands.db, connection["label_id"], connection["_id"])
    ends_at, now = fresh["token_expires_at"], hands.clock()
    if fresh["status"] in TENDED and ends_at is not None and ends_at - now <= ENDS_SOON:
        await _refreshed(hands, fresh)
    return await hands.open(fresh, "access_token", used_for=used_for, job=job)


async def refreshed_since(hands: Hands, connection: Doc, at: datetime) -> None:
    """Return if the access token is no older than `at`: else raise `TryAgain` until it is, `GiveUp` if it cannot be."""
    fresh = await store.need(hands.db, connection["label_id"], connection["_id"])
    if fresh["token_issued_at"] < at:
        await _refreshed(hands, fresh)


async def _refreshed(hands: Hands, connection: Doc) -> NoReturn:
    """Have the tokens refreshed. Raises `TryAgain` while that is under way, and `GiveUp` when it cannot be done."""
    now = hands.clock()
    asked = await ask(hands.db, connection, now=now) if connection["status"] == "active" else None
    if asked is None or asked["state"] == "failed":
        raise _needs_login()
    begins_at = asked["due_at"] if asked["state"] == "queued" else now
    raise TryAgain(max(now, begins_at) + LOOK_AGAIN, "token_refreshing")


async def ask(db: Database, connection: Doc, *, now: datetime) -> Doc:
    """The operation that refreshes the tokens which the connection has now: added, or the one that is there.

    One that an error of ours has ended is begun anew.
    """
    key = _key_of(connection)
    found = await operations.by_key(db, connection["label_id"], key)
    if found is not None:
        return await _begun_anew(db, found, now=now)
    told = {"label_id": connection["label_id"], "target": connection["_id"], "connection_id": connection["_id"]}
    try:
        return await operations.add(db, kind="refresh_token", **told, key=key, now=now)
    except DuplicateKeyError:  # somebody else has just asked
        found = await operations.by_key(db, connection["label_id"], key)
        if found is None:
            raise
        return found


def _key_of(connection: Doc) -> str:
    """One refresh for a version of the tokens, and another one after a check has found good what was believed dead."""
    return f"refresh_token:{connection['_id']}:{connection['token_version']}:{connection.get('restored', 0)}"


async def _begun_anew(db: Database, operation: Doc, *, now: datetime) -> Doc:
    if operation["state"] != "failed" or operation["problem"]["code"] != "internal_error":
        return operation
    with suppress(Conflict):  # somebody else has just done it
        await db.in_transaction(lambda session: operations.retry(db, operation, now=now, session=session))
    return await operations.need(db, operation["label_id"], operation["_id"])


async def refresh(hands: Hands, operation: Doc) -> Doc:
    """Refresh a connection's tokens. The result names it. Raises `TryAgain`, `GiveUp`, `RingUnavailable`."""
    try:
        connection = await store.need(hands.db, operation["label_id"], operation["target"])
    except NotFound as exc:
        raise _gone() from exc
    result = {"connection_id": connection["_id"]}
    if operation["key"] != _key_of(connection):
        return result
    rooms = [  # made first: the provider may give its tokens only once, and the ring may be away then
        await make_room(hands.db, hands.ring, connection=connection, purpose=purpose, now=hands.clock())
        for purpose in TOKENS[connection["provider"]]
    ]
    try:
        renewed = await _renewed(hands, operation, connection)
    except Moved:
        return result
    except (TokenDead, GrantInvalid) as exc:
        await _denied(hands, connection, exc)
        return result
    await faults.reach("refresh_answered")
    await _keep(hands, connection, renewed, rooms)
    return result


async def _renewed(hands: Hands, operation: Doc, connection: Doc) -> Renewed:
    """What the provider gives. Raises `Moved`, `TokenDead`, `GrantInvalid`; for all else `TryAgain` or `GiveUp`."""
    try:
        return await RENEWALS[connection["provider"]](hands, operation, connection)
    except (TokenDead, GrantInvalid):
        raise
    except NotAllowed as exc:
        raise _gone() from exc
    except (NoSecret, SealBroken) as exc:
        await require_login(hands.db, hands.audit, connection, "token_unreadable", now=hands.clock())
        raise _needs_login() from exc
    except Ended as exc:
        await require_login(hands.db, hands.audit, connection, "access_ended", now=hands.clock())
        raise _needs_login() from exc
    except RATE_LIMITED as exc:
        raise TryAgain(hands.clock() + exc.wait, "rate_limited") from exc
    except PROVIDER_ERRORS as exc:  # a lost answer too: what we have is tried again
        wait = after_failure(operation["attempts"], spread=random.random())  # noqa: S311 (spreads load)
        raise TryAgain(hands.clock() + wait, "provider_unavailable") from exc


async def _denied(hands: Hands, connection: Doc, error: TokenDead | GrantInvalid) -> None:
    """Count a denial, and raise `TryAgain` or `GiveUp`; return when somebody else has refreshed meanwhile.

    It is believed only when it was repeated. Even then nothing is deleted, and the token is tried a few times more.
    """
    now = hands.clock()
    before = connection.get("denied") or {"count": 0, "first_at": now}
    subcode = error.subcode if isinstance(error, TokenDead) else 0
    denied = {"count": before["count"] + 1, "first_at": before["first_at"], "code": error.code, "subcode": subcode}
    query = _version(connection) | {"denied.count": before["count"] or {"$exists": False}}
    counted = await hands.db.open("connections").update_one(query, {"$set": {"denied": denied}})
    if counted.modified_count == 0:
        there = await store.need(hands.db, connection["label_id"], connection["_id"])
        if there["token_version"] != connection["token_version"]:
            return
        raise TryAgain(now + LOOK_AGAIN, "token_denied") from error
    verdict = after_denial(denied["count"], probes=connection["provider"] != "facebook")
    if verdict.believed:
        await require_login(hands.db, hands.audit, connection, DEAD, now=now)
    if verdict.again_after is None:
        raise _needs_login() from error
    raise TryAgain(now + verdict.again_after, "token_denied") from error


async def _keep(hands: Hands, connection: Doc, renewed: Renewed, rooms: list[Room]) -> None:
    """Write fresh tokens, unless somebody else has meanwhile, or the connection has been left."""
    for pause_s in WRITE_AGAIN_S:
        try:
            await hands.db.in_transaction(lambda session: _write(hands, connection, renewed, rooms, session))
            return
        except PyMongoError:
            if pause_s is None:
                raise
            await asyncio.sleep(pause_s)


async def _write(hands: Hands, connection: Doc, renewed: Renewed, rooms: list[Room], session: Session) -> None:
    now, connections = hands.clock(), hands.db.open("connections")
    query = _version(connection) | {"status": {"$in": list(TENDED)}}
    there = await connections.find_one(query, session=session)
    if there is None:
        return
    recovered = there["status"] == "needs_reauth" and there["problem"] in OF_TOKENS
    changes = renewed.changes | {"token_version": connection["token_version"] + 1}
    changes |= {"status": "active", "problem": None} if recovered else {}
    update = {"$set": changes, "$unset": {"denied": ""}, "$inc": {"version": 1}}
    if (await connections.update_one(query, update, session=session)).modified_count == 0:
        return
    for room in rooms:
        if room.purpose in renewed.tokens:
            await fill(hands.db, hands.ring, room, renewed.tokens[room.purpose], now=now, session=session)
    if recovered:
        where = {"label_id": connection["label_id"], "target": connection["_id"]}
        details = {"problem": str(there["problem"])}
        action = "connection.restored"
        await hands.audit.record(SYSTEM, action, **where, details=details, now=now, session=session)
        await tell_restored(hands.db, connection, now=now, session=session)


def _version(connection: Doc) -> Doc:
    """The connection, as long as it has the tokens that it has now."""
    return {name: connection[name] for name in ("_id", "label_id", "token_version")}


def _gone() -> GiveUp:
    return GiveUp("connection_gone", "The connection is not there any more.")


def _needs_login() -> GiveUp:
    return GiveUp("needs_reauth", "The account must be connected again.")
