"""Meta's and our own reasons to refuse a message, as stable codes; and what is remembered of them."""

from datetime import datetime, timedelta

from app.clients.graph_errors import Reason, Refused
from app.db import Database, Doc
from app.models.base import rfc3339
from app.models.reply_window import Blocked
from app.services.connections import store
from app.services.events import Event, append

PAUSE = timedelta(hours=24)
"""Meta does not tell for how long it bars an account; after so long it is tried again."""
REFUSALS: dict[Reason, tuple[str, str]] = {
    "window_closed": ("reply_window_closed", "Meta says that the time to reply has passed."),
    "action_blocked": ("action_blocked", "Meta has blocked this kind of action for a while."),
    "permission_lost": ("permission_lost", "The account's owner has withdrawn the permission to send messages."),
    "recipient_unavailable": ("recipient_unavailable", "The fan cannot be reached."),
    "not_thread_owner": ("not_thread_owner", "Another app has this conversation."),
    "thread_gone": ("conversation_unavailable", "The account's owner has archived or deleted the conversation."),
    "message_gone": ("message_unavailable", "The message that this one is about is not there any more."),
    "attachment_refused": ("attachment_refused", "Meta could not fetch the attachment, or does not take it."),
    "sending_paused": ("sending_paused", "Meta lets the account send nothing for a while."),
    "not_found": ("recipient_unavailable", "The fan cannot be found."),
    "invalid_request": ("refused_by_provider", "Meta refused the message."),
    "unknown_error": ("refused_by_provider", "Meta refused the message."),
}
"""What became of a message that Meta refused (meta-platform.md, section 3.8)."""
BLOCKED: dict[Blocked, tuple[str, str]] = {
    "window_closed": ("reply_window_closed", "The time to reply passed while the message waited."),
    "never_written": ("reply_window_closed", "The fan has not written to the account."),
    "sending_paused": REFUSALS["sending_paused"],
    "another_app_owns_the_thread": REFUSALS["not_thread_owner"],
    "recipient_unavailable": REFUSALS["recipient_unavailable"],
}
"""What became of one that we refused to send ourselves."""
NOT_OURS = ("media_refused", "Meta takes only posts of the account's own that are still there.")
ON_CONVERSATION: dict[Reason, str] = {
    "recipient_unavailable": "unreachable_at",
    "not_thread_owner": "thread_refused_at",
}


def refusal_of(error: Refused, original: Doc) -> tuple[str, str]:
    """The code and the sentence for a message of this content. Of an own post Meta says only that the call is wrong."""
    shares = any("provider_id" in one for one in original.get("attachments", []))
    if shares and error.reason in ("invalid_request", "not_found", "attachment_refused"):
        return NOT_OURS
    return REFUSALS[error.reason]


async def note_refusal(db: Database, connection: Doc, conversation_id: str, reason: Reason, *, now: datetime) -> None:
    """Remember what will stand in the way of the next message too, so that nobody types it in vain."""
    if field := ON_CONVERSATION.get(reason):
        key = {"_id": conversation_id, "label_id": connection["label_id"]}
        await db.open("conversations").update_one(key, {"$set": {field: now}, "$inc": {"version": 1}})
    if reason == "permission_lost":  # a check reads what is permitted; one refusal is no proof
        await store.note(db, connection, {"check_at": now})
    if reason == "sending_paused":
        await store.note(db, connection, {"sending_paused_until": now + PAUSE})
        when = f"connection:{connection['_id']}:sending_paused:{rfc3339(now)}"
        await append(db, [Event(connection["label_id"], when, "connection.changed", connection["_id"], now)])
