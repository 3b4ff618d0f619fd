"""API processes on a database and a Valkey of their own, without workers: for drills that only ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.house import PASSWORD, make_keys, settings_env
from tools import embedded
from tools.child import Child, running

PERSON = {"name": "A Person", "date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}


@contextmanager
def api_plant(folder: Path, *, apis: int = 1, **settings: str) -> Iterator[list[Child]]:
    """So many API processes that share everything."""
    keys = make_keys(folder / "keys")
    mongodb, valkey = embedded.mongodb_child(folder / "mongodb"), embedded.valkey_child(folder / "valkey")
    public = f"http://127.0.0.1:{embedded.free_port()}"
    own = {"SOUNDOPS_PUBLIC_URL": public} | settings
    env = settings_env(keys, mongodb_url=mongodb.url, redis_url=valkey.url) | own
    of_worker = ("SOUNDOPS_VAULT_PRIVATE_RING_FILE", "SOUNDOPS_SMTP_URL")
    env = {name: value for name, value in env.items() if name not in of_worker}
    found = [
        embedded.api_child(env | {"SOUNDOPS_PORT": str(embedded.free_port())}, log=folder / f"api{number}.log")
        for number in range(apis)
    ]
    with running(mongodb, valkey), running(*found):
        yield found


def register(http: httpx.Client, email: str) -> None:
    """An account."""
    http.post("/v1/users", json=PERSON | {"email": email, "password": PASSWORD}).raise_for_status()


def log_in(http: httpx.Client, email: str, password: str = PASSWORD) -> dict[str, str]:
    """The header of a fresh session."""
    answer = http.post("/v1/sessions", json={"email": email, "password": password}).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
