"""After a post is there: its address, and the first comment. Neither can take the post back, or make a second one."""

from datetime import timedelta

from app.clients import graph_publishing as meta
from app.clients import instagram_publishing as instagram
from app.clients import page_publishing as page
from app.clients.graph_call import At
from app.clients.graph_errors import GraphError, OutcomeUnknown, RateLimited, Unavailable
from app.services import faults
from app.services.operations import TryAgain
from app.services.publishing.finding import find_media
from app.services.publishing.states import RETRY
from app.services.publishing.work import Work

COMMENT_WITHIN = timedelta(hours=6)
"""So long after the post a first comment that Meta put off is still written."""


async def follow(work: Work, at: At) -> None:
    """Do what is left, as far as it goes. Raises `TryAgain` when another worker has the target, and while Meta takes no
    comments."""
    if work.target["provider_id"] is None and work.target["network"] == "instagram":
        await find_media(work, at)
    if work.target["provider_id"] is None:
        if work.target["first_comment"]["state"] == "waiting":
            await work.write({"first_comment.state": "failed"}, step="first_comment", outcome="no_id")
        return
    if work.target["permalink"] is None:
        await _find_permalink(work, at)
    if work.target["first_comment"]["state"] in ("waiting", "calling"):
        await _comment(work, at)


async def _find_permalink(work: Work, at: At) -> None:
    network = page if work.target["network"] == "facebook" else instagram
    try:
        shown = await network.show(at, str(work.target["provider_id"]))
    except GraphError:
        return
    await work.write({"permalink": shown.permalink}, step="permalink")


async def _comment(work: Work, at: At) -> None:
    """Comment, at most once: who finds that it was begun looks for it, and does not begin it again."""
    provider_id, text = str(work.target["provider_id"]), str(work.snapshot["first_comment"])
    if work.target["first_comment"]["state"] == "calling":
        await _find_comment(work, at)
        return
    await faults.reach("publish_before_comment")
    await work.write({"first_comment.state": "calling"}, step="first_comment", outcome="begun")
    try:
        comment_id = await meta.comment(at, provider_id, text)
    except OutcomeUnknown:
        await _find_comment(work, at)
        return
    except (RateLimited, Unavailable) as failure:  # it was certainly not written
        wait = failure.wait if isinstance(failure, RateLimited) else RETRY
        if work.now + wait > work.target["published_at"] + COMMENT_WITHIN:
            await work.write({"first_comment.state": "failed"}, step="first_comment", outcome="rate_limited")
            return
        await work.write({"first_comment.state": "waiting"}, step="first_comment", outcome="put off")
        raise TryAgain(work.now + wait, "rate_limited") from failure
    except GraphError as failure:
        told = f"{failure.code}/{failure.subcode}"
        await work.write({"first_comment.state": "failed"}, step="first_comment", outcome=told)
        return
    await faults.reach("publish_after_comment")
    done = {"first_comment.state": "done", "first_comment.provider_id": comment_id}
    await work.write(done, step="first_comment")


async def _find_comment(work: Work, at: At) -> None:
    text = str(work.snapshot["first_comment"]).strip()
    words = "message" if work.target["network"] == "facebook" else "text"
    try:
        own = await meta.own_comments(at, str(work.target["provider_id"]), words=words)
    except GraphError:
        own = []
    found = next((comment_id for comment_id, said in own if said.strip() == text), None)
    state = "done" if found else "unknown"
    told = {"first_comment.state": state, "first_comment.provider_id": found}
    await work.write(told, step="first_comment", outcome=state)
