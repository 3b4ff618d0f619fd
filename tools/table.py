"""What `make run` says when all is ready."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tools.child import Child
from tools.demo import ACCOUNT, EMAIL, Shown


def of_run(
    home: Path,
    env: Mapping[str, str],
    children: Sequence[Child],
    shown: Shown,
    *,
    sandbox_url: str | None,
    ready_s: float,
) -> str:
    """Where everything is, how to log in, and what to try next."""
    api_url = env["SOUNDOPS_PUBLIC_URL"].rstrip("/")
    rows = [
        ("API", api_url),
        ("its manual", f"{api_url}/docs"),
        ("sandbox Meta", f"{sandbox_url}/" if sandbox_url else "not embedded"),
        ("database", without_password(env["SOUNDOPS_MONGODB_URL"])),
        ("Redis", without_password(env["SOUNDOPS_REDIS_URL"])),
        ("data", str(home)),
        *((f"log: {child.name.removeprefix('the ')}", str(child.log)) for child in children),
    ]
    if shown.label_id:
        rows += [("demo e-mail", EMAIL), ("demo password", shown.password), ("demo label", shown.label_id)]
    text = f"\nSoundOps is ready ({ready_s:.1f} s).\n\n{_aligned(rows)}\n"
    if shown.trouble:
        text += f"\n  {shown.trouble}\n"
    elif sandbox_url:
        text += "\nWhat to try next\n\n" + _commands(api_url, sandbox_url, shown)
    return text + "\nCtrl-C ends everything; the data stay."


def without_password(url: str) -> str:
    """The address without who may enter it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _aligned(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)


def _commands(api_url: str, sandbox_url: str, shown: Shown) -> str:
    at = "" if sandbox_url == "http://127.0.0.1:8100" else f" --url {sandbox_url}"
    label = f"{api_url}/v1/labels/{shown.label_id}"
    reader = "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"access_token\"])'"
    return f"""  TOKEN=$(curl -s {api_url}/v1/sessions -H 'Content-Type: application/json' \\
    -d '{{"email":"{EMAIL}","password":"{shown.password}"}}' | {reader})
  curl -s -H "Authorization: Bearer $TOKEN" {label}/conversations
  .venv/bin/python -m sandbox write{at} --fan mara --account {ACCOUNT} "Is there a tour?"
  .venv/bin/python -m sandbox ledger{at} --kind message_sent
"""
