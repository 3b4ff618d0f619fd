"""Hostile files against real processes: a worker's memory while it works them off, and what is left of them."""

import asyncio
from pathlib import Path

import httpx
from PIL import Image

from app.db import Doc
from tests.flows.assets_harness import encoded, jpeg, png_bomb, text_bomb, video
from tests.house import PASSWORD, eventually, settings_env
from tools import embedded
from tools.child import Child, running
from tools.plan import api_env, worker_env

MOST_MB = {"the worker": 120, "the API": 300}
"""What a process may take, whatever people upload. A worker's child, which reads the file, takes 180 MB beside it
(test_unit_asset_files.py)."""


def peak_mb(child: Child) -> int:
    """The most that the process has ever had in memory."""
    lines = Path(f"/proc/{child.process.pid}/status").read_text().splitlines()
    [peak] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(peak) // 1024


async def upload(http: httpx.AsyncClient, label: str, content: bytes, content_type: str) -> str:
    """Upload and complete a file; its id."""
    begun = await http.post(f"{label}/assets", json={"name": "a file", "content_type": content_type})
    asset: Doc = begun.raise_for_status().json()
    file = {"file": ("a", content, content_type)}
    (await http.post(asset["upload"]["url"], data=asset["upload"]["fields"], files=file)).raise_for_status()
    (await http.post(f"{label}/assets/{asset['id']}/complete")).raise_for_status()
    return str(asset["id"])


async def test_a_worker_stays_small(tmp_path: Path, mongodb_url: str, redis_url: str, key_folder: Path) -> None:
    """Bombs, the largest picture and a large video at once: never 120 MB, all settled, and nothing left of the bad."""
    port = embedded.free_port()
    url = f"http://127.0.0.1:{port}"
    own = {"SOUNDOPS_PORT": str(port), "SOUNDOPS_PUBLIC_URL": url, "SOUNDOPS_STORAGE_FOLDER": str(tmp_path / "storage")}
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url) | own
    api = embedded.api_child(api_env(env), log=tmp_path / "api.log")
    worker = embedded.worker_child(worker_env(env), log=tmp_path / "worker.log")
    good = {
        "largest": (encoded(Image.new("RGBA", (5000, 5000), (9, 9, 9, 128)), "PNG"), "image/png"),
        "video": (video(tmp_path / "made.mp4") + b"\0\0\0\x08free" * 4_000_000, "video/mp4"),
    }
    bad = {
        "gigapixel": (png_bomb(), "image/png"),
        "text": (text_bomb(), "image/png"),
        "archive": (jpeg() + b"PK\x05\x06" + b"\0" * 18, "image/jpeg"),
        "cut": (good["largest"][0][:-5000], "image/png"),
    }
    with running(worker, api):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
            label = await log_in(http)
            told = {**good, **bad}
            ids = await asyncio.gather(*(upload(http, label, *told[name]) for name in told))

            async def settled() -> dict[str, str] | None:
                shown = [(await http.get(f"{label}/assets/{one}")).raise_for_status().json() for one in ids]
                done = all(one["state"] in ("ready", "refused") for one in shown)
                return dict(zip(told, (one["state"] for one in shown), strict=True)) if done else None

            states = await eventually(settled, timeout_s=90)
            assert states == dict.fromkeys(good, "ready") | dict.fromkeys(bad, "refused")
            for child in (worker, api):
                assert peak_mb(child) < MOST_MB[child.name], (child.name, peak_mb(child))

            async def tidy() -> bool:
                kept = [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]
                return not [one for one in kept if "incoming" in one.parts or "quarantine" in one.parts]

            await eventually(tidy)


async def log_in(http: httpx.AsyncClient) -> str:
    """Register, log in and make a label; its path."""
    person = {"name": "A Person", "email": "owner@example.com", "password": PASSWORD}
    told = person | {"date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
    (await http.post("/v1/users", json=told)).raise_for_status()
    login = await http.post("/v1/sessions", json={"email": person["email"], "password": PASSWORD})
    http.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"
    made = await http.post("/v1/labels", json={"name": "Nightjar", "slug": "nightjar"})
    return f"/v1/labels/{made.raise_for_status().json()['id']}"
