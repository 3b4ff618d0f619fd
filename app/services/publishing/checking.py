"""Whether a post may still go out: asked whenever it is worked on, and for the last time right before the call."""

from datetime import timedelta

from app.clients import instagram_publishing as instagram
from app.clients.graph_call import At
from app.clients.graph_errors import Refused
from app.db import Doc
from app.services.operations import TryAgain
from app.services.publications.embargo import embargo_problem
from app.services.publications.limits import broken_limits
from app.services.publishing.material import are_there, assets_of
from app.services.publishing.preparing import look_at
from app.services.publishing.quotas import note_quota
from app.services.publishing.work import Work, is_approved, is_ending

QUOTA_WAIT = timedelta(minutes=10)
"""Meta does not tell when the oldest post leaves the window; what waits is asked again so often."""
TOO_LATE = ("too_late", "Its time passed while it could not be published. Publish it now (retry), or cancel it.")
CHANGED = ("changed", "The publication has changed since it was scheduled: schedule it again.")


LABEL_ENDS = (
    "label_deleting",
    "The label was going to be deleted when its time came. Publish it now (retry), or cancel it.",
)
OUT_BEFORE = (
    "published_before",
    "An earlier version of it is published after all: look at the account. Cancel this one, or delete the other there.",
)


async def check_label(work: Work) -> None:
    """Raise `GiveUp` for what belongs to a label that is going to be deleted: nobody there could stop it any more."""
    if await is_ending(work.db, work.target["label_id"]):
        await work.fail(*LABEL_ENDS, state="needs_decision", step="check")


async def check_earlier(work: Work, at: At) -> None:
    """Ask what earlier versions had prepared, and was called. Raises `GiveUp` where one of them is shown."""
    for own_id in work.target.get("earlier", ()):
        try:
            prepared = await look_at(work, at, own_id)
        except Refused as failure:
            if failure.reason != "not_found":
                raise
            continue
        if prepared.status == "published":
            await work.fail(*OUT_BEFORE, state="needs_decision", step="check")


async def check(work: Work) -> dict[str, Doc]:
    """The assets of a post that may still go out. Raises `GiveUp` for one that may not, or about which somebody is
    asked (`needs_decision`)."""
    target = work.target
    await check_label(work)
    place = {"label_id": target["label_id"]}
    publication = await work.db.open("publications").find_one(place | {"_id": target["publication_id"]})
    if not is_approved(target, publication):
        await work.fail(*CHANGED, step="check")
    if work.now > target["publish_until"]:
        await work.fail(*TOO_LATE, state="needs_decision", step="check")
    await _check_embargo(work)
    assets = await assets_of(work)
    if not are_there(work.snapshot, assets):
        await work.fail("asset_not_ready", "A file of it is not there any more.", step="check")
    if broken := broken_limits(work.snapshot, target, assets):
        await work.fail(broken[0].code, f"{broken[0].pointer} {broken[0].detail}", step="check")
    return assets


async def check_quota(work: Work, at: At) -> None:
    """Raise `TryAgain` while the account has published as many as Meta lets it. Of Pages, Meta names no such number."""
    if work.target["network"] != "instagram":
        return
    quota = await instagram.quota(at)
    await note_quota(work.db, work.connection, quota, now=work.now)
    if quota.used >= quota.total:
        raise TryAgain(work.now + QUOTA_WAIT, "publish_quota")


async def _check_embargo(work: Work) -> None:
    plan_id = work.snapshot["plan_id"]
    if plan_id is None:
        return
    query = {"_id": plan_id, "label_id": work.target["label_id"]}
    plan = await work.db.open("release_plans").find_one(query)
    at = max(work.now, work.target["due_at"])
    if problem := embargo_problem(work.snapshot, plan, at):
        await work.fail(problem.code, problem.detail, state="needs_decision", step="check")
