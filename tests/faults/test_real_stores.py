"""Nothing exists that nobody has declared: the product runs, everything that it made is listed, and compared."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from app.db import Doc
from tests.faults.plant import Plant, plant
from tests.faults.real_stores import counts, undeclared
from tests.faults.send_run import fans_write
from tests.flows.assets_harness import jpeg
from tools.demo import ACCOUNT

WAIT = {"Prefer": "wait=15"}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A product that has done a bit of everything."""
    with plant(tmp_path_factory.mktemp("stores"), SOUNDOPS_LOG_LEVEL="INFO") as running:
        with running.owner() as http:
            _inbox(running, http)
            _publishing(running, http)
            _people(running, http)
            http.get("/v1/privacy/promises").raise_for_status()
            http.post("/v1/webhooks/meta", content=b"{}", headers={"X-Hub-Signature-256": "sha256=00"})
            _wait_for(running, "attestations")
        yield running


def _inbox(running: Plant, http: httpx.Client) -> None:
    conversation = fans_write(running, 1)[0]
    path = f"/v1/labels/{running.label_id}"
    for text in ("It ships on Friday.", "!!error:190/463"):
        http.post(f"{path}/conversations/{conversation}/messages", json={"text": text}, headers=WAIT).raise_for_status()
    rule = {"name": "Links", "when": "comment", "conditions": {"match": "all", "of": [{"kind": "links"}]}}
    http.post(f"{path}/rules", json=rule | {"actions": [{"kind": "hide"}]}).raise_for_status()
    with httpx.Client(base_url=running.sandbox.url, timeout=20, trust_env=False) as box:
        order: Doc = {"fan": "teo", "account": ACCOUNT, "text": "more at bit.ly/x2"}
        box.post("/_sandbox/fans/comment", json=order).raise_for_status()
    _wait_for(running, "comments")


def _publishing(running: Plant, http: httpx.Client) -> None:
    path = f"/v1/labels/{running.label_id}"
    content = jpeg()
    begun: Doc = http.post(f"{path}/assets", json={"name": "sleeve.jpg", "content_type": "image/jpeg"}).json()
    form = begun["upload"]
    http.post(form["url"], data=form["fields"], files={"file": ("a", content, "image/jpeg")}).raise_for_status()
    http.post(f"{path}/assets/{begun['id']}/complete", headers=WAIT).raise_for_status()
    http.post(f"{path}/assets", json={"name": "never.jpg", "content_type": "image/jpeg"}).raise_for_status()


def _people(running: Plant, http: httpx.Client) -> None:
    path = f"/v1/labels/{running.label_id}"
    http.post(f"{path}/invitations", json={"email": "ines@example.com", "role": "agent"}).raise_for_status()
    http.post(f"{path}/api-clients", json={"name": "Desk", "scopes": ["label:read"]}).raise_for_status()
    http.post("/v1/sessions", json={"email": "nobody@example.com", "password": "not the right one"})


def _wait_for(running: Plant, name: str) -> None:
    deadline = time.monotonic() + 40
    with running.store() as db:
        while db[name].count_documents({}) == 0:
            assert time.monotonic() < deadline, name
            time.sleep(0.2)


def test_everything_that_exists_is_declared(used: Plant) -> None:
    """Collections, keys that Redis has or had, objects, fields of both logs; and there are some of each."""
    assert undeclared(used) == []
    assert all(count >= 3 for count in counts(used).values()), counts(used)


def test_what_nobody_declared_is_found(used: Plant) -> None:
    """One planted in each store."""
    objects = Path(used.env["SOUNDOPS_STORAGE_FOLDER"]) / "objects" / "tmp" / "people.csv"
    objects.parent.mkdir(parents=True, exist_ok=True)
    objects.write_text("mara")
    logged = used.worker.log.read_bytes()
    used.worker.log.write_bytes(logged + b'\n{"event": "x", "email_address": "mara"}\n')
    with used.store() as db, redis.Redis.from_url(used.redis.url) as client:
        db["leads"].insert_one({"name": "Mara"})
        client.set("cache:mara", 1, px=1)
        client.rpush("recent:people", "mara")
        found = undeclared(used)
        db["leads"].drop()
    objects.unlink()
    assert found == [
        "collection leads",
        "key cache:mara",
        "key recent:people",
        "file tmp/people.csv",
        "field email_address",
    ]
