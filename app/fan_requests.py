"""A fan has written to us and wants to be erased: `python -m app.fan_requests (--id ID | --handle HANDLE) [--apply]`.

ID is the number by which Instagram or Facebook calls the fan in conversations or comments; HANDLE the name with or
without its `@`. Each label that has something of them gets a request of its own, due in a month, and its owners and
admins a mail; no label hears of another. Without `--apply` it only counts. Run again, it adds nothing. See
docs/rights.md.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from pymongo.errors import PyMongoError

from app.clock import utc_now
from app.db import Database
from app.derived_keys import derive
from app.errors import InvalidInput
from app.services.audit import Audit
from app.services.privacy import fan_requests
from app.services.privacy.fan_requests import Fan
from app.settings import Settings, load


async def ask(db: Database, audit: Audit, fan: Fan, *, apply: bool) -> tuple[int, str]:
    """Do it; the exit status, and a sentence that names no fan."""
    if not apply:
        found = await fan_requests.labels_with(db, fan)
        return 0, f"{len(found)} labels have something of this fan. Nothing was asked: add --apply."
    opened = await fan_requests.open_by_desk(db, audit, fan, now=utc_now())
    told = ", ".join(request["_id"] for request in opened) or "none"
    return 0, f"{len(opened)} labels have something of this fan, and are asked: {told}."


async def run(settings: Settings, fan: Fan, *, apply: bool) -> tuple[int, str]:
    """`ask`, on the database of these settings."""
    db = Database(settings.mongodb_url.get_secret_value())
    try:
        return await ask(db, Audit(db, derive(settings, "audit")), fan, apply=apply)
    except PyMongoError as exc:
        return 1, f"The database is away or refuses ({type(exc).__name__}): run it again."
    finally:
        db.close()


def main(argv: Sequence[str]) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.fan_requests", description="Ask labels to erase a fan.")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--id", help="the fan's number at Instagram or Facebook")
    who.add_argument("--handle", help="the fan's name on Instagram")
    parser.add_argument("--apply", action="store_true", help="ask, and do not only count")
    args = parser.parse_args(argv)
    try:
        fan = fan_requests.fan_of(args.id, args.handle)
    except InvalidInput as exc:
        parser.error(f"the fan {exc.errors[0].detail}")
    status, told = asyncio.run(run(load(Settings), fan, apply=args.apply))
    print(told, file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
