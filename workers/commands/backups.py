"""`soundops backup`, `restore` and `lift`: a sealed copy of the database, and how one comes back without harm."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from pymongo.errors import PyMongoError

from app.clients.objects import ObjectsError
from app.clock import utc_now
from app.db import Database, Doc
from app.derived_keys import derive
from app.models.base import rfc3339
from app.services import restore_mode
from app.services.assets.opening import open_objects
from app.services.audit import Audit
from app.services.backups import journal, loading, making
from app.services.backups.file import NotABackup
from app.services.backups.journal import Journal, JournalBroken
from app.services.backups.replaying import Replay
from app.services.consents import suppression
from app.services.vault.private_ring import load_private
from app.services.vault.ring import BadRing, load_public
from app.settings import WorkerSettings, load

Command = Callable[[Database, WorkerSettings, argparse.Namespace], Awaitable[Doc]]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the commands."""
    backup = commands.add_parser("backup", help="write a sealed copy of the database into a folder")
    backup.add_argument("folder", type=Path, help="where it goes; backups older than 30 days there are deleted")
    backup.add_argument("--key", type=Path, required=True, help="backup.public.json")
    backup.set_defaults(run=lambda args: _run(_backup, args))
    restore = commands.add_parser("restore", help="restore a backup into an empty database; nothing leaves it then")
    restore.add_argument("file", type=Path)
    restore.add_argument("--key", type=Path, required=True, help="backup.private.json")
    lost = "the journal is lost with the database: who was erased since comes back, and you must know whom"
    restore.add_argument("--without-journal", action="store_true", help=lost)
    restore.set_defaults(run=lambda args: _run(_restore, args))
    lift = commands.add_parser("lift", help="end restore mode: let everything go on")
    lift.set_defaults(run=lambda args: _run(_lift, args))
    for parser in (backup, restore, lift):
        parser.add_argument("--json", action="store_true", help="for programs")


def _run(command: Command, args: argparse.Namespace) -> int:
    """Do it, and tell; 1 when it was not done."""
    try:
        told = asyncio.run(_with_database(command, args))
    except (loading.NotRestored, JournalBroken, NotABackup, BadRing) as exc:
        print(str(exc), file=sys.stderr)
        return 1
    except PyMongoError as exc:
        print(f"The database is away or refuses ({type(exc).__name__}).", file=sys.stderr)
        return 1
    except ObjectsError as exc:
        print(f"The storage is away ({exc}): nothing was done. Run it again.", file=sys.stderr)
        return 1
    except OSError as exc:
        print(f"{exc.filename or 'The file'}: {exc.strerror}.", file=sys.stderr)
        return 1
    print(json.dumps(told, indent=2) if args.json else "\n".join(_lines(told)))
    return 0


def _lines(told: Doc) -> list[str]:
    lines = []
    for name, value in told.items():
        several = [f"{key}: {count}" for key, count in value.items()] if isinstance(value, dict) else value
        shown = (", ".join(several) or "none") if isinstance(several, list) else value
        lines.append(f"{name.replace('_', ' '):<12} {shown}")
    return lines


async def _with_database(command: Command, args: argparse.Namespace) -> Doc:
    settings = load(WorkerSettings)
    db = Database(settings.mongodb_url.get_secret_value())
    try:
        return await command(db, settings, args)
    finally:
        db.close()


async def _backup(db: Database, settings: WorkerSettings, args: argparse.Namespace) -> Doc:
    now, ring, objects = utc_now(), load_public(args.key), open_objects(settings)
    book = Journal(objects, derive(settings, journal.KEY))
    try:
        dropped = await asyncio.to_thread(making.drop_old, args.folder, now=now)
        path, counts = await making.make(db, args.folder, ring, book, now=now)
    finally:
        await objects.close()
    return {"file": str(path), "documents": counts.total(), "old_deleted": dropped}


async def _restore(db: Database, settings: WorkerSettings, args: argparse.Namespace) -> Doc:
    objects, ring = open_objects(settings), load_private(args.key)
    try:
        what = Replay(
            db=db,
            audit=Audit(db, derive(settings, "audit")),
            journal=Journal(objects, derive(settings, journal.KEY)),
            suppress_key=derive(settings, suppression.PURPOSE),
            receipts=f"{settings.public_url}/erasure/",
            now=utc_now(),
        )
        found = await loading.restore(args.file, ring, what, without_journal=args.without_journal)
    finally:
        await objects.close()
    return {
        "made_at": rfc3339(found.made_at),
        "restored": dict(found.counts),
        "expired": found.expired,
        "left_over": found.left_over,
        "in_doubt": dict(found.intents),
        "taken_back": dict(found.replayed),
        "now": "restore mode is on: nothing leaves before ./soundops lift",
    }


async def _lift(db: Database, settings: WorkerSettings, args: argparse.Namespace) -> Doc:
    found = await restore_mode.lift(db, now=utc_now())
    if found == "not_complete":
        raise loading.NotRestored("The restore broke off before its end: empty the database, and restore it again.")
    return {"restore_mode": "lifted: workers go on" if found == "lifted" else "was not on"}
