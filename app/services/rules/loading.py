"""What is known of the messages and comments that events tell of, for previews and for real alike.

What came before an item is what has an earlier id: what is read later about the same item is the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from ulid import ULID

from app.clock import EPOCH
from app.db import Database, Doc
from app.ids import first_id
from app.models.rules import When
from app.services.labels.labels import need_label
from app.services.rules.evaluating import Rule
from app.services.rules.facts import Facts
from app.services.rules.texts import same_text_key

LOOKED_AT = frozenset(("message.received", "comment.received", "comment.changed"))
"""The types of events that rules look at."""
READ_BACK = ":read:"
"""In the key of an event that tells what was read at Meta, and not what somebody did here."""
SAME_TEXT_WITHIN = timedelta(hours=1)
READS_AT_ONCE = 10
T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """A message or comment, and the place of the event that told of it."""

    seq: int
    facts: Facts


async def items_of(
    db: Database, label_id: str, events: Sequence[Doc], rules: Sequence[Rule], *, now: datetime
) -> list[Item]:
    """What these events tell of, each once, in their order; what has gone, expired or has no words is left out.

    A mention comes without its words: it counts when they have come.
    """
    told = {event["target"]: event for event in reversed(events) if event["type"] in LOOKED_AT}
    query: Doc = {"label_id": label_id, "_id": {"$in": sorted(told)}, "expires_at": {"$gt": now}}
    whens = {rule.when for rule in rules}
    messages: list[Doc] = []
    comments: list[Doc] = []
    if whens & {"message", "story_reply"} and any(one.startswith("msg_") for one in told):
        messages = await db.open("messages").find(query).to_list()
    if whens & {"comment", "mention"} and any(one.startswith("cmt_") for one in told):
        found = await db.open("comments").find(query).to_list()
        comments = [doc for doc in found if _is_due(doc, told[doc["_id"]])]
    facts = await facts_of_messages(db, label_id, messages, rules) if messages else []
    facts += await facts_of_comments(db, label_id, comments, rules) if comments else []
    return sorted((Item(told[one.target]["seq"], one) for one in facts), key=lambda item: item.seq)


def _is_due(comment: Doc, event: Doc) -> bool:
    """A comment when it comes; a mention also when it is read, for then its words may have come."""
    words_came = _comment_when(comment) == "mention" and READ_BACK in event["key"]
    return bool(event["type"] == "comment.received" or words_came)


async def facts_of_messages(db: Database, label_id: str, messages: Sequence[Doc], rules: Sequence[Rule]) -> list[Facts]:
    """The facts of these messages, in their order; of those that have content."""
    alive = [doc for doc in messages if doc.get("content", {}).get("original") and doc.get("conversation_id")]
    zone = (await need_label(db, label_id))["timezone"] if alive else "UTC"
    firsts: dict[str, str] = {}
    if _asked(rules, "first_contact", "spam"):
        ids = sorted({doc["conversation_id"] for doc in alive})
        firsts = dict(zip(ids, await _each(ids, lambda one: _first_message(db, label_id, one)), strict=True))
    people = await _participants(db, label_id, alive) if _asked(rules, "author") else {}
    return [
        Facts(
            target_kind="message",
            target=doc["_id"],
            whens=_whens(doc),
            label_id=label_id,
            connection_id=doc["connection_id"],
            conversation_id=doc["conversation_id"],
            text=_text(doc),
            sent_at=doc["sent_at"],
            received_at=_received_at(doc),
            own=doc.get("direction") != "in" or doc["content"]["original"].get("own", False),
            author_id=doc["conversation_id"],
            author_handle=people.get(doc["conversation_id"]),
            first_contact=firsts.get(doc["conversation_id"]) == doc["_id"],
            timezone=zone,
        )
        for doc in alive
    ]


async def facts_of_comments(db: Database, label_id: str, comments: Sequence[Doc], rules: Sequence[Rule]) -> list[Facts]:
    """The facts of these comments, in their order; of those whose words we have."""
    alive = [doc for doc in comments if doc.get("content", {}).get("text") is not None and doc.get("author")]
    zone = (await need_label(db, label_id))["timezone"] if alive else "UTC"
    first: set[str] = set()
    repeated: set[str] = set()
    if _asked(rules, "first_contact", "spam"):
        first = await _first_comments(db, label_id, alive)
    if _asked(rules, "spam"):
        repeated = await _repeated(db, label_id, alive)
    return [
        Facts(
            target_kind="comment",
            target=doc["_id"],
            whens=frozenset((_comment_when(doc),)),
            label_id=label_id,
            connection_id=doc["connection_id"],
            text=doc["content"]["text"],
            sent_at=doc["sent_at"],
            received_at=_received_at(doc),
            own=doc["own"],
            author_id=doc["author"]["provider_id"],
            author_handle=doc["author"]["username"],
            first_contact=doc["_id"] in first,
            same_text=doc["_id"] in repeated,
            timezone=zone,
        )
        for doc in alive
    ]


def _asked(rules: Sequence[Rule], *kinds: str) -> bool:
    """What no rule asks for is not looked up: it is a query for each fan."""
    return any(condition.kind in kinds for rule in rules for condition in rule.all_conditions)


async def _each(items: Sequence[T], read: Callable[[T], Awaitable[str | None]]) -> list[str]:
    room = asyncio.Semaphore(READS_AT_ONCE)

    async def one(item: T) -> str:
        async with room:
            return await read(item) or ""

    return await asyncio.gather(*(one(item) for item in items))


async def _first_message(db: Database, label_id: str, conversation_id: str) -> str | None:
    query = {"label_id": label_id, "conversation_id": conversation_id, "direction": "in"}
    first = await db.open("messages").find_one(query, {"_id": 1}, sort=[("_id", 1)])
    return first["_id"] if first else None


async def _first_comments(db: Database, label_id: str, comments: Sequence[Doc]) -> set[str]:
    """The first that we hold of each of these authors."""
    first: dict[tuple[str, str], str] = {}
    for connection_id in sorted({doc["connection_id"] for doc in comments}):
        authors = {doc["author"]["provider_id"] for doc in comments if doc["connection_id"] == connection_id} - {None}
        query = {"label_id": label_id, "connection_id": connection_id, "author.provider_id": {"$in": sorted(authors)}}
        async for doc in db.open("comments").find(query, {"author.provider_id": 1}):
            author = (connection_id, doc["author"]["provider_id"])
            first[author] = min(doc["_id"], first.get(author, doc["_id"]))
    return set(first.values())


async def _repeated(db: Database, label_id: str, comments: Sequence[Doc]) -> set[str]:
    """Those that somebody else had written within the hour before. Most are found among themselves."""
    by_key: dict[str, list[Doc]] = {}
    for doc in sorted(comments, key=lambda doc: str(doc["_id"])):
        if (key := same_text_key(label_id, doc["content"]["text"])) is not None:
            by_key.setdefault(key, []).append(doc)
    found: set[str] = set()
    asked: list[tuple[str, Doc]] = []
    for key, docs in by_key.items():
        for number, doc in enumerate(docs):
            if any(_says_again(doc, earlier) for earlier in reversed(docs[:number])):
                found.add(doc["_id"])
            else:
                asked.append((key, doc))
    return found | set(await _each(asked, lambda one: _is_repeated(db, label_id, *one))) - {""}


def _says_again(comment: Doc, earlier: Doc) -> bool:
    soon = earlier["sent_at"] >= comment["sent_at"] - SAME_TEXT_WITHIN
    return bool(soon and earlier["author"]["provider_id"] != comment["author"]["provider_id"])


async def _is_repeated(db: Database, label_id: str, key: str, comment: Doc) -> str | None:
    """The comment's id, if somebody else had written the same within the hour before; it came to us after that too."""
    earliest = comment["sent_at"] - SAME_TEXT_WITHIN
    query = {
        "label_id": label_id,
        "content.same": key,
        "_id": {"$gte": first_id("cmt", earliest), "$lt": comment["_id"]},
        "sent_at": {"$gte": earliest},
        "author.provider_id": {"$ne": comment["author"]["provider_id"]},
    }
    found = await db.open("comments").find_one(query, {"_id": 1}, sort=[("_id", 1)])
    return str(comment["_id"]) if found else None


async def _participants(db: Database, label_id: str, messages: Sequence[Doc]) -> dict[str, str | None]:
    query = {"label_id": label_id, "_id": {"$in": sorted({doc["conversation_id"] for doc in messages})}}
    found = db.open("conversations").find(query, {"participant.username": 1})
    return {doc["_id"]: doc["participant"]["username"] async for doc in found}


def _whens(message: Doc) -> frozenset[When]:
    original = message["content"]["original"]
    found: set[When] = {"message"}
    if "story" in (original.get("reply_to") or {}):
        found.add("story_reply")
    return frozenset(found)


def _comment_when(comment: Doc) -> When:
    return "mention" if comment.get("kind") == "mention" else "comment"


def _text(message: Doc) -> str:
    content = message["content"]
    return (content.get("edit") or {}).get("text") or content["original"].get("text") or ""


def _received_at(item: Doc) -> datetime:
    """When we stored it: its id tells, where that is not written down, or only that the account had answered it."""
    at: datetime | None = item.get("received_at")
    if at and at > EPOCH:
        return at
    return ULID.from_str(item["_id"].partition("_")[2].upper()).datetime.astimezone(UTC)
