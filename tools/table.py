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
    postbox_url: str | None,
    ready_s: float,
) -> str:
    """Where everything is, how to log in, and what to try next."""
    api_url = env["SOUNDOPS_PUBLIC_URL"].rstrip("/")
    rows = [
        ("API", api_url),
        ("its manual", f"{api_url}/docs"),
        ("sandbox Meta", f"{sandbox_url}/" if sandbox_url else "not embedded"),
        ("mails", f"{postbox_url}/" if postbox_url else "not embedded"),
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
    else:
        text += "\nWhat to try next, in another terminal\n\n" + _commands(home)
    return text + "\nCtrl-C ends everything; the data stay."


def for_the_shell(api_url: str, sandbox_url: str | None, postbox_url: str | None, shown: Shown) -> dict[str, str]:
    """What `demo.env` holds, so that commands can be copied as they stand."""
    return {
        "API": api_url,
        "SANDBOX": sandbox_url or "",
        "POSTBOX": postbox_url or "",
        "EMAIL": EMAIL,
        "PASSWORD": shown.password,
        "LABEL": shown.label_id,
    }


def without_password(url: str) -> str:
    """The address without who may enter it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _aligned(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)


def _commands(home: Path) -> str:
    here = home.relative_to(Path.cwd()) if home.is_relative_to(Path.cwd()) else home
    read_token = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"access_token\"])'"
    return f"""  . {here}/demo.env
  TOKEN=$(curl -s $API/v1/sessions -H 'Content-Type: application/json' \\
    -d "{{\\"email\\":\\"$EMAIL\\",\\"password\\":\\"$PASSWORD\\"}}" | {read_token})
  curl -s -H "Authorization: Bearer $TOKEN" $API/v1/labels/$LABEL/conversations
  .venv/bin/python -m sandbox write --url $SANDBOX --fan mara --account {ACCOUNT} "Is there a tour?"
  .venv/bin/python -m sandbox ledger --url $SANDBOX --kind message_sent

  The tour in README.md goes on from here.
"""
