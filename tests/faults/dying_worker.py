"""A worker that does one operation and dies on the way: `python -m tests.faults.dying_worker <operation>`.

Where it dies is for the drill's settings to say (`SOUNDOPS_KILL_AT`).
"""

import asyncio
import sys

from app.services import faults
from app.settings import WorkerSettings, load
from workers import jobs
from workers.main import open_parts


async def main(operation_id: str) -> None:
    """Do it, or die."""
    parts = open_parts(load(WorkerSettings))
    faults.arm(parts.settings.kill_at, after=parts.settings.kill_after)
    await jobs.run_operation({"parts": parts}, operation_id)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
