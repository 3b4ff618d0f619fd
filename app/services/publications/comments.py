"""What the team writes to itself about a publication. They stay as they were written, and go with it."""

from typing import Any, Literal

from app.db import Database, Doc, Session
from app.errors import Conflict, NotFound
from app.ids import new_id
from app.services.publications.writing import Hand, actor, need

About = Literal["comment", "approved", "rejected"]
MOST = 1_000


async def page_of(db: Database, label_id: str, publication_id: str, *, before: str | None, limit: int) -> list[Doc]:
    """Newest first, one more than `limit` if there are more. Raises `NotFound`."""
    await need(db, label_id, publication_id)
    query: Doc = {"label_id": label_id, "publication_id": publication_id} | ({"_id": {"$lt": before}} if before else {})
    return await db.open("publication_comments").find(query).sort("_id", -1).limit(limit + 1).to_list()


async def add(hand: Hand, publication_id: str, text: str) -> Doc:
    """Write one. Raises `NotFound`, `Conflict` for more than anybody reads."""

    async def all_of_it(session: Session) -> Doc:
        publication = await need(hand.db, hand.label_id, publication_id, session=session)
        of_it = {"label_id": hand.label_id, "publication_id": publication_id}
        if await hand.db.open("publication_comments").count_documents(of_it, session=session) >= MOST:
            raise Conflict(f"A publication has at most {MOST} comments")
        return await insert(hand, publication, text, about="comment", session=session)

    return await hand.db.in_transaction(all_of_it)


async def insert(hand: Hand, publication: Doc, text: str, *, about: About, session: Session) -> Doc:
    """Write one, in the caller's transaction, about the content that the publication has now."""
    comment: Doc = {"_id": new_id("pbc"), "label_id": hand.label_id, "publication_id": publication["_id"]}
    comment |= {"about": about, "version": publication["content_version"], "text": text}
    comment |= {"author": actor(hand.by), "created_at": hand.now}
    await hand.db.open("publication_comments").insert_one(comment, session=session)
    return comment


async def delete(hand: Hand, publication_id: str, comment_id: str) -> None:
    """Take one away: they are the team's. What was said with a decision stays. Raises `NotFound`."""
    key = {"_id": comment_id, "label_id": hand.label_id, "publication_id": publication_id, "about": "comment"}

    async def all_of_it(session: Session) -> None:
        if (await hand.db.open("publication_comments").delete_one(key, session=session)).deleted_count == 0:
            raise NotFound
        told: dict[str, Any] = {"label_id": hand.label_id, "target": comment_id, "now": hand.now, "session": session}
        await hand.audit.record(hand.by, "publication.comment_deleted", **told)

    await hand.db.in_transaction(all_of_it)
