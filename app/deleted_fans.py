"""Erase fans whose accounts Meta has deleted: `python -m app.deleted_fans FILE [--apply]`.

FILE is the list that Meta publishes about every 21 days: an id a line, or CSV with a column named `id`. Empty lines and
those that begin with `#` are skipped. Without `--apply` it only counts. It may be broken off and begun again at any
point. See docs/meta-callbacks.md.
"""

import asyncio
import csv
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pymongo.errors import PyMongoError

from app.clock import utc_now
from app.db import Database
from app.derived_keys import derive
from app.services.audit import Audit
from app.services.inbox.deleted_fans import ID, Eraser
from app.settings import Settings, load

COLUMNS = {"id", "user_id", "psid", "asid", "igsid"}
"""What a CSV file may call the column; else it is the first."""


@dataclass(frozen=True)
class Listed:
    """What a file holds."""

    fans: list[str]
    """Each once."""
    bad_lines: int


def read(lines: Iterable[str]) -> Listed:
    """The ids in a file, and how many of its lines hold none."""
    rows = csv.reader(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    fans: dict[str, None] = {}
    column, bad_lines, is_first = 0, 0, True
    for row in rows:
        cells = [cell.strip() for cell in row]
        names = [cell.lower() for cell in cells]
        if is_first and COLUMNS & set(names):
            column = next(number for number, name in enumerate(names) if name in COLUMNS)
        elif len(cells) > column and ID.fullmatch(cells[column]):
            fans[cells[column]] = None
        else:
            bad_lines += 1
        is_first = False
    return Listed(list(fans), bad_lines)


async def erase(db: Database, audit: Audit, listed: Listed, *, apply: bool) -> tuple[int, str]:
    """Do it; the exit status, and sentences that say what was done. They name no id."""
    found = await Eraser(db, audit, apply, utc_now()).erase(listed.fans)
    names = ("conversations", "messages", "notes", "comments", "parked_changes", "webhook_inbox")
    counts = ", ".join(f"{name} {found.counts[name]}" for name in names)
    head = f"{len(listed.fans)} ids; {listed.bad_lines} lines hold none.\n"
    if apply:
        return 0, f"{head}Erased, in {len(found.labels)} labels: {counts}."
    return 0, f"{head}To be erased, in {len(found.labels)} labels: {counts}. Nothing was changed: add --apply."


async def run(settings: Settings, listed: Listed, *, apply: bool) -> tuple[int, str]:
    """`erase`, on the database of these settings."""
    db = Database(settings.mongodb_url.get_secret_value())
    try:
        return await erase(db, Audit(db, derive(settings, "audit")), listed, apply=apply)
    except PyMongoError as exc:
        return 1, f"The database is away or refuses ({type(exc).__name__}): run it again."
    finally:
        db.close()


def main(arguments: list[str]) -> int:
    """Run the command; its exit status."""
    names = [one for one in arguments if one != "--apply"]
    if len(names) != 1 or len(arguments) > 2 or names[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with Path(names[0]).open(encoding="utf-8-sig", newline="") as file:
            listed = read(file)
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        print(f"The file cannot be read ({type(exc).__name__}). Nothing was changed.", file=sys.stderr)
        return 1
    status, told = asyncio.run(run(load(Settings), listed, apply="--apply" in arguments))
    print(told, file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
