"""Mails about posts to whoever wrote them: one is due by hand, or something came between."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.services.labels import members
from app.services.mail import outbox

NAMES = {"instagram": "Instagram", "facebook": "Facebook"}
TROUBLE = {
    "failed": "it was not published",
    "partly_published": "it was published on some of its accounts only",
    "unknown": "it may have been published, and may not: Meta does not tell",
    "needs_decision": "it was not published by itself, and waits for your decision",
}
"""States of a publication of which its author should not learn by looking."""


async def tell_due(db: Database, target: Doc, connection: Doc, *, now: datetime, session: Session) -> None:
    """It is due, and somebody publishes it by hand."""
    account = connection["account"]
    told = {"account": account["name"] or account["username"], "network": NAMES[target["network"]]}
    await _tell(db, "publication_to_do", target, told, now=now, session=session)


async def tell_trouble(db: Database, target: Doc, state: str, *, now: datetime, session: Session) -> None:
    """The publication has come into this state, which is one of `TROUBLE`."""
    await _tell(db, "publication_stopped", target, {"what": TROUBLE[state]}, now=now, session=session)


async def _tell(
    db: Database, template: outbox.Template, target: Doc, facts: dict[str, str], *, now: datetime, session: Session
) -> None:
    author, label_id = target["snapshot"]["created_by"], target["label_id"]
    label = await db.open("labels").find_one({"_id": label_id}, session=session)
    if label is None or author["kind"] != "person":
        return
    facts |= {"publication_id": target["publication_id"], "label_id": label_id, "words": _words(target)}
    await members.tell(db, template, author["id"], label, now=now, session=session, **facts)


def _words(target: Doc) -> str:
    """By what its author knows it again."""
    caption = str(target["snapshot"]["caption"]).strip()
    return caption.partition("\n")[0][:80] or f"{target['snapshot']['kind'].replace('_', ' ')} without words"
