"""The call that publishes, and finding out what it did. Never is anything else made or called on a guess.

What was prepared is shown at most once, and can be asked whether it is: after a call, whatever came back, that is asked
before anything else. As long as a call may be under way, or may have been executed later than we waited, it stays in
doubt (`calling` on the target): the same container may be called again, and nothing else may happen to the post. The
doubt ends when the container says that it is shown, when Meta itself has refused every call, or by a person.
"""

import asyncio
from datetime import timedelta
from typing import NoReturn

from app.clients import instagram_publishing as instagram
from app.clients import page_publishing as page
from app.clients.graph_call import At
from app.clients.graph_errors import GraphError, Unavailable
from app.clients.graph_publishing import Prepared, is_refusal, meaning_of
from app.db import Doc
from app.services import faults
from app.services.connections import looks, store
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.operations import InDoubt, TryAgain
from app.services.publishing.checking import check
from app.services.publishing.preparing import look
from app.services.publishing.states import IN_DOUBT, RETRY
from app.services.publishing.trouble import FAILURES, LONGEST_RETRY, NOT_CONNECTED, PERMISSION, QUOTA_RETRY
from app.services.publishing.work import Work
from app.services.vault.opening import NotAllowed

LOOK_AGAIN = tuple(timedelta(seconds=s) for s in (3, 10, 30, 120, 600, 3600, 6 * 3600, 24 * 3600))
"""So long after the call it is asked again what became of it; after the last, a person decides."""
SAID_SOON = 3
"""From this look on the post is shown as `unknown`, and not as being published."""
MOST_CALLS = 6
"""After so many that Meta has all refused, for reasons that may pass, it has failed."""
SETTLED = timedelta(seconds=10)
"""So long after a call that Meta refused `not shown` is believed: a refusal may be told of what was done."""
CALL_AGAIN = timedelta(seconds=30)
"""So long after a call without an answer the same container is called again; after each further one, longer."""


async def show(work: Work, at: At) -> None:
    """Publish what is prepared; return once it is known to be there. Raises `TryAgain`, `InDoubt`, `GiveUp`."""
    await faults.reach("publish_before_intent")
    await work.mark()
    await faults.reach("publish_before_call")
    own_id = str(work.target["container"]["provider_id"])
    network = page if work.target["network"] == "facebook" else instagram
    call = asyncio.create_task(network.publish(at, own_id))
    await faults.reach("publish_during_call")
    try:
        provider_id = await call
    except (NotAllowed, Unavailable) as failure:
        await _not_made(work, failure)
    except GraphError as failure:
        told = {"code": failure.code, "subcode": failure.subcode, "meaning": meaning_of(failure)}
        said = {"refused": told} if is_refusal(failure) else {}
        await work.write(said, step="call", outcome=f"{failure.code}/{failure.subcode}")
        raise InDoubt(work.now + LOOK_AGAIN[0], "Meta is asked what became of the call.") from failure
    await faults.reach("publish_after_call")
    await work.write({"answered_id": provider_id, "answered": True}, step="call", outcome="answered")
    await faults.reach("publish_after_record")
    await settle(work, at)


async def _not_made(work: Work, failure: NotAllowed | Unavailable) -> NoReturn:
    """The connection ended after the last write, or Meta could not be reached: nothing has left this machine."""
    if work.target.get("unanswered"):
        raise InDoubt(work.now + RETRY, "An earlier call may have published it; Meta is asked.") from failure
    if isinstance(failure, NotAllowed):
        await work.refuse(*NOT_CONNECTED)
    await work.move("ready", step="call", outcome="not_made", unset=dict.fromkeys(IN_DOUBT, ""))
    raise TryAgain(work.now + RETRY, "unavailable") from failure


async def settle_later(work: Work) -> None:
    """Find out what became of a call that this worker has not made, or that nobody has answered. Returns once the post
    is known to be there. Raises `TryAgain` where it is known not to be, `InDoubt`, `GiveUp`."""
    if work.connection["status"] not in store.LIVE:  # disconnected: nobody can ever ask
        await _give_up(work)
        return
    try:
        at = await open_at(work.hands, work.connection, used_for="publishing", job=work.operation["_id"])
    except TryAgain:
        await _look_again(work, "Meta wants no calls now.")
        return
    except EXCEPTIONS as failure:
        await _look_again(work, f"Meta cannot be asked ({type(failure).__name__}).")
        return
    await settle(work, at)


