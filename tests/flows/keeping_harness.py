"""Accounts that are kept connected: their log-in, a time that passes here and at the providers, and what came of it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import httpx

from app.db import Doc
from app.services.connections import tending
from app.services.connections.schedule import next_warning
from app.services.vault.secrets import put_secret
from sandbox.settings import Settings
from tests.flows.flows_harness import Meta
from tests.house import House
from tools import embedded

OWNER, ADMIN = "owner@example.com", "admin@example.com"
DAY = timedelta(days=1)
PAGE = "100000000000001"


def spotify_env(sandbox_url: str) -> dict[str, str]:
    """The settings of a product that has an app at the sandbox's Spotify."""
    app = {
        "SOUNDOPS_SPOTIFY_CLIENT_ID": Settings().spotify_client_id,
        "SOUNDOPS_SPOTIFY_CLIENT_SECRET": Settings().spotify_client_secret,
    }
    return app | embedded.spotify_urls(sandbox_url)


@dataclass
class Kept:
    """A connection of a label, whose owner is `OWNER`, and the sandbox it is connected to."""

    house: House
    meta: Meta
    label_id: str
    connection_id: str

    async def now(self) -> Doc:
        """The connection as it is stored."""
        found = await self.house.db.open("connections").find_one({"_id": self.connection_id, "label_id": self.label_id})
        assert found is not None
        return found

    async def set(self, **changes: object) -> None:
        """Have the connection so."""
        key = {"_id": self.connection_id, "label_id": self.label_id}
        await self.house.db.open("connections").update_one(key, {"$set": changes})

    async def stored(self, name: str, **query: object) -> list[Doc]:
        """The label's documents of this collection, oldest first."""
        found = self.house.db.open(name).find({"label_id": self.label_id} | query)
        return await found.sort("_id", 1).to_list()

    async def refreshes(self) -> list[Doc]:
        """The refresh operations."""
        return await self.stored("operations", kind="refresh_token")

    async def events(self, kind: str) -> list[Doc]:
        """The events of this type about the connection."""
        return await self.stored("events", type=kind, target=self.connection_id)

    async def subjects(self, to: str = OWNER) -> Counter[str]:
        """The subjects of the mails about connections that this address has got."""
        return Counter(mail["subject"] for mail in await self.house.mails(to) if "connected anew" in mail["subject"])

    async def pass_by(self, time: timedelta) -> None:
        """Let so much time pass here and at the providers; then a worker makes its round."""
        self.house.clock.offset += time
        await self.meta.control("PUT", "/clock", offset_s=self.house.clock.offset.total_seconds())
        await self.round()

    async def round(self) -> None:
        """What a worker's loops would do now, until nothing more is due."""
        await tending.tend(self.house.db, self.house.worker.audit, clock=self.house.clock)
        await self.house.work()
        await self.house.work()

    async def days(self, count: int) -> None:
        """Let so many days pass, with a round on each."""
        for _ in range(count):
            await self.pass_by(DAY)


async def kept(house: House, meta: Meta, provider: str, user: str) -> Kept:
    """Connect an account of this user of the sandbox's by the real log-in, at a new label."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    wish = {"provider": provider, "features": ["catalogue"] if provider == "spotify" else ["messages", "comments"]}
    begun = (await owner.post(f"/v1/labels/{label_id}/connections", json=wish)).raise_for_status().json()
    await decide(owner, begun["authorize_url"], user)
    await house.work()
    return Kept(house, meta, label_id, begun["id"])


async def decide(owner: httpx.AsyncClient, authorize_url: str, user: str) -> None:
    """Allow it at the provider's dialog as this user, and come back."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        form = {"account": user, "user": user, "allow": "1"}
        back = urlsplit((await browser.post(authorize_url, data=form)).headers["location"])
    (await owner.get(f"{back.path}?{back.query}")).raise_for_status()


async def facebook(house: House, meta: Meta, answer: Callable[[httpx.Request], httpx.Response]) -> Kept:
    """A connected Page whose person's token lives for sixty days; `answer` is Facebook."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    now, ends_at = house.clock(), house.clock() + timedelta(days=60)
    told: Doc = {"provider": "facebook", "network": "facebook", "refresh_at": now + 29 * DAY}
    told |= {"access_ends_at": ends_at, "warn_at": next_warning(ends_at, now)}
    found = await house.connection(label_id, PAGE, **told)
    await put_secret(house.db, house.api.ring, "user-0", connection=found, purpose="user_token", now=now)
    house.worker.facebook.http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Kept(house, meta, label_id, found["_id"])
