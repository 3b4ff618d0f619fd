"""Many Spotify connections on a running product, and what became of them: for drills about refreshing."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from app.clock import utc_now
from app.db import ALL_LABELS, Database, Doc, Session
from app.ids import new_id
from app.models.operations import OperationKind
from app.services import operations
from app.services.connections.schedule import end_of_grant
from app.services.vault.envelope import SealBroken, unseal
from app.services.vault.private_ring import load_private
from app.services.vault.ring import WatchedPublicRing
from app.services.vault.secrets import binding_of, put_secrets
from sandbox.spotify_seed import find_user
from tests.faults.api_plant import log_in, register
from tests.flows.keeping_harness import spotify_env
from tests.house import APP_ID, APP_SECRET, VERIFY_TOKEN, make_keys, settings_env
from tools import embedded
from tools.child import Child, running
from tools.plan import api_env, worker_env

OWNER = "owner@example.com"
WHY = f"{ALL_LABELS}a drill looks"


@dataclass
class Stage:
    """What runs. The workers are not started yet."""

    sandbox: httpx.Client
    apis: list[Child]
    workers: list[Child]
    database_url: str
    keys: Path
    label_id: str = ""
    owner: dict[str, str] = field(default_factory=dict)
    """The header of the owner's session."""
    seq: int = 0
    """Of the sandbox's ledger, when all were connected."""

    def ledger(self, kind: str) -> list[Doc]:
        """The sandbox's rows of this kind since then."""
        params: dict[str, Any] = {"kind": kind, "since": self.seq}
        rows: list[Doc] = self.sandbox.get("/ledger", params=params).raise_for_status().json()["rows"]
        return rows

    def options(self, **options: Any) -> None:
        """Have Spotify behave so."""
        self.sandbox.put("/spotify", json=options).raise_for_status()


