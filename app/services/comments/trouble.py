"""Calling Meta about comments: with which token, and what a failure means to the work that met it."""

from datetime import datetime, timedelta

from app.clients import graph_comments as meta
from app.clients.graph_call import At
from app.clients.graph_comments import RemoteComment
from app.clients.graph_errors import RateLimited, Reason, Refused, TokenDead, Unavailable
from app.db import Doc
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.connections.reauth import believe, problem_of, require_login
from app.services.operations import TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

RETRY, LONGEST_RETRY = timedelta(seconds=10), timedelta(minutes=5)
MOST_ATTEMPTS = 30
RULES_PAUSE = timedelta(hours=6)
"""So long no rule answers for an account after Meta has blocked its answers as spam."""
PRIVATE_REPLY_LIMIT = 2534013
PRIVATE_REPLY_SPENT = 2534025
LIMIT_LASTS = timedelta(hours=1)
Ending = tuple[str, str]
"""Why something is not done: a stable code, and a sentence."""
REFUSALS: dict[Reason, Ending] = {
    "action_blocked": ("action_blocked", "Meta has blocked this kind of action for a while."),
    "permission_lost": ("permission_lost", "The account's owner has withdrawn the permission to manage comments."),
    "recipient_unavailable": ("recipient_unavailable", "The fan cannot be reached."),
    "not_thread_owner": ("not_thread_owner", "Another app has the conversation with this fan."),
    "not_found": ("not_found", "Meta does not find it."),
}
REFUSED: Ending = ("refused_by_provider", "Meta refused it.")
NOT_CONNECTED: Ending = ("connection_not_active", "The account is not connected any more, or comments are off.")
NEEDS_LOGIN: Ending = ("needs_reauth", "The account must be connected again.")


async def can_read(at: At, comment: Doc) -> bool:
    """Whether Meta still shows the post, and so the account: only then is a comment gone that it does not find."""
    try:
        await meta.page_of(at, str(comment["media"]["provider_id"]), after=None)
    except Refused:
        return False
    return True


async def read_mentioned(at: At, comment: Doc) -> RemoteComment:
    """The words that mention the account: in a comment, or in a media's caption."""
    comment_id, media_id = mention_ids(comment)
    return await meta.read_mention(at, comment_id=comment_id, media_id=media_id)


def mention_ids(comment: Doc) -> tuple[str | None, str]:
    """The comment that mentions the account, if it is one, and the media."""
    provider_id, media_id = str(comment["provider_id"]), str(comment["media"]["provider_id"])
    return (None if provider_id == media_id else provider_id), media_id


async def why(hands: Hands, operation: Doc, connection: Doc, failure: Exception) -> Ending:
    """Why the work ends with this failure, which its connection is told of. Raises `TryAgain` where it does not end."""
    now = hands.clock()
    if isinstance(failure, RateLimited):
        raise TryAgain(now + failure.wait, "rate_limited") from failure
    if isinstance(failure, Unavailable):
        return _unavailable(operation, failure, now)
    if isinstance(failure, TokenDead):
        believe(operation, now=now)
        await require_login(hands.db, hands.audit, connection, problem_of(failure), now=now)
        return NEEDS_LOGIN
    if isinstance(failure, NoSecret | SealBroken):
        await require_login(hands.db, hands.audit, connection, "token_unreadable", now=now)
        return NEEDS_LOGIN
    if isinstance(failure, NotAllowed):
        return NOT_CONNECTED
    if not isinstance(failure, Refused):
        return REFUSED
    if failure.subcode == PRIVATE_REPLY_LIMIT:
        raise TryAgain(now + LIMIT_LASTS, "rate_limited") from failure
    if failure.reason == "action_blocked":
        await store.note(hands.db, connection, {"rule_replies_paused_until": now + RULES_PAUSE})
    if failure.reason == "permission_lost":
        await store.note(hands.db, connection, {"check_at": now})
    return REFUSALS.get(failure.reason, REFUSED)


def _unavailable(operation: Doc, failure: Unavailable, now: datetime) -> Ending:
    if operation["attempts"] >= MOST_ATTEMPTS:
        return "provider_unavailable", "Meta could not be reached."
    raise TryAgain(now + min(RETRY * operation["attempts"], LONGEST_RETRY), "unavailable") from failure
