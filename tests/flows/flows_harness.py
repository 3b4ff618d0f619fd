"""What the flows share: an owner at the inbox, Meta's examples, a clock that stands, and a look at all we store."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import redis.asyncio
from bson import BSON

from app.clock import from_ms, utc_now
from app.db import Doc
from app.models.base import rfc3339
from app.models.data_map import CONTENT_LIFE, DATA_MAP, EXPIRING
from app.services.audit import By
from tests.house import ACCOUNT, FAN, House, delivery

PAYLOADS = Path(__file__).parent / "payloads"
"""The examples of meta-platform.md, sections 2.3 to 2.6, byte for byte."""
PAYLOADS_AT = from_ms(1_795_420_840_000)
"""Shortly after the newest of them."""
WHOLE = b'{"object"'
EMPTY: Doc = {
    "provider": "instagram",
    "direction": "in",
    "kind": "message",
    "text": None,
    "attachments": [],
    "reply_to": None,
    "reactions": [],
    "quick_reply": None,
    "quick_replies": [],
    "postback": None,
    "referral": None,
    "unsupported": False,
    "standby": False,
    "edited_at": None,
    "read_at": None,
    "deleted_at": None,
    "state": None,
    "operation_id": None,
    "problem": None,
    "sent_by": None,
    "human_agent": False,
}


@dataclass
class Desk:
    """The owner of a label at its inbox, which one account is connected to."""

    house: House
    owner: httpx.AsyncClient
    label_id: str
    connection_id: str

    async def get(self, path: str, **params: Any) -> Any:
        """What the API answers under the label."""
        answer = await self.owner.get(f"/v1/labels/{self.label_id}{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def status(self, path: str) -> int:
        """With which status the API answers under the label."""
        return (await self.owner.get(f"/v1/labels/{self.label_id}{path}")).status_code

    async def all(self, path: str, **params: Any) -> list[Doc]:
        """Every page of a list."""
        page = await self.get(path, limit=100, **params)
        found: list[Doc] = page["data"]
        while page["next_cursor"]:
            page = await self.get(path, limit=100, cursor=page["next_cursor"], **params)
            found += page["data"]
        return found

    async def conversations(self) -> list[Doc]:
        """All that are shown."""
        return await self.all("/conversations")

    async def conversation(self, fan: str = FAN) -> Doc:
        """The one with this fan, which must be shown."""
        return next(found for found in await self.conversations() if found["participant"]["provider_id"] == fan)

    async def messages(self, fan: str = FAN) -> list[Doc]:
        """With this fan, newest first."""
        return await self.all(f"/conversations/{(await self.conversation(fan))['id']}/messages")

    async def everything(self) -> list[Doc]:
        """Every message of every conversation that is shown, without our own ids."""
        found = []
        for conversation in await self.conversations():
            found += await self.all(f"/conversations/{conversation['id']}/messages")
        return [self.plain(message) for message in found]

    def plain(self, shown: Doc) -> Doc:
        """A message or comment without our own ids, which must be there and right."""
        assert shown["connection_id"] == self.connection_id
        assert shown["id"][:4] in ("msg_", "cmt_")
        assert shown.get("conversation_id", "cnv_").startswith("cnv_")
        return {name: value for name, value in shown.items() if name not in ("id", "connection_id", "conversation_id")}

    async def stored(self, name: str, **query: Any) -> list[Doc]:
        """The label's documents as they lie in the database, and those that belong to no label or to no account."""
        found = await self.house.db.raw[name].find(query, comment="all-labels: a test looks").to_list(None)
        return [document for document in found if document.get("label_id", self.label_id) is not None]

    async def give(self, name: str) -> None:
        """Have Meta deliver an example, and drain it."""
        assert (await self.house.deliver(example(name))).status_code == 200
        await self.house.work()

    async def receive(self, *items: Doc, account: str = ACCOUNT) -> None:
        """Have Meta deliver these `messaging` items in one batch, and drain them."""
        assert (await self.house.deliver(delivery(*items, account=account))).status_code == 200
        await self.house.work()

    async def undrained(self) -> list[Doc]:
        """What still waits in the webhook inbox."""
        return await self.stored("webhook_inbox", due_at={"$exists": True})


def example(name: str) -> bytes:
    """An example as Meta would send it: one that is a single item of `messaging` comes in its envelope."""
    raw = (PAYLOADS / f"{name}.json").read_bytes()
    if raw.startswith(WHOLE):
        return raw
    envelope = b'{"object":"instagram","entry":[{"id":"17841400000000001","time":1795420821000,"messaging":[%s]}]}'
    return envelope % raw


def expected(mid: str, ms: int, **filled: Any) -> Doc:
    """A message as the API shows it, all of it but our own ids; what is not named is empty."""
    times = {"sent_at": moment(ms), "expires_at": rfc3339(from_ms(ms) + CONTENT_LIFE)}
    return EMPTY | {"provider_id": mid} | times | filled


def moment(ms: int) -> str:
    """An instant as the API writes it."""
    return rfc3339(from_ms(ms))


