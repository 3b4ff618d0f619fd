"""No token, code or secret is anywhere but sealed: not in database, Redis, logs or answers, in eight encodings."""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from app.db import Doc
from tests.faults import canary
from tests.faults.plant import WEBHOOK, Plant, plant
from tests.faults.send_run import fans_write
from tests.house import APP_SECRET, PASSWORD, SECRET_KEY, VERIFY_TOKEN
from tools.demo import ACCOUNT
from tools.plan import PRIVATE_RING

CALLBACK = "/v1/oauth/callback/instagram"
WAIT = {"Prefer": "wait=15"}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A product through which every way of a token has been gone."""
    with plant(tmp_path_factory.mktemp("canary"), SOUNDOPS_LOG_LEVEL="DEBUG") as running:
        with running.owner() as http, httpx.Client(base_url=running.sandbox.url, timeout=20, trust_env=False) as box:
            assert box.post("/_sandbox/handshake").json()["ok"]
            _log_ins_that_fail(running, http, box)
            conversation = fans_write(running, 1)[0]
            path = f"/v1/labels/{running.label_id}/conversations/{conversation}/messages"
            assert _send(http, path, "It ships on Friday.")["state"] == "sent"
            assert _send(http, path, "!!error:190/463")["state"] == "failed"
            http.post(WEBHOOK, content=b"{}", headers={"X-Hub-Signature-256": f"sha256={APP_SECRET}"})
            for name in ("connections", "operations", "conversations"):
                http.get(f"/v1/labels/{running.label_id}/{name}").raise_for_status()
        yield running


def _send(http: httpx.Client, path: str, text: str) -> Doc:
    sent: Doc = http.post(path, json={"text": text}, headers=WAIT).raise_for_status().json()
    return sent


def _log_ins_that_fail(running: Plant, http: httpx.Client, box: httpx.Client) -> None:
    """A callback with a foreign state, one that comes twice, one that says no, and an exchange that breaks."""
    code = _allowed(running, http, {"allow": "1"}).split("code=")[1].split("&")[0]
    assert http.get(CALLBACK, params={"state": "x" * 43, "code": code}).status_code == 400
    assert http.get(_allowed(running, http, {"allow": "0"})).status_code == 200
    box.post("/_sandbox/faults", json={"match": {"path": "oauth/access_token"}, "fault": "html"}).raise_for_status()
    back = _allowed(running, http, {"allow": "1"})
    assert http.get(back).status_code == 200
    assert http.get(back).status_code == 400
    operation = http.get(f"/v1/labels/{running.label_id}/operations").json()["data"][0]
    ended = http.get(f"/v1/operations/{operation['id']}", headers=WAIT).json()
    assert (ended["kind"], ended["state"]) == ("exchange_code", "failed")


def _allowed(running: Plant, http: httpx.Client, form: dict[str, str]) -> str:
    """Where Instagram sends the browser back to after a log-in: path and query."""
    wish = {"provider": "instagram", "features": ["messages"]}
    begun = http.post(f"/v1/labels/{running.label_id}/connections", json=wish).raise_for_status().json()
    with httpx.Client(timeout=15, trust_env=False) as browser:
        answer = browser.post(begun["authorize_url"], data={"account": ACCOUNT} | form)
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


def _secrets(running: Plant) -> list[str]:
    issued = httpx.get(f"{running.sandbox.url}/_sandbox/tokens", timeout=15, trust_env=False).json()["ever_issued"]
    ring = json.loads(Path(running.env[PRIVATE_RING]).read_bytes())
    keys = [value for value in _texts(ring) if len(value) > 30]
    assert len(issued) >= 5 and keys
    return [*issued, *keys, APP_SECRET, VERIFY_TOKEN, SECRET_KEY, PASSWORD]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def test_no_token_code_or_secret_is_anywhere(used: Plant) -> None:
    held = canary.places(used)
    assert all(held.values()), [place for place, found in held.items() if not found]
    assert canary.find(_secrets(used), held) == []


@pytest.mark.parametrize("encoding", canary.ENCODINGS)
def test_a_planted_token_is_found_in_every_place(used: Plant, encoding: str) -> None:
    token = f"IGAA{secrets.token_urlsafe(40)}"
    leak = b"before " + canary.ENCODINGS[encoding](token.encode())[0] + b" after"
    with used.store() as db:
        planted = db["labels"].insert_one({"_id": secrets.token_hex(8), "deep": [{"in": leak}]}).inserted_id
        with redis.Redis.from_url(used.redis.url) as client:
            client.set("planted", leak)
        logs = {log: log.read_bytes() for log in (used.api.log, used.worker.log)}
        for log in logs:
            with log.open("ab") as file:
                file.write(leak)
        used.answers.append(leak)
        found = canary.find([token], canary.places(used))
        used.answers.pop()
        db["labels"].delete_one({"_id": planted})
    wanted = (
        "the database's documents",
        "Redis's log of every write",
        "the API's log",
        "the worker's log",
        "the answers",
    )
    assert {f"secret 0 in {place} as {encoding}" for place in wanted} <= set(found)


@pytest.mark.parametrize("shift", range(3))
@pytest.mark.parametrize("encoding", ["base64", "base64url"])
def test_base64_is_found_at_any_place_of_a_longer_text(shift: int, encoding: str) -> None:
    token = f"IGAA{secrets.token_urlsafe(40)}"
    encode = base64.b64encode if encoding == "base64" else base64.urlsafe_b64encode
    held = encode(b"x" * (30 + shift) + token.encode() + b"and more")
    assert any(line.endswith(encoding) for line in canary.find([token], {"it": held}))
