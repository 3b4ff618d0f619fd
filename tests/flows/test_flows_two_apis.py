"""Two API processes on one database: what ends in one has ended in the other, on the next request."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from app.db import Database
from app.models.access import PERMISSIONS
from app.services.audit import Audit
from app.services.labels import members
from app.services.people import accounts
from tests.faults.api_plant import api_plant, log_in, register
from tests.house import PASSWORD

NEW = "another sentence of my own"


@dataclass
class Two:
    """Two clients: of the one process, and of the other."""

    one: httpx.Client
    other: httpx.Client
    mongodb_url: str


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Two processes that share everything."""
    with api_plant(tmp_path_factory.mktemp("two"), apis=2) as [first, second], clients(first.url, second.url) as found:
        found.mongodb_url = first.env["SOUNDOPS_MONGODB_URL"]
        yield found


@contextmanager
def clients(one: str, other: str) -> Iterator[Two]:
    """A client of each."""
    first, second = (httpx.Client(base_url=url, timeout=30, trust_env=False) for url in (one, other))
    with first, second:
        yield Two(first, second, "")


def person(two: Two, name: str) -> tuple[str, dict[str, str]]:
    """The address of somebody new, and the header of their session."""
    email = f"{name}@example.com"
    register(two.one, email)
    return email, log_in(two.one, email)


def is_in(two: Two, bearer: dict[str, str]) -> set[int]:
    """What the other process answers, at once."""
    return {two.other.get("/v1/me", headers=bearer).status_code}


def test_logging_out(two: Two) -> None:
    """One's own session, and another one of one's own."""
    email, first = person(two, "out")
    second = log_in(two.other, email)
    listed = two.one.get("/v1/sessions", headers=first).json()["data"]
    [foreign] = [one["id"] for one in listed if not one["current"]]
    assert is_in(two, second) == {200}
    two.one.delete(f"/v1/sessions/{foreign}", headers=first).raise_for_status()
    assert is_in(two, second) == {401}
    two.one.delete("/v1/sessions/current", headers=first).raise_for_status()
    assert is_in(two, first) == {401}


def test_another_password(two: Two) -> None:
    """Every session but the new one."""
    email, first = person(two, "password")
    second = log_in(two.other, email)
    change = {"current_password": PASSWORD, "password": NEW}
    fresh = two.one.post("/v1/me/password", json=change, headers=first).raise_for_status().json()["access_token"]
    assert is_in(two, first) == is_in(two, second) == {401}
    assert is_in(two, {"Authorization": f"Bearer {fresh}"}) == {200}


def test_a_replayed_cookie(two: Two) -> None:
    """Used at one process, and again at the other: the session ends everywhere."""
    email, _ = person(two, "replay")
    answer = two.one.post("/v1/sessions", json={"email": email, "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    cookie = {"Cookie": answer.headers.get_list("set-cookie")[0].split(";")[0]}
    assert two.one.post("/v1/sessions/refresh", headers=cookie).status_code == 200
    assert is_in(two, bearer) == {200}
    assert two.other.post("/v1/sessions/refresh", headers=cookie).status_code == 401
    assert two.one.get("/v1/me", headers=bearer).status_code == 401


async def test_a_disabled_account(two: Two) -> None:
    """As the operator's command does it."""
    email, bearer = person(two, "disabled")
    db = Database(two.mongodb_url)
    user = await accounts.by_email(db, email)
    assert user is not None and is_in(two, bearer) == {200}
    await accounts.disable(db, Audit(db, b"k" * 32), user, now=user["created_at"])
    assert is_in(two, bearer) == {401}
    db.close()


async def test_a_role_that_is_gone(two: Two) -> None:
    """Made less, and taken away."""
    _, owner = person(two, "roleowner")
    email, bearer = person(two, "roleadmin")
    label = two.one.post("/v1/labels", json={"name": "N", "slug": "two-apis"}, headers=owner).json()["id"]
    db = Database(two.mongodb_url)
    user = await accounts.by_email(db, email)
    assert user is not None and "admin" in PERMISSIONS["label:write"].roles
    membership = members.new_membership(label, user["_id"], "admin", now=user["created_at"])
    await db.open("memberships").insert_one(membership)
    path, change = f"/v1/labels/{label}", {"name": "Mine"}
    member = f"{path}/members/{membership['_id']}"
    assert two.other.patch(path, json=change, headers=bearer).status_code == 200
    two.one.patch(member, json={"role": "analyst"}, headers=owner).raise_for_status()
    assert two.other.patch(path, json=change, headers=bearer).status_code == 403
    two.one.delete(member, headers=owner).raise_for_status()
    assert two.other.get(path, headers=bearer).status_code == 404
    db.close()
