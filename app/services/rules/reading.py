"""What a rule did, read for people."""

from datetime import datetime

from app.db import Database, Doc
from app.services.rules.store import need_rule


async def page_of_runs(
    db: Database, label_id: str, rule_id: str, *, before: str | None, limit: int, now: datetime
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more. Raises `NotFound`."""
    await need_rule(db, label_id, rule_id)
    query: Doc = {"label_id": label_id, "rule_id": rule_id, "expires_at": {"$gt": now}}
    query |= {"_id": {"$lt": before}} if before else {}
    return await db.open("rule_runs").find(query).sort("_id", -1).limit(limit + 1).to_list()
