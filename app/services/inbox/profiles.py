"""Fans' profiles: fetched once a fan has written, and again when they write days later. Nothing is copied: of a picture
only Meta's own address is kept, as long as the conversation.

A fan who only commented is never asked about: Meta allows it with their consent, which writing gives.
"""

from datetime import datetime, timedelta
from typing import Literal

from pymongo.errors import DuplicateKeyError

from app.clients.graph_call import GraphHost
from app.clients.graph_errors import GraphError, RateLimited, TokenDead, Unavailable
from app.clients.graph_profiles import Profile, fan_profile
from app.clock import to_ms
from app.db import ALL_LABELS, Database, Doc
from app.services import operations
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.connections.refreshing import usable_token
from app.services.inbox.conversations import tell_changed
from app.services.operations import GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

AT_ONCE = 3
"""What fans write and what the label answers goes before: a worker plans so many a second."""
LATER = timedelta(minutes=10)
MOST_TRIES = 5
"""So often it is asked in a row while Meta is away; then again when the fan writes days later."""
BUSY_PERCENT = 60
"""Of the account's limit: when so much is used up, profiles wait."""
Network = Literal["instagram", "facebook"]


async def plan_due(db: Database, *, now: datetime) -> list[str]:
    """Write down an operation for each profile that is due; their ids."""
    query = {"profile_due_at": {"$lte": now}}
    comment = f"{ALL_LABELS}fans' profiles that are due"
    found = db.open("conversations").find(query, comment=comment).sort("profile_due_at", 1).limit(AT_ONCE)
    planned = [await _plan(db, conversation, now=now) for conversation in await found.to_list()]
    return [one for one in planned if one]


async def _plan(db: Database, conversation: Doc, *, now: datetime) -> str | None:
    """Its operation, made once for each time it is due. That it is under way is noted after it is written down."""
    due_at, planned = conversation["profile_due_at"], None
    try:
        operation = await operations.add(
            db,
            label_id=conversation["label_id"],
            kind="fetch_profile",
            target=conversation["_id"],
            key=f"fetch_profile:{conversation['_id']}:{to_ms(due_at)}",
            queue=f"profiles:{conversation['connection_id']}",
            connection_id=conversation["connection_id"],
            now=now,
        )
        planned = str(operation["_id"])
    except DuplicateKeyError:
        pass
    key = {"_id": conversation["_id"], "label_id": conversation["label_id"], "profile_due_at": due_at}
    update = {"$set": {"profile_at": now}, "$unset": {"profile_due_at": ""}}
    await db.open("conversations").update_one(key, update)
    return planned


async def fetch_profile(hands: Hands, operation: Doc) -> Doc:
    """Fetch a fan's profile, and note it or why there is none. Raises `TryAgain`, `GiveUp`."""
    db, now, place = hands.db, hands.clock(), {"label_id": operation["label_id"], "_id": operation["target"]}
    conversation = await db.open("conversations").find_one(place | {"expires_at": {"$gt": now}})
    if conversation is None:
        raise GiveUp("expired", "The conversation is gone.")
    connection = await store.need(db, operation["label_id"], conversation["connection_id"])
    if not store.is_usable(connection, "messages"):
        raise GiveUp("connection_not_active", "The account is not connected any more, or messages are off.")
    host: GraphHost = hands.graph if connection["provider"] == "instagram" else hands.facebook
    account_id = connection["active_account_id"]
    if (pause_s := host.pause_left_s(account_id)) or (host.usage_percent(account_id) or 0) >= BUSY_PERCENT:
        raise TryAgain(now + max(timedelta(seconds=pause_s), LATER), "rate_limited")
    try:
        token = await usable_token(hands, connection, used_for="messages", job=operation["_id"])
        profile = await fan_profile(
            host,
            token,
            account_id=account_id,
            fan_id=conversation["participant"]["provider_id"],
            network=connection["network"],
        )
    except RateLimited as exc:
        raise TryAgain(now + max(exc.wait, LATER), "rate_limited") from exc
    except Unavailable:  # of this fan perhaps only: the others are not to wait for it
        return await _note_away(db, conversation, now=now)
    except TokenDead as exc:
        raise GiveUp("needs_reauth", "The account must be connected again.") from exc
    except (NotAllowed, NoSecret, SealBroken) as exc:
        raise GiveUp("connection_not_active", "The account's token cannot be used.") from exc
    except GraphError as exc:  # no consent, a fan who blocked the account, nobody of this id: asked again days later
        return await _note(db, conversation, None, f"refused_{exc.code}", now=now)
    return await _note(db, conversation, profile, None, now=now)


async def _note(db: Database, conversation: Doc, profile: Profile | None, problem: str | None, *, now: datetime) -> Doc:
    """A refusal takes away nothing that was known before, but a picture, whose address has ended by now."""
    seen = conversation["participant"]
    shown = {"picture_url": profile.picture_url if profile else None}
    if profile:
        shown |= {"name": profile.name or seen["name"], "username": profile.username or seen["username"]}
    update: Doc = {"$set": {f"participant.{name}": value for name, value in shown.items()}}
    update["$set"] |= {"profile_at": now, "profile_problem": problem}
    update |= {"$unset": {"profile_tries": ""}, "$inc": {"version": 1}}
    key = {"_id": conversation["_id"], "label_id": conversation["label_id"]}
    changed = await db.open("conversations").find_one_and_update(key, update, return_document=True)
    if changed:
        await tell_changed(db, changed, now=now)
    return {"problem": problem} if problem else {}


async def _note_away(db: Database, conversation: Doc, *, now: datetime) -> Doc:
    tries = conversation.get("profile_tries", 0) + 1
    if tries >= MOST_TRIES:
        return await _note(db, conversation, None, "provider_unavailable", now=now)
    key = {"_id": conversation["_id"], "label_id": conversation["label_id"]}
    later = {"$set": {"profile_tries": tries, "profile_due_at": now + LATER}}
    await db.open("conversations").update_one(key, later)
    return {"problem": "provider_unavailable"}
