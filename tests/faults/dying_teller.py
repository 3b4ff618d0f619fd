"""A worker that tells people of a changed policy, and dies on the way: `python -m tests.faults.dying_teller`.

Where it dies is for the drill's settings to say (`SOUNDOPS_KILL_AT`).
"""

import asyncio

from app.clock import utc_now
from app.db import Database
from app.services import faults
from app.services.policies import telling
from app.settings import WorkerSettings, load
from tests.api.test_api_policies import NEXT


async def main() -> None:
    """Tell everybody, or die."""
    settings = load(WorkerSettings)
    faults.arm(settings.kill_at, after=settings.kill_after)
    await telling.tell(Database(settings.mongodb_url.get_secret_value()), NEXT, now=utc_now())


if __name__ == "__main__":
    asyncio.run(main())
