"""The account's reaction to a message: what is wished, last wish wins. `reacting.py` is the worker's half.

The wish is on the message and its operation only says "look": wishes that come before a worker has begun are one call.
"""

import unicodedata
from collections.abc import Collection
from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import Conflict, FieldError, InvalidInput
from app.services import operations
from app.services.connections import store
from app.services.inbox.conversations import need_conversation, need_message
from app.services.inbox.replies import check

HEARTS = ("❤", "❤️")
JOINER, FLAG_LETTERS = "\u200d", frozenset(map(chr, range(0x1F1E6, 0x1F200)))
KEYCAP = "\u20e3"


async def queue_reaction(
    db: Database, label_id: str, message_id: str, *, emoji: str | None, app_ids: Collection[str], now: datetime
) -> Doc:
    """Wish for this reaction, or with none that it be taken back; the operation that does it.

    Raises `NotFound`, `InvalidInput`, `Conflict` for a message that Meta does not have, and what `replies.REFUSED`
    names: Meta takes reactions in the standard window only.
    """
    message = await need_message(db, label_id, message_id, now=now)
    if "provider_id" not in message or "deleted_at" in message:
        raise Conflict("There is no such message at Meta to react to")
    conversation = await need_conversation(db, label_id, message["conversation_id"], now=now)
    connection = await store.need(db, label_id, message["connection_id"])
    if emoji is not None:
        _check_emoji(emoji, only_hearts=connection["provider"] == "facebook")
    check(connection, conversation, by_person=False, app_ids=app_ids, now=now)

    async def wish(session: Session) -> Doc:
        key = {"_id": message_id, "label_id": label_id}
        number = (await db.open("messages").find_one(key, session=session) or message).get("reaction_number", 0) + 1
        wished = {"reaction_number": number, "content.reaction_wish": {"emoji": emoji, "at": now}}
        await db.open("messages").update_one(
            key | {"deleted_at": {"$exists": False}}, {"$set": wished}, session=session
        )
        return await _operation(db, message, number, now=now, session=session)

    return await db.in_transaction(wish)


async def _operation(db: Database, message: Doc, number: int, *, now: datetime, session: Session) -> Doc:
    """The one that has not begun yet, or a new one behind it that has."""
    label_id, queue = message["label_id"], f"react:{message['_id']}"
    waiting = {"label_id": label_id, "queue": queue, "state": "queued"}
    found = await db.open("operations").find_one(waiting, session=session)
    if found:
        same = {"_id": found["_id"], "label_id": label_id, "state": "queued", "fence": found["fence"]}
        still = await db.open("operations").update_one(same, {"$set": {"updated_at": now}}, session=session)
        if still.matched_count:
            return found
    return await operations.add(
        db,
        label_id=label_id,
        kind="react",
        target=message["_id"],
        key=f"{queue}:{number}",
        queue=queue,
        connection_id=message["connection_id"],
        now=now,
        session=session,
    )


def _drawn(emoji: str, kinds: list[str]) -> int:
    """How many pictures it is: what is joined is one, and so are a flag's two letters and a key's cap."""
    letters = sum(sign in FLAG_LETTERS for sign in emoji)
    pictures = [
        place
        for place, kind in enumerate(kinds)
        if kind == "So" and emoji[place] not in FLAG_LETTERS and (place == 0 or emoji[place - 1] != JOINER)
    ]
    return len(pictures) + (letters + 1) // 2 + emoji.count(KEYCAP)


def _check_emoji(emoji: str, *, only_hearts: bool) -> None:
    if only_hearts and emoji not in HEARTS:
        raise InvalidInput(errors=(FieldError("/emoji", "must be the heart: through Facebook Meta takes no other"),))
    kinds = [unicodedata.category(sign) for sign in emoji]
    drawn = _drawn(emoji, kinds) == 1
    worded = any(kind[0] in "LZ" or kind in ("Cc", "Cs", "Co", "Cn") for kind in kinds)
    if worded or not drawn:
        raise InvalidInput(errors=(FieldError("/emoji", "must be one emoji"),))
