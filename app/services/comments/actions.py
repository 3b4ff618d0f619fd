"""Acting on comments: the intent and its operation are written together. `acting.py` is the worker's half.

The words of a reply, and the comment's words as they were when it was decided, lie in the comment itself
(`content.pending`): they expire with it, and go with it when it is deleted. The moderation log has none.
"""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.comment_errors import BY_REASON
from app.db import Database, Doc, Session, TryTransactionAgain
from app.errors import (
    Conflict,
    ConnectionNotActive,
    FieldError,
    InvalidInput,
    NotFound,
    Problem,
    StaleVersion,
)
from app.models.comment_actions import MESSAGE_BYTES, WITH_TEXT, CommentAction, hindrance
from app.services import operations
from app.services.audit import By
from app.services.comments import log
from app.services.comments.reading import need_comment
from app.services.connections import store


async def queue_action(
    db: Database,
    label_id: str,
    comment_id: str,
    *,
    action: CommentAction,
    text: str | None,
    by: By,
    reason: str | None,
    intent: str | None,
    versions: list[int] | None = None,
    now: datetime,
) -> Doc:
    """Write down what is to be done and its operation, both or neither; the operation. The same `intent` is the same.

    Raises `NotFound`, `StaleVersion`, `ConnectionNotActive`, a `NotPossible` where Meta would refuse, and
    `InvalidInput` for a text that is missing, too long, or not wanted.
    """
    _check_text(action, text)
    comment = await need_comment(db, label_id, comment_id, now=now)
    key = f"comment_action:{intent}" if intent else ""
    if key and (earlier := await operations.by_key(db, label_id, key)):
        return earlier
    if versions is not None and comment["version"] not in versions:
        raise StaleVersion
    connection = await store.need(db, label_id, comment["connection_id"])
    if not store.is_usable(connection, "comments"):
        raise ConnectionNotActive
    where: Doc = {"label_id": label_id, "connection_id": connection["_id"], "provider_id": comment["provider_id"]}
    row = log.entry(action, **where, comment=comment, by=by, reason=reason, now=now)

    async def both(session: Session) -> Doc:
        return await _write(db, comment_id, row, text, key=key or f"comment_action:{row['_id']}", session=session)

    try:
        return await db.in_transaction(both)
    except DuplicateKeyError:
        if earlier := await operations.by_key(db, label_id, key):
            return earlier
        raise


async def _write(db: Database, comment_id: str, row: Doc, text: str | None, *, key: str, session: Session) -> Doc:
    """The comment is read once more, and changed on the condition that it is still so: of two who want the one private
    reply, one comes second."""
    label_id, now = row["label_id"], row["at"]
    same = {"_id": comment_id, "label_id": label_id}
    comment = await db.open("comments").find_one(same, session=session)
    if comment is None:
        raise NotFound
    if reason := hindrance(comment, row["action"], now=now):
        raise BY_REASON[reason]
    operation = await operations.add(
        db,
        label_id=label_id,
        kind="comment_action",
        target=row["_id"],
        key=key,
        queue=comment_id,
        connection_id=row["connection_id"],
        now=now,
        session=session,
    )
    row["operation_id"] = operation["_id"]
    await log.add(db, row, session=session)
    pending = {"seen": comment.get("content", {}).get("text")} | ({"text": text} if text is not None else {})
    change: Doc = {f"content.pending.{row['_id']}": pending}
    if row["action"] == "private_reply":
        change["private_reply"] = {"action_id": row["_id"], "at": now}
    update = {"$set": change, "$inc": {"version": 1}}
    unchanged = same | {"version": comment["version"]}
    if (await db.open("comments").update_one(unchanged, update, session=session)).matched_count == 0:
        raise TryTransactionAgain
    return operation


async def begin_anew(db: Database, operation: Doc, *, now: datetime) -> None:
    """Do it again, as a person decided who knows that the first call may have been executed.

    Raises `Conflict` unless the operation failed or its outcome is unknown, and for what Meta would refuse by now.
    """
    label_id, action_id = operation["label_id"], operation["target"]

    async def all_of_it(session: Session) -> None:
        row = await db.open("moderation_actions").find_one({"_id": action_id, "label_id": label_id}, session=session)
        key = {"_id": row["comment_id"] if row else None, "label_id": label_id}
        comment = await db.open("comments").find_one(key, session=session)
        if row is None or comment is None or action_id not in comment.get("content", {}).get("pending", {}):
            raise Conflict("The comment is not there any more")
        if reason := hindrance(without_claim(comment, action_id), row["action"], now=now):
            raise BY_REASON[reason]
        await operations.retry(db, operation, now=now, session=session)
        again: Doc = {
            "$set": {"state": "queued"},
            "$unset": {"calling_at": "", "calling_fence": "", "doubts": "", "problem": ""},
        }
        await db.open("moderation_actions").update_one({"_id": action_id, "label_id": label_id}, again, session=session)
        if row["action"] == "private_reply":
            claim = {"$set": {"private_reply": {"action_id": action_id, "at": now}}, "$inc": {"version": 1}}
            await db.open("comments").update_one(key, claim, session=session)

    await db.in_transaction(all_of_it)


def without_claim(comment: Doc, action_id: str) -> Doc:
    """The comment as it is to the action that has its one private reply."""
    mine = (comment.get("private_reply") or {}).get("action_id") == action_id
    return comment | {"private_reply": None} if mine else comment


def _check_text(action: CommentAction, text: str | None) -> None:
    if action in WITH_TEXT and not text:
        raise InvalidInput(errors=(FieldError("/text", "must be there for a reply"),))
    if action not in WITH_TEXT and text is not None:
        raise InvalidInput(errors=(FieldError("/text", "must be left out for this action"),))
    if action == "private_reply" and text and len(text.encode()) > MESSAGE_BYTES:
        raise InvalidInput(errors=(FieldError("/text", f"must be at most {MESSAGE_BYTES} bytes of UTF-8"),))


async def queue_many(
    db: Database,
    label_id: str,
    comment_ids: list[str],
    *,
    action: CommentAction,
    text: str | None,
    by: By,
    reason: str | None,
    intent: str | None,
    now: datetime,
) -> list[tuple[str, Doc | Problem]]:
    """The same for each of these comments: its operation, or why there is none. Raises `InvalidInput`."""
    _check_text(action, text)
    results: list[tuple[str, Doc | Problem]] = []
    told: Doc = {"action": action, "text": text, "by": by, "reason": reason, "now": now}
    for comment_id in dict.fromkeys(comment_ids):
        own = f"{intent}:{comment_id}" if intent else None
        try:
            results.append((comment_id, await queue_action(db, label_id, comment_id, **told, intent=own)))
        except Problem as problem:
            results.append((comment_id, problem))
    return results
