"""Named points at which a drill ends a worker by SIGKILL, when a setting says so. Production refuses that setting."""

import asyncio
import os
import signal
from dataclasses import dataclass

from app.models.drills import Point

CALL_IS_ON_ITS_WAY_S = 0.05


@dataclass
class _Armed:
    point: Point | None = None
    passes_left: int = 0


_armed = _Armed()


def arm(point: Point | None, *, after: int) -> None:
    """Have this process die at its `after`-th next passing of the point."""
    _armed.point, _armed.passes_left = point, after


async def reach(point: Point) -> None:
    """Die here, if the drill says so."""
    if _armed.point != point:
        return
    if point in ("during_call", "publish_during_call"):
        await asyncio.sleep(CALL_IS_ON_ITS_WAY_S)
    _armed.passes_left -= 1
    if _armed.passes_left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
