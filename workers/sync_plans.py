"""Mirror the plans to Stripe: `python -m workers.sync_plans`, with a worker's settings.

What differs is shown first; then it asks. `--yes` does not ask, `--dry-run` does nothing. Done again, it does nothing:
products and prices are found by ids and lookup keys of ours. See docs/billing.md.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence

from app import logs
from app.clients.stripe_api import Stripe, StripeError, StripeKeyDead, open_stripe
from app.services.billing.catalogue import apply, differences
from app.settings import WorkerSettings, load

NO_KEY = "SOUNDOPS_STRIPE_SECRET_KEY is missing: billing is off here."


async def sync(stripe: Stripe, *, agreed: Callable[[], bool] | None, told: Callable[[str], None]) -> int:
    """Show what differs and, if it is `agreed`, make it the same; the exit status. Without `agreed` nothing is done."""
    steps = await differences(stripe)
    for step in steps:
        told(f"      {step.sign} {step.text}")
    if not steps:
        told("Stripe has the plans as they are. Nothing to do.")
        return 0
    if agreed is None or not agreed():
        told(f"{len(steps)} differences. Nothing was done.")
        return 0 if agreed is None else 1
    left = await apply(stripe, steps, told=told)
    told("Stripe has the plans as they are." if not left else f"{len(left)} differences are left: run it again.")
    return 1 if left else 0


async def run(settings: WorkerSettings, *, agreed: Callable[[], bool] | None) -> int:
    """`sync`, at the Stripe of these settings."""
    if settings.stripe_secret_key is None:
        print(NO_KEY, file=sys.stderr)
        return 2
    stripe = open_stripe(settings.stripe_api_url, settings.stripe_secret_key.get_secret_value())
    try:
        return await sync(stripe, agreed=agreed, told=print)
    except StripeKeyDead:
        print("Stripe does not take the key, or the key may not do this.", file=sys.stderr)
    except StripeError as exc:
        print(f"{exc}. What was done is done: run it again.", file=sys.stderr)
    finally:
        await stripe.close()
    return 1


def ask() -> bool:
    """Whether somebody says yes. Without a terminal nobody does."""
    try:
        return input("Do this? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print("nobody is here to ask: see --yes")
        return False


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m workers.sync_plans", description=__doc__, formatter_class=how)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--yes", action="store_true", help="do it without asking")
    mode.add_argument("--dry-run", action="store_true", help="only show what differs")
    told = parser.parse_args(arguments)
    settings = load(WorkerSettings)
    logs.configure("WARNING")
    agreed = None if told.dry_run else (lambda: True) if told.yes else ask
    return asyncio.run(run(settings, agreed=agreed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
