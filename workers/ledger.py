"""What an operator does about billing's records: `python -m workers.ledger COMMAND`, with a worker's settings.

`reconcile [--days N] [--all]`: walk Stripe's list of events from N days ago (30 at most), write down what is missing,
and look at the customers it is about; `--all` looks at every customer, for outages that were longer. `hold LABEL CODE`
and `release LABEL`: nothing of the label's is purged meanwhile; CODE is an authority's file number. `redate`: set anew
until when everything is kept, after a change of the law's table or of our financial year. `purge`: delete at once what
the hour would. `status`: how things stand. See docs/billing-records.md.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pymongo.errors import PyMongoError

from app import logs
from app.clients.stripe_api import Stripe, StripeError, StripeRefused, open_stripe
from app.clock import Clock, utc_now
from app.db import ALL_LABELS, Database
from app.derived_keys import derive
from app.errors import Problem
from app.models.base import rfc3339
from app.services.audit import Audit
from app.services.billing import holds, purging, reconciling, working_off
from app.services.billing.looking import look
from app.services.operations import GiveUp
from app.settings import WorkerSettings, load

DAYS = 30
"""As long as Stripe lists events."""


@dataclass
class Clerk:
    """What a command works on. `stripe` is none where billing is off."""

    db: Database
    audit: Audit
    settings: WorkerSettings
    stripe: Stripe | None
    clock: Clock


def open_clerk(settings: WorkerSettings, *, clock: Clock = utc_now) -> Clerk:
    """Open the database and Stripe, in a running loop. Nothing is asked of them yet."""
    db = Database(settings.mongodb_url.get_secret_value())
    key = settings.stripe_secret_key
    stripe = open_stripe(settings.stripe_api_url, key.get_secret_value()) if key else None
    return Clerk(db, Audit(db, derive(settings, "audit")), settings, stripe, clock)


async def reconcile(clerk: Clerk, *, days: int, everything: bool) -> None:
    """Bring everything to what Stripe says. Raises `StripeError`; begun again it walks the same days again.

    What is known stays known when it is broken off. Raises `ValueError` where a customer could not be looked at.
    """
    if clerk.stripe is None:
        print("Billing is off: there is nothing to reconcile.")
        return
    now = clerk.clock()
    through = min(await reconciling.known_through(clerk.db, now=now), now - timedelta(days=days))
    while through < now:
        through = await reconciling.walk_on(clerk.db, clerk.stripe, through=through, now=now)
        print(f"walked up to {rfc3339(through)}")
    queued = await working_off.work_off(clerk.db, clerk.stripe, now=now)
    while more := await working_off.work_off(clerk.db, clerk.stripe, now=now):
        queued += more
    print(f"{len(set(queued))} customers are looked at by the workers.")
    if everything:
        await _look_at_all(clerk, clerk.stripe)


async def _look_at_all(clerk: Clerk, stripe: Stripe) -> None:
    """One after the other, here: so that it is known when it is done. One that is refused keeps no other waiting."""
    why = f"{ALL_LABELS}every customer is looked at anew"
    found = clerk.db.open("billing_accounts").find({"customer_id": {"$gt": ""}}, comment=why).sort("customer_id", 1)
    accounts, refused = await found.to_list(), 0
    for account in accounts:
        try:
            await look(clerk.db, stripe, account, books=clerk.settings.books, now=clerk.clock())
        except StripeRefused as exc:
            refused += 1
            print(f"{account['label_id']}, {account['customer_id']}: {exc}")
        except GiveUp:
            continue  # the label has gone meanwhile
    print(f"{len(accounts) - refused} customers were looked at, of {len(accounts)}.")
    if refused:
        raise ValueError(f"{refused} customers could not be looked at.")


async def redate(clerk: Clerk) -> None:
    """Set every record's end anew."""
    why = f"{ALL_LABELS}the law has changed"
    labels = await clerk.db.open("money_records").distinct("label_id", {}, comment=why)
    total = 0
    for label_id in labels:
        total += await holds.redate_unless_held(clerk.db, label_id, books=clerk.settings.books)
    print(f"{total} records of {len(labels)} labels have their end anew.")


async def status(clerk: Clerk) -> None:
    """Print up to when events are known, what waits, and what is held."""
    now, db = clerk.clock(), clerk.db
    print(f"events of Stripe's are known up to {rfc3339(await reconciling.known_through(db, now=now))}")
    waiting = await db.open("stripe_events").count_documents({"due_at": {"$exists": True}})
    print(f"{waiting} events wait to be worked off")
    why = f"{ALL_LABELS}how many holds are placed"
    held = await db.open("legal_holds").find({"released_at": None}, comment=why).to_list()
    for hold in held:
        print(f"held since {rfc3339(hold['placed_at'])}: {hold['label_id']}, {hold['reason']}")
    print(f"{len(held)} labels are held")


async def run(clerk: Clerk, asked: argparse.Namespace) -> None:
    """Do what was asked."""
    now, books = clerk.clock(), clerk.settings.books
    if asked.command == "reconcile":
        await reconcile(clerk, days=asked.days, everything=asked.all)
    elif asked.command == "hold":
        print(await holds.place(clerk.db, clerk.audit, asked.label, reason=asked.reason, now=now))
    elif asked.command == "release":
        await holds.release(clerk.db, clerk.audit, asked.label, books=books, now=now)
    elif asked.command == "redate":
        await redate(clerk)
    elif asked.command == "purge":
        print(f"{await purging.purge(clerk.db, clerk.audit, books=books, now=now)} records were purged.")
    else:
        await status(clerk)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m workers.ledger", description=(__doc__ or "").partition("\n")[0])
    commands = found.add_subparsers(dest="command", required=True)
    walk = commands.add_parser("reconcile", help="find events that never arrived, and repair")
    walk.add_argument("--days", type=int, choices=range(1, DAYS + 1), default=DAYS, metavar="1-30")
    walk.add_argument("--all", action="store_true", help="look at every customer, whatever is known")
    hold = commands.add_parser("hold", help="purge nothing of a label's")
    hold.add_argument("label")
    hold.add_argument("reason", metavar="CODE", help=holds.CODE_WORDS)
    commands.add_parser("release", help="end a hold").add_argument("label")
    for name, told in (("redate", "set anew until when all is kept"), ("purge", "delete what is due"), ("status", "")):
        commands.add_parser(name, help=told)
    return found


async def main(arguments: Sequence[str]) -> int:
    """Do one command; the exit code."""
    asked = parser().parse_args(arguments)
    settings = load(WorkerSettings)
    logs.configure(settings.log_level)
    clerk = open_clerk(settings)
    try:
        await run(clerk, asked)
    except (Problem, ValueError) as exc:
        print(exc.detail if isinstance(exc, Problem) else exc, file=sys.stderr)
        return 1
    except (StripeError, PyMongoError) as exc:  # of the database's errors the kind alone: their text may name people
        told = exc if isinstance(exc, StripeError) else type(exc).__name__
        print(f"It was broken off: {told}. It can be begun again.", file=sys.stderr)
        return 1
    finally:
        if clerk.stripe:
            await clerk.stripe.close()
        clerk.db.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
