"""What the export run stands on: a label with very much in it, a worker, a storage, and what an export must hold."""

import asyncio
import json
import random
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import pymongo

from app.clients.objects import Objects
from app.clock import utc_now
from app.db import Database, Doc, create_indexes
from app.derived_keys import derive
from app.ids import new_id
from app.services.assets.opening import open_objects
from app.services.audit import Audit, By
from app.services.exports import handing, store
from app.settings import WorkerSettings
from tests.export_plant import Planted, plant_label
from tests.flows.assets_harness import make_bucket, s3_env
from tests.house import make_keys, settings_env
from tools import embedded
from tools.child import Child, running
from tools.plan import worker_env

SETTINGS = {"SOUNDOPS_LEASE_S": "3", "SOUNDOPS_GRAPH_TIMEOUT_S": "1", "SOUNDOPS_SWEEP_S": "0.2"}
"""An export is taken over three seconds after its worker's death."""
SHARES = {"messages": 0.6, "comments": 0.25, "media_days": 0.1, "notes": 0.05}
WORDS = ("vinyl", "tour", "sleeve", "friday", "night", "ticket", "press", "signed", "early", "sold", "please")
AT_ONCE = 250
PATIENCE_MS = 120_000


@dataclass
class Ground:
    """What runs, and what was planted."""

    database: Child
    worker: Child
    env: dict[str, str]
    settings: WorkerSettings
    label_id: str
    user_id: str
    planted: Planted
    rows: dict[str, set[str]] = field(default_factory=dict, repr=False)
    """Ids of the rows that an export has of each of the large collections."""

    @contextmanager
    def opened(self) -> Iterator[tuple[Database, Objects]]:
        """The database and the storage."""
        db, objects = Database(self.database.url), open_objects(self.settings)
        try:
            yield db, objects
        finally:
            db.close()


@contextmanager
def ground(folder: Path, *, rows: int, seed: int) -> Iterator[Ground]:
    """A database with a label of so many rows, Redis and a bucket, all running; the worker is not started yet."""
    database = embedded.mongodb_child(folder / "mongodb", ttl_sweep_s=60)
    redis, moto = embedded.valkey_child(folder / "valkey"), embedded.moto_child(folder / "moto")
    keys = make_keys(folder / "keys")
    with running(database, redis, moto):
        asyncio.run(make_bucket(moto.url))
        env = settings_env(keys, mongodb_url=database.url, redis_url=redis.url, **SETTINGS) | s3_env(moto.url)
        env = worker_env({name: value for name, value in env.items() if value})
        told = {name.removeprefix("SOUNDOPS_").lower(): value for name, value in env.items()}
        settings = WorkerSettings(**told)  # type: ignore[arg-type]
        worker = embedded.worker_child(env, log=folder / "logs" / "worker.log")
        made = Ground(database, worker, env, settings, new_id("lbl"), new_id("usr"), Planted())
        asyncio.run(_plant(made, rows, random.Random(seed)))
        try:
            yield made
        finally:
            worker.end()


async def _plant(made: Ground, rows: int, rng: random.Random) -> None:
    with made.opened() as (db, _):
        await create_indexes(db)
        now, other = utc_now(), new_id("lbl")
        user: Doc = {"_id": made.user_id, "name": "Mara", "email": "m@example.com", "email_key": "m@example.com"}
        await db.open("users").insert_one(user | {"created_at": now, "version": 1})
        for label_id, slug in ((made.label_id, "nightjar"), (other, "other")):
            label = {"_id": label_id, "name": slug, "slug": slug, "created_at": now, "version": 1}
            await db.open("labels").insert_one(label)
        made.planted = await plant_label(db, made.label_id, other, now=now)
    with pymongo.MongoClient[Doc](made.database.url, connectTimeoutMS=PATIENCE_MS) as client:
        for name, share in SHARES.items():
            made.rows[name] = set()
            for label_id, count in ((made.label_id, int(rows * share)), (other, int(rows * share * 0.02))):
                _fill(client.get_default_database(), made, name, label_id, count, rng)


