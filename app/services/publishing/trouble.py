"""What a failed call means for a post that is certainly not published by it."""

from datetime import datetime, timedelta
from typing import NoReturn

from app.clients.graph_errors import GraphError, RateLimited, Refused, TokenDead
from app.clients.graph_publishing import meaning_of
from app.db import Doc
from app.services.connections import store
from app.services.connections.reauth import believe, problem_of, require_login
from app.services.operations import TryAgain
from app.services.publishing.states import RETRY
from app.services.publishing.work import Work
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

LONGEST_RETRY, QUOTA_RETRY = timedelta(minutes=5), timedelta(minutes=10)
MOST_FETCHES, MOST_CONTAINERS = 2, 4
FAILURES = {
    "blocked": ("action_blocked", "Meta lets this account publish nothing for a while."),
    "restricted": ("account_restricted", "Meta wants the account's owner to act in its own app first."),
    "fix": ("refused_by_provider", "Meta does not take this post as it is."),
    "duplicate": ("duplicate", "Meta says that the same was posted already. Look at the account."),
    "unfetchable": ("media_unfetchable", "Meta could not fetch the file."),
}
"""What ends a post, and why."""
NOT_CONNECTED = ("connection_not_active", "The account is not connected any more, or publishing is off.")
NEEDS_LOGIN = ("needs_reauth", "The account must be connected again.")
PERMISSION = ("permission_lost", "The account's owner has withdrawn the permission to publish.")
REFUSED = ("refused_by_provider", "Meta refused it.")


async def not_published(work: Work, failure: Exception) -> NoReturn:
    """Go on from a call that has not published: later, with something new, or not at all. Raises `TryAgain`, `GiveUp`.

    What is tried again, is so until the publication is too late; then somebody is asked (`checking.py`).
    """
    now = work.now
    if isinstance(failure, NotAllowed):
        await work.fail(*NOT_CONNECTED)
    if isinstance(failure, NoSecret | SealBroken):
        await require_login(work.db, work.hands.audit, work.connection, "token_unreadable", now=now)
        await work.fail(*NEEDS_LOGIN)
    if isinstance(failure, TokenDead):
        believe(work.operation, now=now)
        await require_login(work.db, work.hands.audit, work.connection, problem_of(failure), now=now)
        await work.fail(*NEEDS_LOGIN)
    assert isinstance(failure, GraphError)
    await _of_meta(work, failure, now)


async def _of_meta(work: Work, failure: GraphError, now: datetime) -> NoReturn:
    meaning = meaning_of(failure)
    if meaning == "quota":
        raise TryAgain(now + QUOTA_RETRY, "publish_quota") from failure
    if meaning in ("again", "not_ready"):
        raise TryAgain(_later(work), "unavailable") from failure
    prepared = work.target["container"] is not None or work.target["containers"]
    is_gone = isinstance(failure, Refused) and failure.reason == "not_found"
    if meaning == "anew" or (is_gone and prepared):
        await begin_anew(work, f"{failure.code}/{failure.subcode}")
    if meaning == "unfetchable" and work.target.get("unfetched", 0) + 1 < MOST_FETCHES:
        await work.write({"unfetched": work.target.get("unfetched", 0) + 1}, step="container", outcome="unfetchable")
        raise TryAgain(_later(work), "media_unfetchable") from failure
    if meaning in FAILURES:
        await work.fail(*FAILURES[meaning])
    if isinstance(failure, RateLimited):
        raise TryAgain(now + failure.wait, "rate_limited") from failure
    if not isinstance(failure, Refused):  # Unavailable, OutcomeUnknown, Malformed
        raise TryAgain(_later(work), "unavailable") from failure
    if failure.reason == "permission_lost":
        await store.note(work.db, work.connection, {"check_at": now})
        await work.fail(*PERMISSION)
    await work.fail(*REFUSED)


async def begin_anew(work: Work, why: str) -> NoReturn:
    """Forget what was prepared, which is not published, and prepare it again: it was never called, or Meta refused each
    call, or a person has said so. Raises `TryAgain`, `GiveUp`."""
    made = work.target.get("remade", 0) + 1
    if made >= MOST_CONTAINERS:
        await work.fail("media_refused", "Meta could not work with the files, several times.")
    nothing: Doc = {"containers": [], "container": None, "remade": made, "looks": 0, "calls": 0}
    await work.move("waiting", nothing, step="container", outcome=f"anew {why}")
    raise TryAgain(_later(work), "prepared_anew")


def _later(work: Work) -> datetime:
    wait: timedelta = min(RETRY * max(1, int(work.operation["attempts"]) // 2), LONGEST_RETRY)
    return work.now + wait