async def settle(work: Work, at: At) -> None:
    """The same, with a token."""
    try:
        prepared = await look(work, at)
    except GraphError as failure:
        prepared = None
        why = f"Meta could not be asked ({failure.code}/{failure.subcode})."
    if prepared is None:
        await _look_again(work, why)
    elif prepared.status == "published":
        await note_published(work, prepared)
    elif prepared.status == "finished":
        await _not_shown(work, at)
    elif prepared.status == "in_progress":
        await _look_again(work, "Meta is still at it.")
    else:  # it ended before anybody saw it shown, or not: no proof of either
        await _give_up(work)


async def note_published(work: Work, prepared: Prepared) -> None:
    """It says that it is there: by the last call, or by one that was executed later than anybody waited."""
    provider_id = prepared.provider_id or work.target.get("answered_id")
    called = work.target.get("calling") or {}
    published_at = called.get("at") or work.target["container"].get("called_at") or work.now
    found: Doc = {"provider_id": provider_id, "published_at": published_at, "problem": None}
    await work.move("published", found, step="published", unset={"watch_at": "", "refused": ""})
    await looks.look_soon(work.db, work.connection, looks.INSIGHTS, now=work.now)


async def _not_shown(work: Work, at: At) -> None:
    """It says that it is not shown. Where Meta has refused all calls that is so, and what it said decides what follows;
    else a call may still be executed, and only the same container is called again. Returns once it is published."""
    called_at, now = work.target["calling"]["at"], work.now
    if now < called_at + SETTLED:
        raise InDoubt(called_at + SETTLED, "Meta does not show it yet.")
    refused = work.target.get("refused") or {}
    if refused and not work.target.get("unanswered"):
        await _refused(work, refused)
    if refused.get("meaning") in FAILURES or _is_of_permission(refused):
        await work.leave_unknown()  # this call is refused for good; of an earlier one nobody knows
    wait = QUOTA_RETRY if refused.get("meaning") == "quota" else min(CALL_AGAIN * work.target["calls"], LONGEST_RETRY)
    again_at = min(called_at + wait, max(work.target["publish_until"], called_at + SETTLED) + RETRY / 10)
    if now < again_at:
        raise InDoubt(again_at, "Meta does not show it yet; the same is called again.")
    await check(work)
    await show(work, at)


async def _refused(work: Work, refused: Doc) -> NoReturn:
    """Nothing is in doubt any more. One write says so and what follows: a worker may die before the next. Raises
    `TryAgain`, `GiveUp`."""
    meaning, calls = refused["meaning"], work.target["calls"]
    if meaning in FAILURES:
        await work.refuse(*FAILURES[meaning])
    if _is_of_permission(refused):
        await store.note(work.db, work.connection, {"check_at": work.now})
        await work.refuse(*PERMISSION)
    if calls >= MOST_CALLS and meaning != "quota":
        await work.refuse("provider_unavailable", "Meta did not publish it, however often it was asked.")
    await work.move("ready", step="call", outcome="not_published", unset=dict.fromkeys(IN_DOUBT, ""))
    if meaning == "quota":
        raise TryAgain(work.now + QUOTA_RETRY, "publish_quota")
    raise TryAgain(work.now + RETRY * calls, "not_published")


def _is_of_permission(refused: Doc) -> bool:
    return refused.get("code") in (3, 10, *range(200, 300))


async def _look_again(work: Work, why: str) -> None:
    """Raises `InDoubt`, or after the last look ends it: as published where Meta has said so, else for a person."""
    doubts = work.target.get("doubts", 0)
    if doubts >= len(LOOK_AGAIN):
        await _give_up(work)
        return
    if doubts == SAID_SOON and work.target["state"] != "unknown":
        problem = {"code": "outcome_unknown", "detail": f"{why} It is asked again by itself."}
        await work.move("unknown", {"doubts": doubts + 1, "problem": problem}, step="look", outcome="unknown")
    else:
        await work.write({"doubts": doubts + 1}, step="look", outcome="unknown")
    raise InDoubt(max(work.now + RETRY / 5, work.target["calling"]["at"] + LOOK_AGAIN[doubts]), why)


async def _give_up(work: Work) -> None:
    if work.target.get("answered") and work.target.get("answered_id"):
        found: Doc = {"provider_id": work.target["answered_id"], "published_at": work.target["calling"]["at"]}
        await work.move("published", found | {"problem": None}, step="published", outcome="as answered")
        return
    await work.leave_unknown()
