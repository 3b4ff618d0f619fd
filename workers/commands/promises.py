"""`soundops promises`: whether the promises of the privacy policy hold."""

import argparse
import asyncio
import json
import sys

from pymongo.errors import PyMongoError

from app.clock import utc_now
from app.db import Database, Doc
from app.models.base import rfc3339
from app.services.promises.measuring import measure_all
from app.services.promises.promise import Look
from app.services.promises.showing import State, states
from app.settings import WorkerSettings, load

ENDS = {True: "holds", False: "DOES NOT HOLD"}


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("promises", help="whether the promises of the privacy policy hold")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--now", action="store_true", help="measure them now, instead of showing what workers measured")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show them; 1 when one does not hold, or cannot be looked at."""
    try:
        found = asyncio.run(_look(load(WorkerSettings), now=args.now))
    except PyMongoError as exc:
        print(f"The database is away or refuses ({type(exc).__name__}): run it again.", file=sys.stderr)
        return 1
    print(json.dumps(_as_json(found), indent=2) if args.json else _as_text(found))
    return int(any(not state.holding for state in found))


async def _look(settings: WorkerSettings, *, now: bool) -> list[State]:
    db = Database(settings.mongodb_url.get_secret_value())
    try:
        if now:
            await measure_all(Look(db, settings, utc_now()))
        return await states(db, now=utc_now())
    finally:
        db.close()


def _as_json(found: list[State]) -> Doc:
    broken = [state.promise.id for state in found if not state.holding]
    return {"holding": not broken, "broken": broken, "promises": [_told(state) for state in found]}


def _told(state: State) -> Doc:
    at = rfc3339(state.checked_at) if state.checked_at else None
    figures = {"figure": state.figure, "allowed": state.allowed, "unit": state.promise.unit}
    where = {"id": state.promise.id, "section": state.promise.section, "holding": state.holding}
    return where | figures | {"detail": state.detail, "checked_at": at, "ids": _ids(state)}


def _as_text(found: list[State]) -> str:
    lines = [line for state in found for line in (_line(state), *(f"      {_id}" for _id in _ids(state)))]
    broken = sum(not state.holding for state in found)
    measured = [state.checked_at for state in found if state.checked_at]
    when = f" The oldest measurement is of {rfc3339(min(measured))}." if measured else ""
    return "\n".join([*lines, "", f"{len(found) - broken} of {len(found)} promises hold.{when}"])


def _ids(state: State) -> list[str]:
    """The documents that are in its way, as far as they are known."""
    return [f"{name} {_id}" for name, ids in state.odd.items() for _id in ids]


def _line(state: State) -> str:
    ends = ENDS[state.holding] if state.is_measured else "NOT MEASURED"
    figure = "" if state.figure is None else f"{state.figure:g} {state.promise.unit} ({state.allowed:g} allowed)"
    return f"{state.promise.section:>4}  {state.promise.id:<34} {ends:<14} {figure}  {state.detail}".rstrip()
