"""`python -m tests.unit.web_tier api|workers`: load and open all that such a process does, then try to open a token.

Prints what it found as JSON: `{opened_files, modules, kinds, fields, attempts}`.
"""

import asyncio
import gc
import importlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

OPENED: list[str] = []


def note_open(event: str, arguments: tuple[Any, ...]) -> None:
    """Remember each file that Python opens."""
    if event == "open":
        OPENED.append(str(arguments[0]))


def open_as(program: str) -> tuple[Any, Any]:
    """The settings and the parts of this program, with every module that it imports."""
    from app import settings

    if program == "workers":
        main = importlib.import_module("workers.main")
        found: settings.Settings = settings.load(settings.WorkerSettings)
        return found, main.open_parts(found)
    importlib.import_module("app.server")
    from app import clock, parts

    found = settings.load(settings.ApiSettings)
    return found, parts.open_parts(found, clock=clock.utc_now)


def reachable(root: Any) -> Iterator[Any]:
    """Everything that this leads to, by attribute, closure, container or module."""
    seen, waiting = {id(root)}, [root]
    while waiting:
        found = waiting.pop()
        yield found
        for following in gc.get_referents(found):
            if id(following) not in seen:
                seen.add(id(following))
                waiting.append(following)


async def outcome(attempt: Callable[[], Any]) -> str:
    """The name of the error that stopped it, or `opened`."""
    try:
        found = attempt()
        if isinstance(found, Awaitable):
            await found
    except Exception as exc:
        return type(exc).__name__
    return "opened"


async def attempts(settings: Any, public: Any, held: Any) -> dict[str, str]:
    """Ways to open what was sealed with the ring `public`, holding `held`; also with the vault's own code."""
    from app.services.vault.envelope import Binding, seal, unseal
    from app.services.vault.ring import SUITE

    binding = Binding("sec_1", "lbl_1", "con_1", "instagram", "access_token")
    bound, envelope = binding.additional_data(), await seal(public, "a token", binding)
    private_ring = importlib.import_module("app.services.vault.private_ring")
    public_key = public.file.held().keys["k1"]
    guessed = private_ring.X25519PrivateKey.from_private_bytes(public_key.public_bytes_raw())
    ring = private_ring.LocalPrivateRing({"k1": guessed})
    return {
        "unwrap": await outcome(lambda: held.unwrap("k1", envelope["wrapped_key"], binding=binding)),
        "open": await outcome(lambda: unseal(held, envelope, binding)),
        "decrypt": await outcome(lambda: SUITE.decrypt(envelope["wrapped_key"], held.file.held().keys["k1"], bound)),
        "setting": await outcome(lambda: settings.vault_private_ring_file),
        "public file": await outcome(lambda: private_ring.load_private(settings.vault_public_ring_file)),
        "public bytes": await outcome(lambda: unseal(ring, envelope, binding)),
    }


async def look(program: str) -> dict[str, Any]:
    """Open the parts, look at all of them, and try."""
    settings, parts = open_as(program)
    found = {
        "opened_files": sorted({Path(name).name for name in OPENED}),
        "modules": sorted(sys.modules),
        "kinds": sorted({type(found).__name__ for found in reachable((parts, sys.modules))}),
        "fields": sorted(type(settings).model_fields),
    }
    public, held = parts.rings if program == "workers" else (parts.ring, parts.ring)
    return found | {"attempts": await attempts(settings, public, held)}


if __name__ == "__main__":
    sys.addaudithook(note_open)
    print(json.dumps(asyncio.run(look(sys.argv[1]))))