async def sit_down(house: House, account: str = ACCOUNT, **connection: Any) -> Desk:
    """Register an owner with a label and a connected account."""
    owner = await house.person()
    label_id = await house.label(owner)
    found = await house.connection(label_id, account, **connection)
    return Desk(house, owner, label_id, found["_id"])


async def only_the_clock_decides(house: House) -> None:
    """Stop the database's own sweep, which knows the system's time only and not a moved clock."""
    for name in EXPIRING:
        await house.db.open(name).drop_index("expires_at_1")


@contextmanager
def standing(house: House, at: datetime) -> Iterator[None]:
    """Let the house's time stand still at this moment."""
    house.api.clock = house.worker.clock = lambda: at
    try:
        yield
    finally:
        house.api.clock = house.worker.clock = house.clock


def move_to(house: House, at: datetime) -> None:
    """Let the house's time go on from this moment."""
    house.clock.offset = at - utc_now()


def pass_by(house: House, time: timedelta) -> None:
    """Let so much time pass."""
    house.clock.offset += time


async def places_of(house: House, canary: bytes) -> set[str]:
    """Where these bytes lie: `collection.field` or `redis:key`."""
    found = set()
    for name in await house.db.raw.list_collection_names():
        assert name in DATA_MAP, name
        async for document in house.db.raw[name].find({}, comment="all-labels: a test looks for a canary"):
            found |= {
                f"{name}.{field}" for field, value in document.items() if canary in bytes(BSON.encode({"": value}))
            }
    return found | {f"redis:{key.decode(errors='replace')}" async for key in _redis_keys(house, canary)}


READ: dict[bytes, tuple[str, tuple[int, ...]]] = {
    b"string": ("GET", ()),
    b"hash": ("HGETALL", ()),
    b"set": ("SMEMBERS", ()),
    b"list": ("LRANGE", (0, -1)),
    b"zset": ("ZRANGE", (0, -1)),
}
"""How to read a value as it is: DUMP would compress it."""


async def _redis_keys(house: House, canary: bytes) -> AsyncIterator[bytes]:
    async with redis.asyncio.Redis.from_url(house.api.settings.redis_url.get_secret_value()) as client:
        async for key in client.scan_iter():
            kind = await client.type(key)
            if kind == b"none":
                continue
            command, limits = READ[kind]
            value = await client.execute_command(command, key, *limits)
            if canary.decode() in repr((key, value)):
                yield key


@dataclass
class Meta:
    """The sandbox's control API."""

    http: httpx.AsyncClient

    async def control(self, method: str, path: str, **body: Any) -> Any:
        """A control call that must succeed."""
        answer = await self.http.request(method, f"/_sandbox{path}", json=body if body or method == "PUT" else None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ledger(self, kind: str) -> list[Doc]:
        """The effects of this kind, oldest first."""
        rows: list[Doc] = (await self.control("GET", f"/ledger?kind={kind}"))["rows"]
        return rows

    async def texts_sent(self) -> list[str]:
        """What fans got from the account, oldest first."""
        return [row["text"] for row in await self.ledger("message_sent")]

    async def fault(self, fault: str, path: str = "", **more: Any) -> None:
        """Queue a fault for the next calls whose path matches."""
        await self.control("POST", "/faults", match={"path": path}, fault=fault, **more)


async def standing_rule(house: House, label_id: str, rule_id: str) -> By:
    """A rule that stands, so that what it has decided is done; who acts, then."""
    key, stands = {"_id": rule_id, "label_id": label_id}, {"$set": {"enabled": True}}
    await house.db.open("rules").update_one(key, stands, upsert=True)
    return By("rule", rule_id, None, None)


@asynccontextmanager
async def meta_at(url: str) -> AsyncIterator[Meta]:
    """The sandbox at this address, with nothing but its seed, as it is left too: its clock is everybody's."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as http:
        meta = Meta(http)
        await meta.control("POST", "/reset")
        yield meta
        await meta.control("POST", "/reset")


class Rewriting(httpx.AsyncBaseTransport):
    """The way to the sandbox, on which somebody changes the answers to one call."""

    def __init__(self, path: str, change: Callable[[Doc], Doc]) -> None:
        self.path, self.change, self.real = path, change, httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass it on, and change what comes back."""
        answer = await self.real.handle_async_request(request)
        if not request.url.path.endswith(self.path):
            return answer
        body = json.loads(await answer.aread())
        await answer.aclose()
        return httpx.Response(answer.status_code, content=json.dumps(self.change(body)))

    async def aclose(self) -> None:
        """Close the way."""
        await self.real.aclose()


@asynccontextmanager
async def rewritten(house: House, path: str, change: Callable[[Doc], Doc]) -> AsyncIterator[None]:
    """While it lasts, a worker gets what the sandbox answers to this path changed like that."""
    worker = house.worker
    before = worker.graph.http, worker.facebook.http
    async with httpx.AsyncClient(transport=Rewriting(path, change), trust_env=False) as http:
        worker.graph.http = worker.facebook.http = http
        yield
    worker.graph.http, worker.facebook.http = before
