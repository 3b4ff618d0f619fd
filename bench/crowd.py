"""A label with many conversations and messages, put straight into a database: as many as are asked for."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pymongo

from app.clock import utc_now
from app.db import Doc
from app.ids import new_id

VOCABULARY = 20_000
WORDS = 6
A_CONVERSATION = 25
"""Messages of one, in the middle; the newest has `LONG_THREAD`."""
LONG_THREAD = 500
BATCH = 5_000
AGENTS = [f"usr_bench{n}" for n in range(4)]
TAGS = [f"tag{n}" for n in range(8)]
FOUND = "word0+word1"
"""Two words that stand together in about five of a thousand messages."""
SPAN = timedelta(days=25)


def fill(url: str, label_id: str, *, messages: int) -> str:
    """Put conversations with this many messages there; the id of the one whose thread is long."""
    now, chance = utc_now(), random.Random(20261128)
    found = [_conversation(label_id, n, now, chance, messages) for n in range(max(2, messages // A_CONVERSATION))]
    with pymongo.MongoClient[Doc](url) as client:
        database = client.get_default_database()
        for name, documents in (("conversations", iter(found)), ("messages", _messages(found, messages, now, chance))):
            while batch := list(islice(documents, BATCH)):
                database[name].insert_many(batch, ordered=False)
    return str(found[0]["_id"])


def _messages(conversations: list[Doc], count: int, now: datetime, chance: random.Random) -> Iterator[Doc]:
    vocabulary = [f"word{n}" for n in range(VOCABULARY)]
    weights = [1 / (n + 10) for n in range(VOCABULARY)]
    words: Iterator[str] = iter(())
    for n in range(count):
        if n % BATCH == 0:
            words = iter(chance.choices(vocabulary, weights, k=WORDS * BATCH))
        conversation = conversations[0 if n < LONG_THREAD else n % len(conversations)]
        said = [next(words) for _ in range(WORDS)]
        yield _message(conversation, n, said, now - SPAN * (n / count))


def _message(conversation: Doc, n: int, said: list[str], at: datetime) -> Doc:
    return {
        "_id": new_id("msg"),
        "label_id": conversation["label_id"],
        "conversation_id": conversation["_id"],
        "connection_id": conversation["connection_id"],
        "provider": "instagram",
        "provider_id": f"aWdfZAG1faXRlbToxOklHTWVzc2FnZUl{n}",
        "direction": "in",
        "received_at": at,
        "content": {"original": {"kind": "message", "text": " ".join(said)}, "words": list(dict.fromkeys(said))},
        "sent_at": at,
        "ordered_at": at,
        "expires_at": at + timedelta(days=30),
    }


def _conversation(label_id: str, n: int, now: datetime, chance: random.Random, messages: int) -> Doc:
    at = now - SPAN * (n * A_CONVERSATION / messages / 10)
    participant: Doc = {"provider_id": f"9{n:014d}", "username": f"fan.{n}", "name": f"Fan {n}", "picture_url": None}
    decided: dict[str, Any] = {
        "status": chance.choices(("open", "closed"), (6, 4))[0],
        "assignee": chance.choice([None, *AGENTS]),
        "tags": chance.sample(TAGS, 2),
        "is_unread": chance.random() < 0.5,
    }
    return decided | {
        "_id": new_id("cnv"),
        "label_id": label_id,
        "connection_id": f"con_bench{n % 3}",
        "provider": "instagram",
        "network": "instagram",
        "participant": participant,
        "status_at": at,
        "snoozed_until": None,
        "unread_count": int(decided["is_unread"]),
        "last_message_at": at,
        "last_inbound_at": at,
        "created_at": at,
        "expires_at": at + timedelta(days=30),
        "touched": 1,
        "version": 2,
    }
