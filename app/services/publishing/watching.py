"""What is past its time: said once, whoever's it is."""

from datetime import datetime

from app.db import ALL_LABELS, Database, Doc
from app.services.events import Event, append
from app.services.publishing.states import WAITING

AT_ONCE = 200


async def look_for_late(db: Database, *, now: datetime) -> int:
    """Tell of each post that should have begun and has not; how many there were."""
    why = f"{ALL_LABELS}which posts are past due"
    query: Doc = {"watch_at": {"$lte": now}}
    found = await db.open("publication_targets").find(query, comment=why).sort("watch_at", 1).limit(AT_ONCE).to_list()
    late = 0
    for target in found:
        label_id, publication_id = target["label_id"], target["publication_id"]
        if target["state"] in WAITING:
            key = f"publication:{publication_id}:{target['_id']}:late:{target['attempt']}"
            await append(db, [Event(label_id, key, "publication.late", publication_id, now)])
            late += 1
        mine = {"_id": target["_id"], "label_id": label_id, "watch_at": target["watch_at"]}
        told: Doc = {"$unset": {"watch_at": ""}} | ({"$set": {"late_at": now}} if target["state"] in WAITING else {})
        await db.open("publication_targets").update_one(mine, told)
    return late
