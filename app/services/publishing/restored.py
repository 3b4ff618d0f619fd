"""Posts of a restored backup: what became of them since it was made is asked of Meta before anything else.

Nothing of them is published again by itself unless Meta's own list shows that it is not there.
"""

from datetime import datetime

from app.clients import instagram_publishing as instagram
from app.clients.graph_call import At
from app.clients.graph_errors import GraphError
from app.clients.graph_publishing import Shown
from app.db import Doc
from app.services.connections.calling import EXCEPTIONS, open_at
from app.services.operations import InDoubt, TryAgain
from app.services.publishing.preparing import look
from app.services.publishing.showing import note_published
from app.services.publishing.states import IN_DOUBT, RETRY, WAITING
from app.services.publishing.work import Work

NOT_YET = "A backup was restored; Meta is asked whether it is there."


async def settle_restored(work: Work) -> None:
    """Return once it is known to be published. Raises `TryAgain` when it is not and its time is still to come,
    `InDoubt` when a person must decide, or Meta cannot be asked now."""
    try:
        at = await open_at(work.hands, work.connection, used_for="publishing", job=work.operation["_id"])
    except (TryAgain, *EXCEPTIONS):
        raise InDoubt(work.now + RETRY, NOT_YET) from None
    try:
        if work.target["container"]:
            prepared = await look(work, at)
            if prepared.status == "published":
                await note_published(work, prepared)
                return
        listed = await _listed(work, at)
    except GraphError:
        raise InDoubt(work.now + RETRY, NOT_YET) from None
    if listed is not None and len(listed) == 1:
        found: Doc = {"provider_id": listed[0].provider_id, "published_at": work.now, "problem": None}
        gone = {"watch_at": "", "restored": ""} | dict.fromkeys(IN_DOUBT, "")
        await work.move("published", found, step="find", outcome="by words and time", unset=gone)
        return
    if listed == [] and work.target["due_at"] > work.target["restored"]["at"]:
        state = work.target["state"] if work.target["state"] in WAITING else "waiting"
        first_comment = "waiting" if work.snapshot["first_comment"] else "none"
        anew: Doc = {"first_comment.state": first_comment}
        await work.move(state, anew, step="find", outcome="0 fit", unset=_anew())
        raise TryAgain(work.now + RETRY, "restored")
    await work.leave_unknown()


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
    try:
        at = datetime.strptime(one.at, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return False
    return one.caption.strip() == (work.snapshot["caption"] or "").strip() and at >= made_at.replace(microsecond=0)
