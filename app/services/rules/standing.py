"""Whether a rule may still do what it had decided: whoever acts for it asks at the last moment."""

from app.db import Database, Doc

STOPPED = ("rule_stopped", "The rule that decided it was disabled or deleted before it was done.")


async def is_stopped(db: Database, label_id: str, by: Doc) -> bool:
    """Whether it is a rule's doing (`by`: kind and id), and the rule is disabled or gone."""
    if by.get("kind") != "rule":
        return False
    rule = await db.open("rules").find_one({"_id": by["id"], "label_id": label_id}, {"enabled": 1})
    return rule is None or not rule["enabled"]
