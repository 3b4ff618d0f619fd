"""What an operator does to the vault's keys: `python -m workers.vault COMMAND`, with a worker's settings.

`status`: the keys, and what each seals. `rotate`: all of the following, in their order. `add`: a fresh key that opens.
`promote`: it seals, once every live worker has it. `rewrap`: what is under older keys comes under it. `retire`: the
older keys are destroyed, if no record needs them. `revoke KEY`: somebody else may have it; what it could open is sealed
anew, the key destroyed, and who is affected printed. See docs/vault.md.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from app import logs
from app.clock import Clock, utc_now
from app.db import Database
from app.derived_keys import derive
from app.services import heartbeat
from app.services.audit import Audit
from app.services.vault import ledger, revoking, rewrapping, ring_files
from app.services.vault.ledger import GONE
from app.services.vault.private_ring import PrivateRing, open_private_ring
from app.services.vault.ring import BadRing, PublicRing, RingUnavailable
from app.services.vault.ring_files import RingFiles, RingInUse
from app.services.vault.rings import open_public_ring
from app.settings import WorkerSettings, load
from workers.vault_progress import Bar

SETTLE_S = 5.0
"""Longer than a process takes to notice a changed ring, and than one is between reading an envelope and opening it."""
WORKERS_NOTICE_S = 60
MOST_PASSES = 5
IN_THE_SETTING = "The keys of AWS KMS are those of SOUNDOPS_KMS_KEY_IDS, the first of which seals: change that setting."


class Refused(Exception):
    """It is not done. The text says why."""


@dataclass
class Operator:
    """What a command works on. `files` is none for a ring that is not in files."""

    db: Database
    audit: Audit
    settings: WorkerSettings
    files: RingFiles | None
    per_s: float
    clock: Clock

    def rings(self) -> tuple[PublicRing, PrivateRing]:
        """The rings as they are at this moment."""
        return open_public_ring(self.settings), open_private_ring(self.settings)


def open_operator(settings: WorkerSettings, *, per_s: float, clock: Clock = utc_now) -> Operator:
    """Open the database. Nothing is asked of it yet."""
    db = Database(settings.mongodb_url.get_secret_value())
    files = None
    if settings.vault_ring == "local" and settings.vault_public_ring_file and settings.vault_private_ring_file:
        files = RingFiles(settings.vault_public_ring_file, settings.vault_private_ring_file)
    return Operator(db, Audit(db, derive(settings, "audit")), settings, files, per_s, clock)


async def status(op: Operator) -> None:
    """Print the keys, what each seals, and which live workers lack the current one."""
    public, private = op.rings()
    await ledger.note_held(op.db, public.kind, current=public.current, held=private.key_ids(), now=op.clock())
    print(f"{'key':<12} {'ring':<9} {'state':<9} {'age':>7} {'uses':>13} {'records':>9}")
    for key in await ledger.keys(op.db):
        age = f"{(op.clock() - key.created_at).days} d"
        print(f"{key.key_id:<12} {key.ring:<9} {key.state:<9} {age:>7} {key.uses:>13,} {key.records:>9,}")
    strangers = await ledger.strangers(op.db)
    for found in strangers:
        print(f"No key of ours: {found['_id']} of {found.get('connection_id')}, label {found['label_id']}")
    lacking = await heartbeat.lacking(op.db, public.current, now=op.clock())
    print(f"Live workers without {public.current}: {', '.join(lacking) or 'none'}")
    await _close(public, private)


async def add(op: Operator) -> str:
    """A fresh key in both halves; its id."""
    files = _need_files(op)
    public, private = op.rings()
    await ledger.note_held(op.db, public.kind, current=public.current, held=private.key_ids(), now=op.clock())
    with ring_files.locked(files):
        known = [key.key_id for key in await ledger.keys(op.db)]
        key_id = ring_files.add_key(files, known=known)
        await ledger.note(op.db, public.kind, key_id, "added", now=op.clock())
    print(f"{key_id} is added: it opens, and does not seal yet.")
    return key_id


async def promote(op: Operator) -> None:
    """The newest added key seals from now on. Refused while a live worker could not open what it seals."""
    files = _need_files(op)
    key_id = await _newest_added(op)
    if key_id is None:
        raise Refused("There is no added key: run `add` first.")
    lacking = await heartbeat.lacking(op.db, key_id, now=op.clock())
    if lacking:
        raise Refused(f"These live workers do not have {key_id} yet: {', '.join(lacking)}. Nothing was changed.")
    with ring_files.locked(files):
        ring_files.promote(files, key_id)
        await ledger.make_current(op.db, "local", key_id, now=op.clock())
    print(f"{key_id} seals from now on.")


async def _newest_added(op: Operator) -> str | None:
    held = set(op.rings()[1].key_ids())
    added = [key.key_id for key in await ledger.keys(op.db) if key.state == "added" and key.key_id in held]
    return added[-1] if added else None


async def rewrap(op: Operator) -> None:
    """Everything comes under the current key. May be broken off and begun again."""
    rings = op.rings()
    current = rings[0].current
    await ledger.note_held(op.db, rings[0].kind, current=current, held=rings[1].key_ids(), now=op.clock())
    if op.files is None:
        await ledger.make_current(op.db, rings[0].kind, current, now=op.clock())
    if await ledger.state_of(op.db, current) != "current":
        raise Refused(f"{current} seals, but the ledger does not say so: run `promote` again.")
    total = await rewrapping.left_over(op.db, current)
    bar, all_told = Bar("rewrapped", total), rewrapping.Progress()
    async for progress in rewrapping.rewrap(op.db, rings, job="vault rewrap", clock=op.clock, per_s=op.per_s):
        all_told.add(progress)
        bar.add(progress.rewrapped + progress.overtaken)
    bar.end()
    await _close(*rings)
    left = await rewrapping.left_over(op.db, current)
    print(f"{all_told.rewrapped:,} are rewrapped under {current}; {all_told.overtaken:,} were changed by others.")
    if all_told.broken:
        raise Refused(f"{all_told.broken:,} do not open: see the alarms. {left:,} are under older keys.")
    if left:
        raise Refused(f"{left:,} are under older keys still: run `rewrap` again.")


async def retire(op: Operator, *, settle_s: float = SETTLE_S) -> None:
    """Destroy the keys that came before the current one. Refused while any record needs one."""
    public, private = op.rings()
    held = private.key_ids()
    rows = [key for key in await ledger.keys(op.db) if key.ring != "accounts" and key.key_id != public.current]
    older = [key for key in rows if key.state == "retiring" or (key.state in GONE and key.key_id in held)]
    for key in older:
        if key.records:
            raise Refused(f"{key.records:,} records need {key.key_id}: run `rewrap`. Nothing was destroyed.")
    for key in older:
        await _retire_one(op, key.key_id, settle_s=settle_s)
    if not older:
        print("There is nothing to retire.")


async def _retire_one(op: Operator, key_id: str, *, settle_s: float) -> None:
    if op.files is None:
        await ledger.set_state(op.db, key_id, "retired")
        print(f"No record needs {key_id}: it can be taken out of the settings.")
        return
    with ring_files.locked(op.files):
        ring_files.drop_public(op.files, key_id)
        if await ledger.state_of(op.db, key_id) == "retiring":
            await ledger.set_state(op.db, key_id, "retired")  # from here on, nothing new is stored under it
        await asyncio.sleep(settle_s)
        if found := await ledger.records(op.db, key_id):
            await ledger.set_state(op.db, key_id, "retiring")
            raise Refused(f"{found:,} records came under {key_id} at the last moment: run `rewrap` and `retire` again.")
        ring_files.drop_private(op.files, key_id)
    print(f"{key_id} is destroyed.")


async def rotate(op: Operator, *, settle_s: float = SETTLE_S) -> None:
    """A fresh key takes the place of all others."""
    if op.files is not None:
        await _promote_when_known(op, await _newest_added(op) or await add(op))
    await rewrap(op)
    await retire(op, settle_s=settle_s)


async def revoke(op: Operator, key_id: str, *, force_reconnect: bool, settle_s: float = SETTLE_S) -> None:
    """Seal anew what this key could open, destroy it, and print who is affected."""
    public, private = op.rings()
    await ledger.note_held(op.db, public.kind, current=public.current, held=private.key_ids(), now=op.clock())
    if await ledger.state_of(op.db, key_id) is None:
        raise Refused(f"There never was a key {key_id}.")
    if key_id == public.current:
        if op.files is None:
            raise Refused(f"{key_id} is the current key; put another one first. {IN_THE_SETTING}")
        await _promote_when_known(op, await add(op))
    await ledger.set_state(op.db, key_id, "revoked")
    if op.files:
        with ring_files.locked(op.files):
            ring_files.drop_public(op.files, key_id)
    await _seal_anew(op, key_id)
    await asyncio.sleep(settle_s)  # a process that has not noticed yet may have sealed one more
    broken = await _seal_anew(op, key_id)
    hit = await revoking.affected(op.db, key_id)
    moved = await revoking.force_reconnect(op.db, op.audit, hit, now=op.clock()) if force_reconnect else 0
    if op.files:
        with ring_files.locked(op.files):
            ring_files.drop_private(op.files, key_id)
    print(f"{key_id} is {'destroyed' if op.files else 'revoked here: disable it in AWS. ' + IN_THE_SETTING}")
    print(f"Affected: {len(hit)} connections; {moved} must log in anew now; {broken} secrets do not open.")
    for one in hit:
        print(f"{one['label_id']}  {one['connection_id']}  {one['provider']}  {' '.join(one['purposes'])}")


async def _seal_anew(op: Operator, key_id: str) -> int:
    """Until nothing is left that opens; how many do not open. What others write meanwhile takes another pass."""
    rings = op.rings()
    bar = Bar("sealed anew", await revoking.left_over(op.db, key_id))
    for _ in range(MOST_PASSES):
        broken = 0
        async for progress in revoking.seal_anew(op.db, rings, key_id, clock=op.clock, per_s=op.per_s):
            bar.add(progress.rewrapped)
            broken += progress.broken
        left = await revoking.left_over(op.db, key_id)
        if left <= broken:
            break
    else:
        raise Refused(f"{left:,} records are still under {key_id}. It stays; run it again.")
    bar.end()
    await _close(*rings)
    return broken


async def _promote_when_known(op: Operator, key_id: str) -> None:
    for _ in range(WORKERS_NOTICE_S * 2):
        if not await heartbeat.lacking(op.db, key_id, now=op.clock()):
            break
        await asyncio.sleep(0.5)
    await promote(op)


async def _close(*rings: PublicRing | PrivateRing) -> None:
    for ring in rings:
        await ring.close()


def _need_files(op: Operator) -> RingFiles:
    if op.files is None:
        raise Refused(IN_THE_SETTING)
    return op.files


COMMANDS: dict[str, Callable[[Operator], Awaitable[object]]] = {
    "status": status,
    "add": add,
    "promote": promote,
    "rewrap": rewrap,
    "retire": retire,
    "rotate": rotate,
}


async def run(op: Operator, arguments: argparse.Namespace) -> int:
    """Do it; the exit status."""
    try:
        if arguments.command == "revoke":
            await revoke(op, arguments.key, force_reconnect=arguments.force_reconnect)
        else:
            await COMMANDS[arguments.command](op)
    except (Refused, BadRing) as refused:
        print(refused, file=sys.stderr)
        return 1
    except RingInUse:
        print("Another command is changing the ring.", file=sys.stderr)
        return 1
    except OSError as exc:
        print(f"The ring's files cannot be changed: {exc.strerror}.", file=sys.stderr)
        return 1
    except (PyMongoError, RingUnavailable) as exc:
        print(f"The database or the key ring is away ({type(exc).__name__}): run it again.", file=sys.stderr)
        return 1
    finally:
        op.db.close()
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command. Ends the process when it is none."""
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m workers.vault", description=__doc__, formatter_class=how)
    rate, what = rewrapping.RECORDS_PER_S, "records a second at most"
    parser.add_argument("--rate", type=float, default=rate, help=f"{what} (default {rate})")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        commands.add_parser(name)
    emergency = commands.add_parser("revoke")
    emergency.add_argument("key")
    emergency.add_argument("--force-reconnect", action="store_true", help="have who is affected log in anew")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    told = parse(arguments)
    settings = load(WorkerSettings)
    logs.configure("WARNING")
    return asyncio.run(_main(settings, told))


async def _main(settings: WorkerSettings, told: argparse.Namespace) -> int:
    return await run(open_operator(settings, per_s=told.rate), told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
