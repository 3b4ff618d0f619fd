"""Publishing one post on one account, by a worker: once, however often it dies on the way.

Check, prepare, wait for the time, check again, write down that the call is made, make it, write down its answer, ask
what was prepared whether it is shown. See docs/publishing-exactly-once.md.
"""

from app.db import Doc
from app.services.connections import store
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.connections.hands import Hands
from app.services.operations import WAITING, GiveUp, InDoubt, TryAgain
from app.services.publishing import reminding
from app.services.publishing.checking import check, check_earlier, check_label, check_quota
from app.services.publishing.following import follow
from app.services.publishing.preparing import prepare
from app.services.publishing.restored import settle_restored
from app.services.publishing.showing import note_published, settle_later, show
from app.services.publishing.states import RETRY
from app.services.publishing.trouble import not_published
from app.services.publishing.work import Work

ENDED = ("failed", "needs_decision", "to_do")


async def publish(hands: Hands, operation: Doc) -> Doc:
    """Bring a target one step on. The result names the publication, and the post's id and address.

    Raises `TryAgain`, `GiveUp`, `InDoubt`.
    """
    work = await _take(hands, operation)
    if work.target["state"] in ENDED:  # who ended it died before he told of it
        problem = work.target["problem"] or {"code": work.target["state"], "detail": "It is over."}
        raise GiveUp(problem["code"], problem["detail"])
    if work.target["state"] == "published":
        return await _finish(work)
    try:
        await _bring_on(work)
    except TryAgain as later:
        raise _in_time(work, later) from later
    return work.result() if work.target["state"] == "to_do" else await _finish(work)


async def _bring_on(work: Work) -> None:
    """Return once it is published, or somebody's to do."""
    try:
        if work.target.get("restored"):
            await settle_restored(work)
        elif work.target.get("calling"):
            await settle_later(work)
        elif work.snapshot["mode"] == "remind":
            await check_label(work)
            await reminding.remind(work)
        else:
            await _go_on(work)
    except EXCEPTIONS as failure:
        if work.target.get("calling"):
            raise InDoubt(work.now + RETRY, "Meta is asked what became of the call.") from failure
        await not_published(work, failure)


def _in_time(work: Work, later: TryAgain) -> TryAgain | InDoubt:
    """Come back when it is too late, at the latest: then somebody is asked. What may be published stays in doubt."""
    if work.target.get("calling"):
        return InDoubt(later.at, "Meta is asked what became of the call.")
    too_late = max(work.target["publish_until"], work.now) + RETRY / 10
    return TryAgain(min(later.at, too_late), later.reason)


async def _take(hands: Hands, operation: Doc) -> Work:
    """The target, made this worker's. Raises `GiveUp` where there is nothing to do any more."""
    place = {"_id": operation["target"], "label_id": operation["label_id"]}
    earlier = place | {"fence": {"$lt": operation["fence"]}, "state": {"$ne": "cancelled"}}
    taken: Doc = {"$set": {"fence": operation["fence"]}}
    target = await hands.db.open("publication_targets").find_one_and_update(earlier, taken)
    if target is None:
        raise GiveUp("cancelled", "The publication was withdrawn, or its account was disconnected.")
    target["fence"] = operation["fence"]
    return Work(hands, operation, target, await store.need(hands.db, operation["label_id"], target["connection_id"]))


async def _go_on(work: Work) -> None:
    """Return once it is published."""
    assets = await check(work)
    at = await open_at(work.hands, work.connection, used_for="publishing", job=work.operation["_id"])
    await check_earlier(work, at)
    prepared = await prepare(work, at, assets)
    if prepared.status == "published":
        await note_published(work, prepared)
        return
    if work.now < work.target["due_at"]:
        raise TryAgain(work.target["due_at"], WAITING)
    await check(work)
    await check_earlier(work, at)
    await check_quota(work, at)
    await show(work, at)


async def _finish(work: Work) -> Doc:
    try:
        at = await open_at(work.hands, work.connection, used_for="publishing", job=work.operation["_id"])
    except (TryAgain, *EXCEPTIONS):
        return work.result()
    await follow(work, at)
    return work.result()
