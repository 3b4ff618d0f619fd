"""What each kind of change writes. All writes commute: in whatever order changes come, the same state is reached.

A document is made by whichever change comes first. What several may set is set by `$min` or `$max`, or under a
condition on a rank that orders the changes themselves; an unsend takes the content away and forbids more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo import UpdateOne

from app.clock import EPOCH, to_ms
from app.db import Doc
from app.ids import new_id
from app.models.data_map import CONTENT_LIFE
from app.services.inbox.meta import Incoming
from app.services.inbox.words import tokens

NOT_THERE = {"$exists": False}
OPENS_THE_WINDOW = ("message", "postback")
PROFILE_LIFE = timedelta(days=3)
"""A fan's picture has an address that ends after some days: when they write later, their profile is fetched again."""


@dataclass(frozen=True)
class Received:
    """A change for one connection, and the conversation it belongs to."""

    key: str
    connection: Doc
    incoming: Incoming
    conversation_id: str | None = None
    seen: bool = False
    """Somebody has answered it since: it does not count as unread, whenever it came to us."""
    made: str | None = None
    """The id of the message's document, where this change has just made it."""

    @property
    def is_new_message(self) -> bool:
        """Whether it is a whole message that nothing was known of: it took nothing from a conversation's times."""
        return self.made is not None and self.incoming.kind in OPENS_THE_WINDOW

    @property
    def owner(self) -> Doc:
        """The label and the connection."""
        return {"label_id": self.connection["label_id"], "connection_id": self.connection["_id"]}

    @property
    def document_key(self) -> Doc:
        """What names the message or comment."""
        return self.owner | {"provider_id": self.incoming.provider_id}

    @property
    def expires_at(self) -> datetime:
        """When what it brings must be gone."""
        return self.incoming.at + CONTENT_LIFE


def conversation_upsert(received: Received, *, now: datetime) -> UpdateOne:
    """Make the conversation with this fan if there is none."""
    key = received.owner | {"participant.provider_id": received.incoming.fan_id}
    fresh: Doc = {
        "_id": new_id("cnv"),
        "provider": received.connection["provider"],
        "network": received.connection["network"],
        "participant.username": None,
        "participant.name": None,
        "participant.picture_url": None,
        "status": "open",
        "status_at": received.incoming.at,
        "assignee": None,
        "tags": [],
        "snoozed_until": None,
        "unread_count": 0,
        "is_unread": False,
        "created_at": now,
        "version": 1,
    }
    return UpdateOne(key, {"$setOnInsert": fresh, "$max": {"expires_at": received.expires_at}}, upsert=True)


def message_upsert(received: Received, *, now: datetime) -> UpdateOne:
    """Make sure that the message's document is there, and lower its times."""
    incoming, at = received.incoming, received.incoming.at
    known: Doc = {}
    lowest: Doc = {"expires_at": received.expires_at}
    if received.conversation_id:
        known["conversation_id"] = received.conversation_id
        if incoming.kind in ("message", "postback", "edit"):
            known["direction"] = "out" if incoming.outgoing else "in"
            lowest |= {"sent_at": at, "ordered_at": at}
    if incoming.kind == "unsend":
        lowest["deleted_at"] = at
    if incoming.kind == "read":
        lowest["read_at"] = at
    fresh: Doc = {
        "_id": new_id("msg"),
        "provider": received.connection["provider"],
        "received_at": EPOCH if received.seen else now,
    }
    if incoming.kind in OPENS_THE_WINDOW:
        fresh |= _content(incoming)
    update: Doc = {"$setOnInsert": fresh, "$min": lowest}
    if known:
        update["$set"] = known
    if incoming.kind == "unsend":
        update["$unset"] = {"content": ""}
    return UpdateOne(received.document_key, update, upsert=True)