@contextmanager
def stage(folder: Path, *, workers: int, apis: int, **settings: str) -> Iterator[Stage]:
    """Run a database, Redis, the sandbox, a postbox and so many APIs, with an owner and a label."""
    database, redis = embedded.mongodb_child(folder / "mongodb"), embedded.valkey_child(folder / "valkey")
    postbox = embedded.postbox_child(folder / "postbox")
    told: dict[str, Any] = {"app_id": APP_ID, "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN}
    sandbox = embedded.sandbox_child(folder / "sandbox", "http://127.0.0.1:9/v1/webhooks/meta", **told)
    keys = make_keys(folder / "keys")
    urls = {"mongodb_url": database.url, "redis_url": redis.url, "smtp_url": embedded.smtp_url(postbox)}
    env = settings_env(keys, **urls, sandbox_url=sandbox.url, **spotify_env(sandbox.url), **settings)
    logs = folder / "logs"
    made = [
        embedded.api_child(api_env(env | {"SOUNDOPS_PORT": str(embedded.free_port())}), log=logs / f"api{n}.log")
        for n in range(apis)
    ]
    hands = [embedded.worker_child(worker_env(env), log=logs / f"worker{n}.log") for n in range(workers)]
    for worker in hands:
        worker.command = [sys.executable, "-m", "tests.faults.refresh_worker"]
    with (
        running(database, redis, sandbox, postbox),
        running(*made),
        httpx.Client(base_url=f"{sandbox.url}/_sandbox", timeout=30, trust_env=False) as control,
    ):
        found = Stage(control, made, hands, database.url, keys)
        with httpx.Client(base_url=made[0].url, timeout=30, trust_env=False) as http:
            register(http, OWNER)
            found.owner = log_in(http, OWNER)
            label = http.post("/v1/labels", json={"name": "Nightjar", "slug": "nightjar"}, headers=found.owner)
            found.label_id = label.raise_for_status().json()["id"]
        try:
            yield found
        finally:
            for worker in hands:
                worker.end()


async def connect(stage: Stage, count: int, *, ends_at: datetime, used_at: datetime, uses: int) -> None:
    """Connect so many accounts whose access tokens all end at one moment; each is used `uses` times at another."""
    db, ring = Database(stage.database_url), WatchedPublicRing(stage.keys / "ring.public.json")
    for number in range(1, count + 1):
        left_s = max(1, round((ends_at - utc_now()).total_seconds()))
        stage.options(access_token_s=left_s)
        granted = stage.sandbox.post("/spotify/grant", json={"user": f"user{number}"}).raise_for_status().json()
        connection = _connection(stage.label_id, f"user{number}", ends_at=ends_at, refresh_at=used_at)
        tokens = {name: granted[name] for name in ("access_token", "refresh_token")}
        await db.in_transaction(_insertion(db, ring, connection, tokens, used_at=used_at, uses=uses))
    db.close()
    stage.seq = stage.sandbox.get("/ledger").raise_for_status().json()["last_seq"]


def _insertion(db: Database, ring: Any, connection: Doc, tokens: dict[str, str], *, used_at: Any, uses: int) -> Any:
    now = utc_now()
    told = {"label_id": connection["label_id"], "target": connection["_id"], "connection_id": connection["_id"]}

    async def all_of_it(session: Session) -> None:
        await db.open("connections").insert_one(connection, session=session)
        await put_secrets(db, ring, tokens, connection=connection, now=now, session=session)
        for number in range(uses):
            key = f"use:{connection['_id']}:{number}"
            kind: OperationKind = "check_connection"
            await operations.add(db, kind=kind, key=key, **told, now=now, due_at=used_at, session=session)

    return all_of_it


def _connection(label_id: str, handle: str, *, ends_at: datetime, refresh_at: datetime) -> Doc:
    user, now = find_user(handle), utc_now()
    assert user is not None
    account = {"provider_id": user.account_id, "username": user.id, "name": user.name, "picture_url": None}
    return {
        "_id": new_id("con"),
        "label_id": label_id,
        "provider": "spotify",
        "network": "spotify",
        "status": "active",
        "problem": None,
        "features": ["catalogue"],
        "active_features": ["catalogue"],
        "asked_scopes": [],
        "granted_scopes": [],
        "account": account | {"kind": "spotify_user"},
        "account_ids": [user.account_id],
        "person_ids": [user.account_id],
        "subscription_id": None,
        "subscribed_fields": [],
        "active_account_id": user.account_id,
        "token_version": 1,
        "token_issued_at": now,
        "token_expires_at": ends_at,
        "access_ends_at": end_of_grant(now),
        "authorized_at": now,
        "refresh_at": refresh_at,
        "renews": None,
        "created_at": now,
        "version": 1,
    }


@dataclass
class Verdict:
    """What became of all connections. `troubles` is empty when all that was promised held."""

    states: Counter[str] = field(default_factory=Counter)
    refreshed: int = 0
    """Refreshes that Spotify executed."""
    repeated: int = 0
    """Answers that it gave once more for the same."""
    refused: Counter[str] = field(default_factory=Counter)
    """Its refusals, by their true reason."""
    attempts: int = 0
    """The most often that one refresh was begun."""
    uses: Counter[str] = field(default_factory=Counter)
    mails: int = 0
    troubles: list[str] = field(default_factory=list)


async def judge(stage: Stage) -> Verdict:
    """Look at the ledger, the connections, what is sealed for them, and what the workers logged."""
    db, verdict = Database(stage.database_url), Verdict()
    connections = await db.open("connections").find({"label_id": stage.label_id}).to_list()
    pairs, alive = await _sealed(db, stage), _alive(stage)
    refreshed = Counter(row["user"] for row in stage.ledger("spotify_token_refreshed"))
    verdict.refreshed, verdict.repeated = refreshed.total(), len(stage.ledger("spotify_token_repeated"))
    verdict.refused = Counter(row["reason"] for row in stage.ledger("spotify_token_refused"))
    for connection in connections:
        state = connection["status"] + (f"/{connection['problem']}" if connection["problem"] else "")
        verdict.states[state] += 1
        handle = connection["account"]["username"].removesuffix(".listens")
        sealed = pairs.get(connection["_id"], {})
        verdict.troubles += [
            f"{handle}: {trouble}"
            for trouble, there in {
                f"refreshed {refreshed[handle]} times": refreshed[handle] != 1,
                "its secrets are not both there": set(sealed) != {"access_token", "refresh_token"},
                "active, but what is sealed is not the live pair": state == "active"
                and set(sealed.values()) != alive.get(handle),
                f"ended {state}": state not in ("active", "needs_reauth/token_dead"),
            }.items()
            if there
        ]
    dead = [row for row in stage.ledger("spotify_called") if row["dead"]]
    verdict.troubles += [f"a dead token was used for {row['user']}" for row in dead]
    found = await db.open("operations").find({"label_id": stage.label_id}).to_list()
    refreshes = [one for one in found if one["kind"] == "refresh_token"]
    verdict.attempts = max((one["attempts"] for one in refreshes), default=0)
    ends = Counter(one["target"] for one in refreshes)
    verdict.troubles += [f"{target}: {count} refresh operations" for target, count in ends.items() if count != 1]
    uses = [one for one in found if one["kind"] == "check_connection"]
    verdict.uses = Counter(str((one["problem"] or {}).get("code", one["state"])) for one in uses)
    verdict.mails = sum(one["kind"] == "send_mail" for one in found)
    if verdict.mails != verdict.states["needs_reauth/token_dead"]:
        verdict.troubles.append(f"{verdict.mails} mails about {verdict.states['needs_reauth/token_dead']} suspended")
    db.close()
    issued = stage.sandbox.get("/tokens").raise_for_status().json()["ever_issued"]
    logs = "".join(child.log.read_text(errors="replace") for child in (*stage.apis, *stage.workers))
    verdict.troubles += ["a token is in a log"] * any(token in logs for token in issued)
    return verdict


async def _sealed(db: Database, stage: Stage) -> dict[str, dict[str, str]]:
    """By connection and purpose, what the vault holds."""
    ring = load_private(stage.keys / "ring.private.json")
    found: dict[str, dict[str, str]] = {}
    async for row in db.open("secrets").find({"label_id": stage.label_id}):
        connection = {"_id": row["connection_id"], "label_id": row["label_id"], "provider": row["provider"]}
        try:
            secret = await unseal(ring, row["envelope"], binding_of(row["_id"], connection, row["purpose"]))
        except SealBroken:
            secret = "broken"
        found.setdefault(row["connection_id"], {})[row["purpose"]] = secret
    return found


def _alive(stage: Stage) -> dict[str, set[str]]:
    """By user, the newest access token and the newest refresh token that Spotify has given."""
    newest: dict[tuple[str, str], Doc] = {}
    for token in stage.sandbox.get("/tokens").raise_for_status().json()["spotify"]:
        place = (token.get("user"), token["kind"])
        if "number" in token and token["number"] >= newest.get(place, token)["number"]:
            newest[place] = token
    alive: dict[str, set[str]] = {}
    for (user, _), token in newest.items():
        alive.setdefault(user, set()).add(token["value"])
    return alive


def wait_until_settled(stage: Stage, *, within_s: float, watch: Any = None) -> float:
    """Wait until no refresh and no use is to be done within the next minutes; the seconds that it took."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        if watch:
            watch()
        if asyncio.run(_unsettled(stage)) == 0:
            break
        time.sleep(0.5)
    return time.monotonic() - began


async def _unsettled(stage: Stage) -> int:
    """How many operations are to be done within five minutes; a probe of a token believed dead comes later."""
    db = Database(stage.database_url)
    soon = datetime.fromtimestamp(time.time() + 300, tz=utc_now().tzinfo)
    query = {"label_id": stage.label_id, "state": {"$in": ["queued", "running"]}, "due_at": {"$lte": soon}}
    count: int = await db.open("operations").count_documents(query)
    db.close()
    return count
