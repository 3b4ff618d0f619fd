"""The ground on which violations of promises are planted, through the database or the settings, and taken away."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app.db import Doc
from app.ids import new_id
from app.models.consent_texts import current
from app.models.features import asked_scopes, features_of
from app.models.policies import POLICIES, Policies
from app.services.promises.listing import PROMISES
from app.services.promises.measuring import measure
from app.services.promises.promise import Look
from app.services.promises.showing import State, states
from app.settings import WorkerSettings
from tests.house import House
from tests.watch import PLANTED

WHY = f"{PLANTED} a violation"
DAY = timedelta(days=1)


@dataclass
class Ground:
    """A house whose promises all hold, and what violations are made of."""

    house: House
    label_id: str
    user_id: str
    connection: Doc
    settings: WorkerSettings
    folder: Path
    policies: Policies = POLICIES
    undo: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """The house's time."""
        found: datetime = self.house.clock()
        return found

    @property
    def look(self) -> Look:
        """As a worker looks."""
        return Look(self.house.db, self.settings, self.now, self.policies)

    async def measure(self, *only: str) -> dict[str, State]:
        """Measure every promise, or these; how each stands, by its id."""
        for promise in PROMISES:
            if not only or promise.id in only:
                await measure(self.look, promise)
        return {state.promise.id: state for state in await states(self.house.db, now=self.now)}

    async def broken(self, *only: str) -> dict[str, str]:
        """The promises that do not hold, with what is in their way, when all or these are measured."""
        found = await self.measure(*only)
        return {name: f"{one.figure} {one.detail}" for name, one in found.items() if not one.holding}

    async def put(self, name: str, /, **fields: Any) -> str:
        """Store a document past our own code; it goes when everything is well again."""
        document: Doc = {"_id": new_id("evt")} | fields
        await self.house.db.raw[name].insert_one(document, comment=WHY)
        self.undo.append(lambda: self.house.db.raw[name].delete_one({"_id": document["_id"]}, comment=WHY))
        return str(document["_id"])

    async def change(self, name: str, _id: str, /, **fields: Any) -> None:
        """Change a document past our own code, until everything is well again."""
        before = await self.house.db.raw[name].find_one({"_id": _id}, comment=WHY)
        assert before is not None
        await self.house.db.raw[name].update_one({"_id": _id}, {"$set": fields}, comment=WHY)
        self.undo.append(lambda: self.house.db.raw[name].replace_one({"_id": _id}, before, comment=WHY))

    def set(self, **changes: Any) -> None:
        """Have other settings, until everything is well again."""
        before = self.settings
        self.settings = before.model_copy(update=changes)

        async def back() -> None:
            self.settings = before

        self.undo.append(back)

    async def heal(self) -> None:
        """Take every violation away."""
        while self.undo:
            await self.undo.pop()()

    def of_fan(self, **fields: Any) -> Doc:
        """What a message and a comment have in common: fresh, and of the connection."""
        mine = {"label_id": self.label_id, "connection_id": self.connection["_id"], "provider": "instagram"}
        times = {"sent_at": self.now, "received_at": self.now, "expires_at": self.now + 29 * DAY}
        return mine | times | {"provider_id": secrets.token_hex(8)} | fields

    def request(self, kind: str) -> Doc:
        """A request of the label's owner that was due yesterday."""
        times = {"received_at": self.now - 32 * DAY, "due_at": self.now - DAY, "closed_at": None}
        whose = {"label_id": None, "user_id": self.user_id, "kind": kind, "state": "received"}
        return whose | times | {"expires_at": self.now + DAY}

    def consent(self, subject: str) -> Doc:
        """A consent to being counted."""
        text = current("analytics")
        words = {"text_version": text.version, "text_digest": text.sha256, "language": text.language}
        told = {"purpose": "analytics", "decision": "given", "how": "banner", "gpc": False, "at": self.now}
        ends = {"ends_at": self.now + 100 * DAY, "expires_at": self.now + 900 * DAY}
        return {"subject": subject, "seq": 1} | words | told | ends

    def used(self, subject: str) -> Doc:
        """A note of a page that somebody has seen."""
        what = {"kind": "page", "name": "inbox", "browser": "Firefox", "system": "Linux", "consent_seq": 1}
        when = {"at": self.now, "month": f"{self.now:%Y-%m}", "expires_at": self.now + DAY}
        return {"subject": subject, "batch": "ubt_1"} | what | when


Plant = Callable[[Ground], Awaitable[Any]]
PLANTS: dict[str, Plant] = {}


def plants(promise_id: str) -> Callable[[Plant], Plant]:
    """Say which promise it breaks."""

    def kept(plant: Plant) -> Plant:
        PLANTS[promise_id] = plant
        return plant

    return kept


@asynccontextmanager
async def ground(house: House, folder: Path) -> AsyncIterator[Ground]:
    """A label with a connected account, and one of each that a sample would look at."""
    owner = await house.person()
    label_id = await house.label(owner)
    scopes = asked_scopes("instagram", features_of("instagram"), "instagram")
    connection = await house.connection(label_id, asked_scopes=scopes, granted_scopes=scopes)
    user_id = (await owner.get("/v1/me")).json()["id"]
    settings = house.worker.settings
    found = Ground(house, label_id, user_id, connection, settings, folder)
    yield found
    await found.heal()
    await owner.aclose()