def _fill(store: Any, made: Ground, name: str, label_id: str, count: int, rng: random.Random) -> None:
    """Past our own code, whose patience with a stand-in that has very much to write is too short."""
    now = utc_now()
    for start in range(0, count, AT_ONCE):
        documents = []
        for number in range(start, min(start + AT_ONCE, count)):
            text = " ".join(rng.choices(WORDS, k=25))
            ends = now + timedelta(hours=rng.choice((12, 30, 300, 700)))
            document: Doc = {
                "_id": new_id("msg"),
                "label_id": label_id,
                "connection_id": "con_1",
                "conversation_id": f"cnv_{number % 400}",
                "provider_id": f"{name}{label_id}{number}",
                "media_id": f"med_{number}",
                "day": "2026-11-01",
                "metrics": {"reach": number},
                "author": {"provider_id": str(number % 300), "username": "fan"},
                "content": {"text": text},
                "text": text,
                "direction": "in",
                "sent_at": now,
                "ordered_at": now,
                "created_at": now,
                "expires_at": ends,
            }
            documents.append(document)
            if label_id == made.label_id and (name == "media_days" or ends > now + timedelta(hours=24)):
                made.rows[name].add(document["_id"])
        store[name].insert_many(documents, ordered=False)


async def ask(made: Ground) -> str:
    """Ask for an export of the label, as the first one there is; its id."""
    with made.opened() as (db, _):
        await db.open("exports").delete_many({"label_id": made.label_id, "kind": "label"})
        by = By("person", made.user_id, None, None)
        audit = Audit(db, derive(made.settings, "audit"))
        asked: dict[str, Any] = {"user_id": made.user_id, "label_id": made.label_id, "by": by, "now": utc_now()}
        operation = await store.ask(db, audit, kind="label", **asked)
        return str(operation["target"])


async def state_of(made: Ground, export_id: str) -> str:
    """How far its operation is."""
    with made.opened() as (db, _):
        query = {"label_id": made.label_id, "kind": "export_label", "target": export_id}
        found = await db.open("operations").find_one(query)
        return str(found["state"]) if found else "gone"


async def judge(made: Ground, export_id: str, to: Path) -> list[str]:
    """What is wrong with a finished export: of its file, of what it holds, of what was left behind."""
    with made.opened() as (db, objects):
        export = await store.find_anywhere(db, export_id)
        if export is None or export["state"] != "ready":
            return [f"it is {export and export['state']}"]
        size = 0
        opener = await handing.opener_of(objects, derive(made.settings, store.OVER_KEY), export)
        with to.open("wb") as file:
            async for piece in handing.chunks(objects, opener, export):
                file.write(piece)
                size += len(piece)
        troubles = [] if size == export["file"]["bytes"] else ["its size is not what was told"]
        keys = [*await objects.keys_below("exports/"), *await objects.parts_below("exports/")]
        troubles += [] if keys == [store.key_of(export)] else [f"left in the storage: {keys}"]
        told = db.open("audit_log").find({"label_id": made.label_id, "target": export_id})
        rows = Counter([row["action"] async for row in told])
        troubles += [] if rows == {"export.asked": 1, "export.made": 1} else [f"the audit log tells {dict(rows)}"]
        mails = await db.open("mails").count_documents(
            {"label_id": made.label_id, "template": "label_export_ready", "created_at": {"$gte": export["created_at"]}}
        )
        troubles += [] if mails == 1 else [f"{mails} mails"]
        await objects.close()
    return troubles + _judge_content(made, to)


def _judge_content(made: Ground, path: Path) -> list[str]:
    troubles = []
    with zipfile.ZipFile(path) as zipped:
        for name, wanted in made.rows.items():
            with zipped.open(f"{name}.jsonl") as file:
                found = Counter(row["id"] for row in _rows(file))
            planted = sum(found.values()) - len(wanted)  # the canaries' own row
            missing, twice = wanted - found.keys(), [one for one, count in found.items() if count > 1]
            if missing or twice or planted != 1:
                troubles.append(f"{name}: {len(missing)} missing, {len(twice)} twice, {planted} beside")
        texts = b"".join(zipped.read(one) for one in zipped.namelist() if one.removesuffix(".jsonl") not in made.rows)
        texts += b"".join(b"".join(_canaries(zipped, name)) for name in made.rows)
        missing = {one for one in made.planted.wanted if one.encode() not in texts}
        extra = {one for one in made.planted.forbidden if one.encode() in texts}
        troubles += [f"fields missing: {sorted(missing)}, extra: {sorted(extra)}"] if missing or extra else []
    return troubles


def _rows(file: IO[bytes]) -> Iterator[Doc]:
    for line in file:
        yield json.loads(line)


def _canaries(zipped: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with zipped.open(f"{name}.jsonl") as file:
        yield from (line for line in file if b"canary-" in line or b"trap-" in line)
