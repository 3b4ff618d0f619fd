"""The worker's half of leaving: a saga that can be begun again at any point. `leaving.begin` has refused all use.

Each step is recorded before and after. Our own copy goes first and does not wait for the provider. That is asked when
whatever was under way has ended, so that nothing can undo what it does; the token is kept until then, at most for 72
hours. Source: meta-platform.md, section 1.5.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from app.clients.graph_errors import GraphError, RateLimited, Refused, TokenDead
from app.clients.objects import ObjectsError
from app.db import Doc
from app.errors import NotFound
from app.logs import get_logger
from app.models.drills import LeavePoint
from app.models.receipts import Result, Step
from app.services import faults
from app.services.audit import SYSTEM
from app.services.connections import erasing, leaving, revoking, store
from app.services.connections.hands import Hands
from app.services.inbox import drain
from app.services.operations import WAITING, GiveUp, TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret

log = get_logger(__name__)
RETRY, LONGEST_RETRY = timedelta(seconds=5), timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=72)
"""So long the provider is asked; then the token is destroyed whatever it says."""
LOOK_AGAIN = timedelta(seconds=5)
SHARE_OF_LEASE = 0.35
"""What one step at the provider may take of it: there are two, and an operation is broken off after four fifths."""


@dataclass(frozen=True)
class Leave:
    """One run of the saga."""

    hands: Hands
    operation: Doc
    connection: Doc
    record: Doc


Outcome = tuple[Result, str]
"""A result, and a sentence about it."""


async def disconnect(hands: Hands, operation: Doc) -> Doc:
    """Do what is left to do for a connection that has ended. The result names it. Raises `TryAgain`, `GiveUp`."""
    label_id, connection_id = operation["label_id"], operation["target"]
    try:
        record = await leaving.need_record(hands.db, label_id, connection_id, now=hands.clock())
        connection = await store.need(hands.db, label_id, connection_id)
    except NotFound as exc:
        raise GiveUp("connection_gone", "The connection is not there any more.") from exc
    if record["completed_at"] is None:
        await _note_outside(hands, record)
        account = {"provider_id": record["provider_id"], "kind": record["kind"]}
        connection["account"] = connection["account"] or account  # its names may be gone already
        leave = Leave(hands, operation, connection, record)
        for step, (before, work, after) in STEPS.items():
            await _do(leave, step, before, work, after)
        await leaving.complete(hands.db, hands.audit, record, by=SYSTEM, now=hands.clock())
        await faults.reach("leave_after_end")
    return {"connection_id": connection_id}


async def _note_outside(hands: Hands, record: Doc) -> None:
    """No older backup brings it back. Raises `TryAgain`."""
    if record["steps"]:
        return
    try:
        await hands.journal.write("connection_ended", record["_id"], now=hands.clock())
    except ObjectsError as exc:
        raise TryAgain(hands.clock() + RETRY, "storage_unavailable") from exc


async def _do(
    leave: Leave, step: Step, before: LeavePoint, work: Callable[[Leave], Awaitable[Outcome]], after: LeavePoint
) -> None:
    if "result" in leave.record["steps"].get(step, {}):
        return
    hands = leave.hands
    await leaving.note_begun(hands.db, leave.record, step, now=hands.clock())
    await faults.reach(before)
    result, detail = await work(leave)
    await faults.reach(after)
    await leaving.note_result(hands.db, leave.record, step, result=result, detail=detail, now=hands.clock())


async def _erase(leave: Leave) -> Outcome:
    found = await erasing.erase(leave.hands.db, leave.connection, "erase")
    await erasing.forget_names(leave.hands.db, leave.connection)
    return "done", f"{found} documents, and the account's name and picture, were deleted."


async def _unsubscribe(leave: Leave) -> Outcome:
    if leave.record["grant_ended"]:
        return "not_needed", "The account's owner removed our app, which ends its webhooks."
    return await _at_provider(leave, revoking.unsubscribe)


async def _revoke(leave: Leave) -> Outcome:
    if leave.record["grant_ended"]:
        return "already_revoked", "The account's owner removed our app."
    return await _at_provider(leave, revoking.revoke)


async def _at_provider(leave: Leave, ask: Callable[[Hands, Doc, str], Awaitable[Outcome]]) -> Outcome:
    """What the provider said, as far as it can be reached. Raises `TryAgain`, or what went wrong, for 72 hours."""
    if leave.connection["provider"] != "spotify":  # of which nothing is asked
        _wait_for_the_rest(leave)
    now, until = leave.hands.clock(), leave.record["begun_at"] + GIVE_UP_AFTER
    wait = min(RETRY * 2 ** min(leave.operation["attempts"] - 1, 12), LONGEST_RETRY)
    try:
        async with asyncio.timeout(leave.hands.settings.lease_s * SHARE_OF_LEASE):
            return await ask(leave.hands, leave.connection, leave.operation["_id"])
    except NoSecret:
        return "not_needed", "There was no token."
    except SealBroken:
        return "token_unreadable", "The token could not be read, so that nothing could be asked with it."
    except TokenDead:
        return "token_dead", "The token had ended before."
    except Refused as exc:
        return "refused", f"The provider refused (code {exc.code})."
    except RateLimited as exc:
        wait = max(wait, exc.wait)
    except (GraphError, TimeoutError):
        pass
    except Exception:
        if now < until:  # a key ring that is away, a log-in that is waited for, a mistake of ours
            raise
        log.exception("given up", operation=leave.operation["_id"])
    if now >= until:
        return "gave_up", "The provider could not be asked for 72 hours."
    raise TryAgain(min(now + wait, until), "provider_unavailable")


async def _destroy(leave: Leave) -> Outcome:
    found = await erasing.erase(leave.hands.db, leave.connection, "destroy")
    return "done", f"{found} sealed secrets were deleted, each with its own key."


def _wait_for_the_rest(leave: Leave) -> None:
    """Raise `TryAgain` until nothing can be under way any more that had begun before the end."""
    settled_at = leave.record["begun_at"] + max(drain.LEASE, timedelta(seconds=leave.hands.settings.lease_s))
    if leave.hands.clock() < settled_at:
        raise TryAgain(settled_at, WAITING)


async def _verify(leave: Leave) -> Outcome:
    """Look again, when nothing can write any more."""
    _wait_for_the_rest(leave)
    hands, now = leave.hands, leave.hands.clock()
    late = await erasing.erase(hands.db, leave.connection, "erase")
    late += await erasing.erase(hands.db, leave.connection, "destroy")
    if await erasing.left_of(hands.db, leave.connection):
        raise TryAgain(now + LOOK_AGAIN, "verifying")
    return "done", f"Nothing is left; {late} documents that had come late were deleted."


STEPS: dict[Step, tuple[LeavePoint, Callable[[Leave], Awaitable[Outcome]], LeavePoint]] = {
    "erase": ("leave_before_erase", _erase, "leave_after_erase"),
    "unsubscribe": ("leave_before_unsubscribe", _unsubscribe, "leave_after_unsubscribe"),
    "revoke": ("leave_before_revoke", _revoke, "leave_after_revoke"),
    "destroy_tokens": ("leave_before_destroy", _destroy, "leave_after_destroy"),
    "verify": ("leave_before_verify", _verify, "leave_after_verify"),
}
"""In the order in which they are done."""
