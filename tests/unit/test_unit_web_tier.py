"""A process started as the API cannot open a token, even if it tries. Shown on processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house import settings_env

ROOT = Path(__file__).parents[2]
PRIVATE = "SOUNDOPS_VAULT_PRIVATE_RING_FILE"
REFUSED = {
    "unwrap": "AttributeError",
    "open": "AttributeError",
    "decrypt": "TypeError",
    "setting": "AttributeError",
    "public file": "BadRing",
    "public bytes": "SealBroken",
}


def look(program: str, folder: Path, env: dict[str, str]) -> dict[str, Any]:
    """What a process finds that loads and opens all that this program does."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SOUNDOPS_")}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.web_tier", program],
        cwd=folder,
        env=inherited | env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.fixture(scope="module")
def env(key_folder: Path) -> dict[str, str]:
    """The settings of an API and a worker. Nothing is connected to."""
    return settings_env(key_folder, mongodb_url="mongodb://127.0.0.1:9/soundops", redis_url="redis://127.0.0.1:9")


@pytest.mark.parametrize("given", [True, False], ids=["private ring named", "private ring not named"])
def test_the_api_cannot_open(tmp_path: Path, env: dict[str, str], given: bool) -> None:
    """No private half in its memory, no code loaded that opens, no setting that names it, and no way that works.

    Told where the private ring is, it does not read it.
    """
    found = look("api", tmp_path, env if given else {name: env[name] for name in env if name != PRIVATE})
    assert {"WatchedPublicRing", "LocalPublicRing", "Signer", "Passwords"} <= set(found["kinds"])
    opening = {"WatchedPrivateRing", "LocalPrivateRing", "X25519PrivateKey", "Opened", "WorkerSettings"}
    assert not opening & set(found["kinds"])
    assert "app.services.vault.ring" in found["modules"] and "app.server" in found["modules"]
    opens = (*(f"app.services.vault.{name}" for name in ("opening", "private_ring", "kms_private_ring")), "workers")
    assert [module for module in found["modules"] if module.startswith(opens)] == []
    assert [field for field in found["fields"] if "private" in field] == []
    assert "ring.public.json" in found["opened_files"]
    assert "ring.private.json" not in found["opened_files"]
    assert found["attempts"] == REFUSED


def test_a_worker_can(tmp_path: Path, env: dict[str, str]) -> None:
    """The same look at a worker finds all of it: so what it does not find in the API is not there."""
    found = look("workers", tmp_path, env)
    assert {"WatchedPrivateRing", "LocalPrivateRing", "X25519PrivateKey"} <= set(found["kinds"])
    assert {"app.services.vault.opening", "app.services.vault.private_ring"} <= set(found["modules"])
    assert "ring.private.json" in found["opened_files"]
    opened = {"unwrap": "opened", "open": "opened", "decrypt": "opened", "setting": "opened"}
    assert found["attempts"] == REFUSED | opened


def test_a_worker_with_only_the_public_ring_does_not_start(tmp_path: Path, env: dict[str, str]) -> None:
    """One sentence that names the file, and status 2."""
    swapped = {**os.environ, **env, PRIVATE: env["SOUNDOPS_VAULT_PUBLIC_RING_FILE"], "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-m", "workers"], cwd=tmp_path, env=swapped, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stderr.endswith("ring.public.json is a public key ring, not a private one.\n")
    assert len(ended.stderr.splitlines()) == 1
