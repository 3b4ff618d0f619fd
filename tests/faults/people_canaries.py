"""People with canaries in every field that the data map declares of a person, and the look for them afterwards."""

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import httpx
from redis.asyncio import Redis

from app.db import Doc
from app.models.collection import Collection, Part
from app.models.data_map import DATA_MAP
from tests.api.people import join, user_of
from tests.api.test_api_erasure import begin, log_in
from tests.api.test_api_erasure_races import kept
from tests.faults.canary import find
from tests.house import House

KEPT_IDS = {"audit_log", "audit_heads", "privacy_requests", "events"}
"""Where the id of an erased person may stand: nobody is behind it any more."""
REAL = {"users", "memberships"}
"""What the person has by registering and by joining the label."""
SPANS = "all-labels: a test's canaries"
CANARIES = {"$or": [{"canary": True}, {"_id": {"$regex": "^canary_"}}]}
"""The planted documents: some have the person's id as their own, some may have no field that the map does not name."""


@dataclass
class Marked:
    """A person, and every word that is theirs alone."""

    email: str
    client: httpx.AsyncClient
    user_id: str
    label_id: str
    words: list[str] = field(default_factory=list)
    """What must be gone."""
    works: list[str] = field(default_factory=list)
    """What they made for the label, which stays the label's."""


async def mark(house: House, label_id: str, number: int) -> Marked:
    """A member of the label with a canary in each field of each part, who has called an erasure off before."""
    email = f"canary{number}.{secrets.token_hex(8)}@example.com"
    client = await join(house, email, label_id, "admin")
    await begin(client)
    await kept(house, email)
    token = (await log_in(house, email)).raise_for_status().json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    found = Marked(email, client, (await user_of(house, email))["_id"], label_id)
    name = f"Canary {secrets.token_hex(10)}"
    (await client.patch("/v1/me", json={"name": name})).raise_for_status()
    found.words += [email, name]
    for collection in DATA_MAP.values():
        for part in collection.parts:
            if part.subject == "user" and part.erase != "keep" and collection.name not in REAL:
                await _plant(house, collection, part, found)
    return found


async def _plant(house: House, collection: Collection, part: Part, person: Marked) -> None:
    held = {"address": person.email, "session": await _session(house, person)}.get(part.holds, person.user_id)
    document: Doc = {
        "_id": f"canary_{secrets.token_hex(12)}",
        "created_at": house.clock(),
        "canary": True,
        "version": 1,
    }
    if collection.fields:
        document = {name: value for name, value in document.items() if name in collection.fields}
    document |= {"label_id": person.label_id} if collection.tenant else {}
    for path in (*part.export, *part.clears):
        if path not in part.by and path != "created_at":
            _set(document, path, _canary(part, path, person))
    for path in part.by:
        _set(document, path, held)
    for index in collection.indexes:
        for key in dict(index.keys) if index.unique else ():
            if "." not in key and key not in document:
                document[key] = secrets.token_hex(8)
    document.setdefault("expires_at", house.clock() + timedelta(days=60))
    await house.db.raw[collection.name].insert_one(document)


def _canary(part: Part, path: str, person: Marked) -> str:
    """A word of the person's own; what is unlinked keeps its other fields, which are the label's."""
    word = f"canary-{secrets.token_hex(10)}"
    if path == "label_id":
        return person.label_id
    (person.words if part.erase == "delete" or path in part.clears else person.works).append(word)
    return word


async def _session(house: House, person: Marked) -> str:
    found = await house.db.open("sessions").find_one({"user_id": person.user_id}, sort=[("_id", -1)])
    return str(found["_id"]) if found else ""


def _set(document: Doc, path: str, value: Any) -> None:
    """Put a value at a path of the map."""
    head, _, rest = path.partition(".")
    if head.endswith("[]"):
        inner: Doc = {"id": secrets.token_hex(8)}
        if rest:
            _set(inner, rest, value)
        document.setdefault(head[:-2], []).append(inner if rest else value)
    elif rest:
        _set(document.setdefault(head, {}), rest, value)
    else:
        document[head] = value


async def everything(house: House, redis_url: str, logged: bytes) -> dict[str, bytes]:
    """What every store holds: each collection, Redis, the files, and the log."""
    held: dict[str, bytes] = {"the log": logged}
    for name in DATA_MAP:
        found = house.db.raw[name].find({}, comment=SPANS)
        held[name] = b"".join([bson.encode(document) async for document in found])
    redis = Redis.from_url(redis_url)
    held["Redis"] = b""
    for key in await redis.keys("*"):
        held["Redis"] += key + (await redis.dump(key) or b"")
    await redis.aclose()
    held["the files"] = await asyncio.to_thread(_files, Path(str(house.api.settings.storage_folder)))
    return held


async def mails_since(house: House, began_at: datetime) -> bytes:
    """The mails that have gone out since then, to whomever."""
    async with httpx.AsyncClient(base_url=house.postbox_url, trust_env=False) as postbox:
        found = (await postbox.get("/mails")).raise_for_status().json()
    return repr([mail for mail in found if datetime.fromisoformat(mail["received_at"]) >= began_at]).encode()


def _files(folder: Path) -> bytes:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


def left_of(people: list[Marked], held: dict[str, bytes]) -> list[str]:
    """Where a word of these people still stands, in eight encodings; or the id where it may not."""
    words = [word for person in people for word in person.words]
    strange = {place: found for place, found in held.items() if place not in KEPT_IDS and place != "the log"}
    return find(words, held) + find([person.user_id for person in people], strange)


async def planted_in(house: House) -> Counter[str]:
    """How many planted documents there are, by collection."""
    return Counter({name: await house.db.raw[name].count_documents(CANARIES, comment=SPANS) for name in DATA_MAP})


async def disturb(house: House, people: list[Marked], *, rounds: int) -> None:
    """What goes on meanwhile: log-ins, forgotten passwords, invitations, registrations with the same address."""
    for _ in range(rounds):
        for person in people:
            login = {"email": person.email, "password": "a wrong sentence of mine"}
            await house.http.post("/v1/sessions", json=login)
            await house.http.post("/v1/password-resets", json={"email": person.email})
            await person.client.get("/v1/me")
            await person.client.post(f"/v1/labels/{person.label_id}/saved-replies", json={"name": "x", "text": "y"})
            await asyncio.sleep(0)
