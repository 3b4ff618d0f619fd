"""The one call that publishes, and finding out what it did. Never is it made again on a guess.

What was prepared is shown at most once, and can be asked whether it is: after the call, whatever came back, that is
asked before anything else. Only what says of itself that it is not shown is shown again, and only it: nothing else is
prepared instead while it may have been shown.
"""

import asyncio
from datetime import timedelta

from app.clients import instagram_publishing as instagram
from app.clients import page_publishing as page
from app.clients.graph_call import At
from app.clients.graph_errors import GraphError
from app.clients.graph_publishing import Prepared, meaning_of
from app.db import Doc
from app.services import faults
from app.services.connections import looks
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.operations import InDoubt, TryAgain
from app.services.publishing.finding import find_media
from app.services.publishing.preparing import look
from app.services.publishing.states import RETRY, WHAT_TO_DO
from app.services.publishing.trouble import FAILURES, NOT_CONNECTED, PERMISSION, QUOTA_RETRY
from app.services.publishing.work import Work
from app.services.vault.opening import NotAllowed

LOOK_AGAIN = tuple(timedelta(seconds=s) for s in (3, 10, 30, 120, 600, 3600, 6 * 3600, 24 * 3600))
"""So long after the call it is asked again what became of it; after the last, a person decides."""
SAID_SOON = 3
"""From this look on the post is shown as `unknown`, and not as being published."""
MOST_CALLS = 6
SETTLED = timedelta(seconds=2)
"""So long after the call `not shown` is believed: it may have been on its way."""


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
    except NotAllowed:  # the connection ended after the last write: nothing has left this machine
        await work.move("ready", step="call", outcome="not_made", unset={"calling": ""})
        await work.fail(*NOT_CONNECTED)
    except GraphError as failure:
        told = {"code": failure.code, "subcode": failure.subcode, "meaning": meaning_of(failure)}
        await work.write({"refused": told}, step="call", outcome=f"{failure.code}/{failure.subcode}")
        raise InDoubt(work.now + LOOK_AGAIN[0], "Meta is asked what became of the call.") from failure
    await faults.reach("publish_after_call")
    await work.write({"answered_id": provider_id, "answered": True}, step="call", outcome="answered")
    await faults.reach("publish_after_record")
    await settle(work, at)


async def settle_later(work: Work) -> None:
    """Find out what became of a call that this worker has not made, or whose answer was none. Returns once the post is
    known to be there. Raises `TryAgain` where it is known not to be, `InDoubt`, `GiveUp`."""
    try:
        at = await open_at(work.hands, work.connection, used_for="publishing", job=work.operation["_id"])
    except TryAgain as later:
        raise InDoubt(later.at, "Meta wants no calls now; it is asked then.") from later
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
        await _published(work, at, prepared)
    elif prepared.status == "finished":
        await _not_shown(work)
    elif prepared.status == "in_progress":
        await _look_again(work, "Meta is still at it.")
    else:  # it ended before anybody saw it shown, or not: no proof of either
        await _give_up(work)


async def _published(work: Work, at: At, prepared: Prepared) -> None:
    provider_id = prepared.provider_id or work.target.get("answered_id")
    found: Doc = {"provider_id": provider_id, "published_at": work.target["calling"]["at"], "problem": None}
    await work.move("published", found, step="published", unset={"watch_at": "", "refused": ""})
    await looks.look_soon(work.db, work.connection, looks.INSIGHTS, now=work.now)
    if provider_id is None and work.target["network"] == "instagram":
        await find_media(work, at)


async def _not_shown(work: Work) -> None:
    """It says of itself that it is not shown: the call did nothing. What Meta said to it decides what follows."""
    now, refused = work.now, work.target.get("refused") or {}
    if now - work.target["calling"]["at"] < SETTLED:
        raise InDoubt(now + SETTLED, "Meta does not show it yet.")
    calls = work.target.get("calls", 0) + 1
    nothing = {"calling": "", "answered": "", "answered_id": "", "refused": "", "doubts": ""}
    await work.move("ready", {"calls": calls}, step="call", outcome="not_published", unset=nothing)
    if refused.get("meaning") == "quota":
        raise TryAgain(now + QUOTA_RETRY, "publish_quota")
    if refused.get("meaning") in FAILURES:
        await work.fail(*FAILURES[refused["meaning"]])
    if refused and refused.get("code") in (3, 10, *range(200, 300)):
        await work.fail(*PERMISSION)
    if calls >= MOST_CALLS:
        await work.fail("provider_unavailable", "Meta did not publish it, however often it was asked.")
    raise TryAgain(now + RETRY * calls, "not_published")


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
    problem = {"code": "outcome_unknown", "detail": WHAT_TO_DO}
    await work.move("unknown", {"problem": problem}, step="look", outcome="unknown")
    raise InDoubt(None, WHAT_TO_DO)
