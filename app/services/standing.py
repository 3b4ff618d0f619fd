"""Whether whoever decided something may still have it done: whoever acts for them asks at the last moment."""

from app.db import Database, Doc
from app.services.labels import members

RULE_STOPPED = ("rule_stopped", "The rule that decided it was disabled or deleted before it was done.")
SENDER_REMOVED = ("sender_removed", "Whoever decided it was taken out of the label before it was done.")


async def why_stopped(db: Database, label_id: str, by: Doc) -> tuple[str, str] | None:
    """Why this rule's or person's doing (`by`: kind and id) is not done any more, as a code and a sentence."""
    if by.get("kind") == "person" and await members.membership_of(db, by["id"], label_id) is None:
        return SENDER_REMOVED
    if by.get("kind") != "rule":
        return None
    rule = await db.open("rules").find_one({"_id": by["id"], "label_id": label_id}, {"enabled": 1})
    return RULE_STOPPED if rule is None or not rule["enabled"] else None