def message_content(received: Received) -> UpdateOne | None:
    """Add the content that the change brings, unless the message was unsent or a later change brought other.

    The words are those of the text that is shown: the newest edit's, else the original's. Of an original that comes
    after an edit, `original_of_edited` does the rest, and must be done after this.
    """
    incoming, at = received.incoming, received.incoming.at
    alive = received.document_key | {"deleted_at": NOT_THERE}
    if incoming.kind in OPENS_THE_WINDOW:
        unedited = alive | {"content.original": NOT_THERE, "content.edit": NOT_THERE}
        return UpdateOne(unedited, {"$set": _content(incoming)})
    if incoming.kind == "edit":
        rank = f"{incoming.content['number']:06d}:{to_ms(at):015d}"
        edit = {"text": incoming.content["text"], "rank": rank, "at": at}
        shown = {"content.edit": edit, "content.words": tokens(edit["text"])}
        return UpdateOne(alive | {"content.edit.rank": _below(rank)}, {"$set": shown})
    if incoming.kind == "reaction":
        path = "content.reactions." + ("account" if incoming.outgoing else "fan")
        emoji = incoming.content["emoji"]
        rank = f"{to_ms(at):015d}:{'1' if emoji is None and incoming.content['name'] is None else '0'}:{emoji or ''}"
        reaction = {"emoji": emoji, "name": incoming.content["name"], "rank": rank, "at": at}
        return UpdateOne(alive | {f"{path}.rank": _below(rank)}, {"$set": {path: reaction}})
    return None


def original_of_edited(received: Received) -> UpdateOne | None:
    """Add the original of a message whose edit came first: its words stay those of the edit."""
    if received.incoming.kind not in OPENS_THE_WINDOW:
        return None
    edited = {"deleted_at": NOT_THERE, "content.original": NOT_THERE, "content.edit": {"$exists": True}}
    return UpdateOne(received.document_key | edited, {"$set": {"content.original": _original(received.incoming)}})


def conversation_changes(conversation: Doc, received: Sequence[Received]) -> Doc:
    """What these changes make of a conversation that is so: its times move forward, what is closed opens again."""
    latest: Doc = {}
    fresh: Doc = {}
    for each in sorted(received, key=lambda one: one.incoming.at):
        incoming, at = each.incoming, each.incoming.at
        latest["expires_at"] = each.expires_at
        if incoming.kind in OPENS_THE_WINDOW:
            latest["last_message_at"] = at
            latest |= {} if incoming.outgoing else {"last_inbound_at": at, _owner_sign(incoming): at}
            fresh |= {"own": True} if incoming.content.get("own") else {}
        if incoming.kind == "read" and not incoming.outgoing:
            latest["fan_read_at"] = at
        name = {"referral": "referral", "handover": "thread_owner"}.get(incoming.kind)
        if name and at > conversation.get(name, {}).get("at", EPOCH):
            fresh[name] = incoming.content | {"at": at}
    if not latest:
        return {}
    changes: Doc = {"$set": fresh, "$max": latest, "$inc": {"touched": 1, "version": 1}}
    if "last_inbound_at" not in latest:
        return changes
    return changes | _heard_from_fan(conversation, latest["last_inbound_at"], fresh)


def _heard_from_fan(conversation: Doc, at: datetime, fresh: Doc) -> Doc:
    """What a fan's message changes beside: it opens what was closed or snoozed before, and asks for their profile."""
    changes: Doc = {}
    if conversation["status"] in ("closed", "snoozed") and conversation["status_at"] < at:
        fresh |= {"status": "open", "status_at": at, "snoozed_until": None}
        changes["$unset"] = {"wake_at": ""}
    if conversation.get("profile_at", EPOCH) < at - PROFILE_LIFE:
        changes["$min"] = {"profile_due_at": at}
    return changes


def _owner_sign(incoming: Incoming) -> str:
    """What a fan's message tells of who owns the thread, by where Meta delivers it."""
    return "standby_at" if incoming.content.get("standby") else "thread_ours_at"


def _original(incoming: Incoming) -> Doc:
    return incoming.content | {"kind": incoming.kind}


def _content(incoming: Incoming) -> Doc:
    """The original and its words, by their paths."""
    words = tokens(incoming.content.get("text") or "")
    return {"content.original": _original(incoming)} | ({"content.words": words} if words else {})


def _below(rank: str) -> Doc:
    return {"$not": {"$gte": rank}}
