"""What the flows of sending share: answering in any form, on Instagram, behind a Page, and on Messenger."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from app.clients.remote_messages import RemoteMessage
from app.clock import utc_now
from app.db import Doc
from app.services.inbox import remote
from app.services.inbox.drain import store_received
from tests.flows.facebook_harness import NIGHTJAR, NIGHTJAR_IG, log_in
from tests.flows.flows_harness import Desk, Meta
from tests.house import House

IMAGE = {"attachment": {"type": "image", "url": "https://cdn.example.test/sleeve.jpg"}}


@dataclass
class Talk:
    """A fan's conversation, of which the first message has come in."""

    desk: Desk
    conversation_id: str
    fan_id: str
    mid: str
    """Meta's id of the fan's message."""

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/v1/labels/{self.desk.label_id}/conversations/{self.conversation_id}"

    async def say(self, body: Doc, status: int = 202, **headers: str) -> Doc:
        """Answer, and hand the API's answer back."""
        found = await self.desk.owner.post(f"{self.path}/messages", json=body, headers=headers)
        assert found.status_code == status, found.text
        shown: Doc = found.json()
        return shown

    async def send(self, body: Doc) -> tuple[Doc, Doc]:
        """Answer and let the worker work once; the message and its operation then."""
        return await self.after_work(await self.say(body))

    async def after_work(self, message: Doc) -> tuple[Doc, Doc]:
        """Let the worker work once; the message and its operation then."""
        await self.desk.house.work()
        return await self.desk.get(f"/messages/{message['id']}"), await self.operation(message["operation_id"])

    async def operation(self, operation_id: str) -> Doc:
        """As the API shows it."""
        found: Doc = (await self.desk.owner.get(f"/v1/operations/{operation_id}")).raise_for_status().json()
        return found

    async def do(self, path: str, body: Doc | None = None, *, method: str = "POST", status: int = 202) -> Doc:
        """Another call under the label."""
        found = await self.desk.owner.request(method, f"/v1/labels/{self.desk.label_id}{path}", json=body)
        assert found.status_code == status, found.text
        shown: Doc = found.json()
        return shown

    async def may(self, owner: httpx.AsyncClient | None = None) -> Doc:
        """What the API says of writing to the fan."""
        found: Doc = (await (owner or self.desk.owner).get(f"{self.path}/eligibility")).raise_for_status().json()
        return found

    async def set(self, **fields: Any) -> None:
        """Change the stored conversation."""
        key = {"_id": self.conversation_id, "label_id": self.desk.label_id}
        await self.desk.house.db.open("conversations").update_one(key, {"$set": fields})


async def talk(desk: Desk, fan: str = "mara", ago: timedelta = timedelta()) -> Talk:
    """A fan of the Instagram account writes."""
    written = await desk.house.fan_writes(fan, "Hello?", at=desk.house.ms(ago))
    found = await desk.conversation(written["igsid"])
    return Talk(desk, found["id"], written["igsid"], written["mid"])


async def talk_by_facebook(house: House, meta: Meta, account: str) -> Talk:
    """A fan writes to a Page, or to the Instagram account behind it, that was connected with Facebook.

    The message is stored as reading back would do it: these tests are about the way out.
    """
    login = await log_in(house)
    connection_id = (await login.connect(account))[account]["connection_id"]
    desk = Desk(house, login.owner, login.label_id, connection_id)
    written = await meta.control("POST", "/fans/write", fan="mara", account=account, text="Hello?")
    fan_id = written.get("psid") or written["igsid"]
    [connection] = await desk.stored("connections", _id=connection_id)
    shown = RemoteMessage(
        written["mid"], fan_id, (account,), "Hello?", (), (), None, unsupported=False, created_at=utc_now()
    )
    received = remote.changes_of(connection, fan_id, [shown], known=(), key=b"key", now=house.clock())
    await store_received(house.db, received, now=house.clock(), key=b"key")
    return Talk(desk, (await desk.conversation(fan_id))["id"], fan_id, written["mid"])


WAYS = ("instagram", NIGHTJAR_IG, NIGHTJAR)
"""By Instagram's own log-in, Instagram behind a Page, and the Page's Messenger."""


async def talk_by(way: str, house: House, meta: Meta) -> Talk:
    """A conversation that came this way."""
    if way != "instagram":
        return await talk_by_facebook(house, meta, way)
    owner = await house.person()
    label_id = await house.label(owner)
    return await talk(Desk(house, owner, label_id, (await house.connect(owner, label_id))["id"]))
