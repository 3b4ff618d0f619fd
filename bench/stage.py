"""The API and the bare handlers as processes of their own, on one database; and a label to read from."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import httpx
import pymongo

from app import keys
from app.clock import utc_now
from app.db import Database, Doc, create_indexes
from app.ids import new_id
from app.limiter import Name
from tools import embedded
from tools.child import Child, running
from tools.plan import make_plan

NO_SWEEP_S = 3_600.0
"""The stand-in's TTL sweep reads every document: it would hit one round and not another."""
NOWHERE = "http://127.0.0.1:9"
PERSON = {"email": "bench@example.com", "password": "only a bench logs in with this"}


@dataclass(frozen=True)
class Stage:
    """The processes, all ready. Both servers read the same settings."""

    api: Child
    bare: Child
    database: Child
    webhook_secret: bytes = field(repr=False)

    @property
    def watched(self) -> dict[str, int]:
        """The process ids beside the load generator's."""
        return {"API": self.api.process.pid, "bare": self.bare.process.pid, "database": self.database.process.pid}

    def empty_inbox(self) -> None:
        """Throw away what the round before has stored."""
        asyncio.run(_empty_inbox(self.database.url))


@dataclass(frozen=True)
class Label:
    """A label, a conversation of it with messages, and a log-in that may read them."""

    label_id: str
    conversation_id: str
    access_token: str = field(repr=False)

    @property
    def conversations(self) -> str:
        """The path of its list of conversations."""
        return f"/v1/labels/{self.label_id}/conversations"

    @property
    def messages(self) -> str:
        """The path of the conversation's list of messages."""
        return f"{self.conversations}/{self.conversation_id}/messages"


@contextmanager
def open_stage(home: Path) -> Iterator[Stage]:
    """Start everything, one process of each; end it in the end."""
    plan = make_plan(embedded.meta_urls(NOWHERE) | embedded.spotify_urls(NOWHERE), home)
    secrets = {"SOUNDOPS_INSTAGRAM_APP_ID": "1", "SOUNDOPS_INSTAGRAM_APP_SECRET": "only-for-the-bench"}
    limits = {"SOUNDOPS_LIMITS": ",".join(f"{name}=100000000/60" for name in get_args(Name))}  # none is reached
    keys.create(home / "keys")
    database = embedded.mongodb_child(home / "mongo", ttl_sweep_s=NO_SWEEP_S)
    valkey = embedded.valkey_child(home / "valkey")
    own = {"SOUNDOPS_MONGODB_URL": database.url, "SOUNDOPS_REDIS_URL": valkey.url}
    env = {**plan.env, **secrets, **limits, **own}
    api = embedded.api_child(env | {"SOUNDOPS_PORT": str(embedded.free_port())}, log=home / "api.log")
    bare = _bare_child(env, log=home / "bare.log")
    with running(database, valkey), running(api, bare):
        yield Stage(api, bare, database, secrets["SOUNDOPS_INSTAGRAM_APP_SECRET"].encode())


def fill_label(stage: Stage, slug: str, *, size: int) -> Label:
    """Make a label by the API, and put this many conversations and messages of one into the database."""
    label_id, token = open_label(stage, slug)
    now = utc_now()
    found = [_conversation(label_id, number, now) for number in range(size)]
    with pymongo.MongoClient[Doc](stage.database.url) as client:
        database = client.get_default_database()
        database["conversations"].insert_many(found)
        database["messages"].insert_many([_message(found[0], number, now) for number in range(size)])
    return Label(label_id, found[0]["_id"], token)


def open_label(stage: Stage, slug: str) -> tuple[str, str]:
    """A label made by the API, which is empty, and a token that may read it."""
    with httpx.Client(base_url=stage.api.url, timeout=30, trust_env=False) as http:
        person = PERSON | {"name": "Bench", "date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
        http.post("/v1/users", json=person).raise_for_status()
        token = str(http.post("/v1/sessions", json=PERSON).raise_for_status().json()["access_token"])
        http.headers["Authorization"] = f"Bearer {token}"
        label_id = str(http.post("/v1/labels", json={"name": slug, "slug": slug}).raise_for_status().json()["id"])
    return label_id, token


def _bare_child(env: Mapping[str, str], *, log: Path) -> Child:
    port = embedded.free_port()
    return Child(
        "the bare handlers",
        [sys.executable, "-m", "bench.bare"],
        log=log,
        port=port,
        env={**env, "SOUNDOPS_PORT": str(port)},
        answers=lambda: embedded.port_trouble(embedded.HERE, port) is not None,
    )


async def _empty_inbox(url: str) -> None:
    db = Database(url)
    await db.open("webhook_inbox").drop()
    await create_indexes(db)
    db.close()


def _conversation(label_id: str, number: int, now: datetime) -> Doc:
    at = now - timedelta(minutes=number)
    return {
        "_id": new_id("cnv"),
        "label_id": label_id,
        "connection_id": "con_bench",
        "provider": "instagram",
        "network": "instagram",
        "participant": {
            "provider_id": f"9{number:014d}",
            "username": f"fan.{number}",
            "name": f"Fan {number}",
            "picture_url": f"https://cdn.example.test/fans/{number}.jpg",
        },
        "status": "open",
        "status_at": at,
        "assignee": None,
        "tags": ["vinyl", "tour"],
        "snoozed_until": None,
        "unread_count": number % 3,
        "is_unread": number % 3 > 0,
        "last_message_at": at,
        "last_inbound_at": at,
        "created_at": at,
        "expires_at": at + timedelta(days=30),
        "touched": 1,
        "version": 2,
    }


def _message(conversation: Doc, number: int, now: datetime) -> Doc:
    at = now - timedelta(minutes=number)
    return {
        "_id": new_id("msg"),
        "label_id": conversation["label_id"],
        "conversation_id": conversation["_id"],
        "connection_id": conversation["connection_id"],
        "provider": "instagram",
        "provider_id": f"aWdfZAG1faXRlbToxOklHTWVzc2FnZUl{number}",
        "direction": "in",
        "content": {"original": {"kind": "message", "text": f"When is the vinyl back? I asked {number} times."}},
        "sent_at": at,
        "ordered_at": at,
        "expires_at": at + timedelta(days=30),
    }
