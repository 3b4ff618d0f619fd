"""Conversations by what is written in them: through the index of words, from the newest message that has them all."""

import asyncio
from datetime import datetime

from app.db import Database, Doc
from app.errors import FieldError, InvalidInput
from app.services.inbox import words
from app.services.inbox.conversations import Filters
from app.services.pages import Cursor, page_query

HITS_AT_ONCE = 100
MOST_ROUNDS = 10
"""A search whose filters let nearly nothing through ends a page early; its cursor goes on."""
PLACE = {"conversation_id": 1, "ordered_at": 1}
NEWEST_FIRST = [("ordered_at", -1), ("_id", -1)]


async def page_of_found(
    db: Database, label_id: str, filters: Filters, *, q: str, after: Cursor | None, limit: int, now: datetime
) -> tuple[list[Doc], Cursor | None]:
    """The conversations of the newest messages with all the words of `q`, each once; and where to go on, if anywhere.

    Raises `InvalidInput` when `q` holds no word.
    """
    query: Doc = {"label_id": label_id, "content.words": {"$all": asked_words(q)}, "expires_at": {"$gt": now}}
    query |= {"connection_id": filters.connection_id} if filters.connection_id else {}
    found: list[Doc] = []
    met: set[str] = set()
    at, size = after, limit + 1
    for _ in range(MOST_ROUNDS):
        hits = db.open("messages").find(
            page_query(query, "ordered_at", at, now=now), {"conversation_id": 1, "ordered_at": 1}
        )
        batch = await hits.sort(NEWEST_FIRST).limit(size).to_list()
        fresh = {hit["conversation_id"] for hit in batch} - met
        matching = await _matching(db, label_id, fresh, filters, now=now)
        shown = await _shown_before(db, query, set(matching), after, now=now)
        for hit in batch:
            at = (hit["ordered_at"], hit["_id"])
            conversation_id = hit["conversation_id"]
            if conversation_id in matching and conversation_id not in met | shown:
                found.append(matching[conversation_id])
            met.add(conversation_id)
            if len(found) == limit:
                return found, None if hit is batch[-1] and len(batch) < size else at
        if len(batch) < size:
            return found, None
        size = HITS_AT_ONCE
    return found, at


def asked_words(q: str) -> list[str]:
    """The words that must all be there. Raises `InvalidInput` when there is none in `q`."""
    found = sorted(words.query(q), key=len, reverse=True)  # MongoDB walks the first, and long words are rare ones
    if not found:
        raise InvalidInput(errors=(FieldError("/q", "must hold a word"),))
    return found


async def _matching(db: Database, label_id: str, ids: set[str], filters: Filters, *, now: datetime) -> dict[str, Doc]:
    query = {"label_id": label_id, "_id": {"$in": sorted(ids)}, "expires_at": {"$gt": now}} | filters.query
    return {found["_id"]: found async for found in db.open("conversations").find(query)}


async def _shown_before(db: Database, query: Doc, ids: set[str], after: Cursor | None, *, now: datetime) -> set[str]:
    """Those that an earlier page has shown: they have a newer message with the words."""
    if after is None:
        return set()

    async def newest(conversation_id: str) -> Doc | None:
        of_it = query | {"conversation_id": conversation_id, "ordered_at": {"$gte": after[0]}}
        return await db.open("messages").find_one(of_it, {"ordered_at": 1}, sort=NEWEST_FIRST)

    for_each = sorted(ids)
    found = await asyncio.gather(*(newest(one) for one in for_each))
    newer = {one: hit for one, hit in zip(for_each, found, strict=True) if hit}
    return {one for one, hit in newer.items() if (hit["ordered_at"], hit["_id"]) >= after}
