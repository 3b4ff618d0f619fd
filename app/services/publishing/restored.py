"""Posts of a restored backup: what became of them since it was made is asked of Meta before anything else.

Nothing of them is published again by itself unless Meta's own list shows that it is not there.
"""

from datetime import datetime
from typing import NoReturn

from app.clients import instagram_publishing as instagram
from app.clients.graph_call import At
from app.clients.graph_errors import GraphError, Refused
from app.clients.graph_publishing import Prepared, Shown
from app.db import Doc
from app.services.connections import store
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.operations import InDoubt, TryAgain
from app.services.publishing.preparing import look
from app.services.publishing.showing import LOOK_AGAIN, note_published
from app.services.publishing.states import IN_DOUBT, RETRY, WAITING
from app.services.publishing.work import Work

NOT_YET = "A backup was restored; Meta is asked whether it is there."


async def settle_restored(work: Work) -> None:
    """Return once it is known to be published. Raises `TryAgain` when it is not and its time is still to come,
    `InDoubt` when a person must decide, or Meta cannot be asked now."""
    if work.connection["status"] not in store.LIVE:  # disconnected: nobody can ever ask
        await work.leave_unknown()
    try:
        at = await open_at(work.hands, work.connection, used_for="publishing", job=work.operation["_id"])
        prepared = await _prepared(work, at)
        listed = await _listed(work, at)
    except (TryAgain, GraphError, *EXCEPTIONS):
        await _ask_later(work)
        return
    is_there = prepared is not None and prepared.status == "published"
    if listed is not None and len(listed) == 1 and (is_there or work.snapshot["caption"]):
        found: Doc = {"provider_id": listed[0].provider_id, "published_at": _time_of(listed[0]), "problem": None}
        gone = {"watch_at": "", "restored": ""} | dict.fromkeys(IN_DOUBT, "")
        await work.move("published", found, step="find", outcome="by words and time", unset=gone)
    elif prepared is not None and is_there:
        await note_published(work, prepared)
    elif listed == [] and work.target["due_at"] > work.target["restored"]["at"]:
        state = work.target["state"] if work.target["state"] in WAITING else "waiting"
        first_comment = "waiting" if work.snapshot["first_comment"] else "none"
        anew: Doc = {"first_comment.state": first_comment}
        await work.move(state, anew, step="find", outcome="0 fit", unset=_anew())
        raise TryAgain(work.now + RETRY, "restored")
    else:
        await work.leave_unknown()


async def _ask_later(work: Work) -> NoReturn:
    """Raises `InDoubt`. After the last look a person decides."""
    doubts = work.target.get("doubts", 0)
    if doubts >= len(LOOK_AGAIN):
        await work.leave_unknown()
    await work.write({"doubts": doubts + 1}, step="look", outcome="unknown")
    raise InDoubt(work.now + LOOK_AGAIN[doubts], NOT_YET)


async def _prepared(work: Work, at: At) -> Prepared | None:
    """How what was prepared is; none where nothing was, or it has ended at Meta: then the list alone tells."""
    if not work.target["container"]:
        return None
    try:
        return await look(work, at)
    except Refused:
        return None


def _anew() -> Doc:
    """What a target begins without: its time is still to come, and it is prepared then."""
    return {"restored": ""} | dict.fromkeys(IN_DOUBT, "")


async def _listed(work: Work, at: At) -> list[Shown] | None:
    """The account's newest posts that may be this one and are no other's; none where no list would show it."""
    if work.target["network"] != "instagram" or work.snapshot["kind"] == "story":
        return None
    made_at = work.target["restored"]["made_at"]
    fitting = [one for one in await instagram.newest(at) if _fits(work, one, made_at)]
    key = {"label_id": work.target["label_id"], "connection_id": work.target["connection_id"]}
    ids = [one.provider_id for one in fitting]
    known = work.db.open("publication_targets").find(key | {"provider_id": {"$in": ids}}, {"provider_id": 1})
    others = {one["provider_id"] async for one in known}
    return [one for one in fitting if one.provider_id not in others]


def _fits(work: Work, one: Shown, made_at: datetime) -> bool:
    at = _time_of(one)
    same = one.caption.strip() == (work.snapshot["caption"] or "").strip()
    return same and at is not None and at >= made_at.replace(microsecond=0)


def _time_of(one: Shown) -> datetime | None:
    """When Meta says that it was posted."""
    try:
        return datetime.strptime(one.at, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
