"""Many fans writing at once, for load."""

import asyncio
import random
import time
from typing import Any, Literal

from pydantic import Field

from sandbox import fans
from sandbox.box import Sandbox
from sandbox.errors import ControlError
from sandbox.seed import FANS
from sandbox.state import ControlModel

SENTENCES = (
    "When is the vinyl back?",
    "The new record is beautiful ❤️",
    "Do you ship to Oslo?",
    "¿Hay fechas en Madrid?",
    "My order has not arrived.",
    "Kan ik de EP ook op cassette kopen?",
    "最高でした 🎵",
)


class StormOrder(ControlModel):
    """How many fans write how much, how fast."""

    messages: int = Field(ge=1, le=1_000_000)
    fans: int = Field(default=12, ge=1, le=999_000)
    account: str | None = None
    """One account; all that subscribed to `messages` when left out."""
    rate_per_s: float = Field(default=0, ge=0)
    """0 means as fast as possible."""
    seed: int = 1
    kinds: list[Literal["message", "image", "comment", "reaction", "edit", "unsend"]] = Field(
        default=["message"], min_length=1
    )


class Storm:
    """The running storm, or the last one."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._progress: dict[str, Any] = {"written": 0, "total": 0}
        self._started = 0.0

    def start(self, box: Sandbox, order: StormOrder) -> dict[str, Any]:
        """Let it begin. Raises 409 while another runs."""
        if self._running():
            raise ControlError("A storm is under way; wait, or stop it with DELETE.", 409)
        subscribed = [account for account, fields in box.world.subscriptions.items() if "messages" in fields]
        accounts = [fans.need_account(order.account).id] if order.account else subscribed
        if not accounts:
            raise ControlError("No account has subscribed to messages; name one.", 409)
        self._started = time.monotonic()
        self._progress = {"written": 0, "total": order.messages, "seconds": 0.0, "kinds": {}}
        self._task = asyncio.create_task(self._blow(box, order, accounts))
        return self.progress()

    def progress(self) -> dict[str, Any]:
        """How far it is."""
        if self._running():
            self._progress["seconds"] = round(time.monotonic() - self._started, 3)
        return {"running": self._running()} | self._progress

    def stop(self) -> dict[str, Any]:
        """End it where it is."""
        if self._task:
            self._task.cancel()
            self._task = None
        return self.progress()

    def _running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _blow(self, box: Sandbox, order: StormOrder, accounts: list[str]) -> None:
        chance = random.Random(order.seed)
        own: list[str] = []
        for n in range(order.messages):
            if order.rate_per_s:
                await asyncio.sleep(max(0.0, self._started + n / order.rate_per_s - time.monotonic()))
            if n % 200 == 199:
                await box.journal.settled()
            kind = _act(box, chance, order, chance.choice(accounts), n, own)
            self._progress["written"] = n + 1
            self._progress["kinds"][kind] = self._progress["kinds"].get(kind, 0) + 1
        await box.journal.settled()
        self._progress["seconds"] = round(time.monotonic() - self._started, 3)


def _act(box: Sandbox, chance: random.Random, order: StormOrder, account: str, n: int, mids: list[str]) -> str:
    """One deed of one fan. What needs an earlier message is a message while there is none."""
    fan = _fan(chance.randint(1, order.fans))
    kind = chance.choice(order.kinds)
    text = f"{chance.choice(SENTENCES)} ({order.seed}/{n})"
    if kind == "comment":
        fans.comment(box, fans.Commented(fan=fan, account=account, text=text))
        return kind
    if kind in ("reaction", "edit", "unsend") and mids:
        _touch(box, kind, mids.pop(chance.randrange(len(mids))), text)
        return kind
    images: list[dict[str, Any]] = [{"type": "image"}] if kind == "image" else []
    written = fans.write(box, fans.Write(fan=fan, account=account, text=text, attachments=images))
    if len(order.kinds) > 1:
        mids.append(written["mid"])
    return "image" if images else "message"


def _touch(box: Sandbox, kind: str, mid: str, text: str) -> None:
    if kind == "reaction":
        fans.react(box, fans.Reacted(mid=mid, emoji="❤️"))
    elif kind == "edit":
        fans.edit(box, fans.Edited(mid=mid, text=text))
    else:
        fans.unsend(box, fans.OnMessage(mid=mid))


def _fan(number: int) -> str:
    return FANS[number - 1].handle if number <= len(FANS) else f"fan{number}"
