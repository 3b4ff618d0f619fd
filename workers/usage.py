"""Usage figures: `python -m workers.usage`, with a worker's settings, writes CSV to standard output.

A row for each month that is over, and below it one for each page, feature and browser in it: exact numbers of events,
and of how many people they are at least. See docs/usage.md.
"""

import asyncio
import csv
import sys
from collections.abc import Iterable, Iterator

from pymongo.errors import PyMongoError

from app import logs
from app.clock import utc_now
from app.db import Database, Doc
from app.services.usage import summing
from app.settings import WorkerSettings, load

COLUMNS = ("month", "kind", "name", "browser", "events", "people")


def rows(months: Iterable[Doc]) -> Iterator[Doc]:
    """What is written of these months."""
    for month in months:
        for one in (month, *month["cells"]):
            yield {"month": month["_id"]} | {name: one.get(name) for name in COLUMNS[1:]}


async def _figures(settings: WorkerSettings) -> list[Doc]:
    db = Database(settings.mongodb_url.get_secret_value())
    try:
        return await summing.figures(db, now=utc_now())
    finally:
        db.close()


def main() -> int:
    """Write them; the exit status."""
    settings = load(WorkerSettings)
    logs.configure("WARNING")
    try:
        found = asyncio.run(_figures(settings))
    except PyMongoError as exc:
        print(f"The database is away or refuses ({type(exc).__name__}): run it again.", file=sys.stderr)
        return 1
    sheet = csv.DictWriter(sys.stdout, COLUMNS)
    sheet.writeheader()
    sheet.writerows(rows(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
