"""Posts that somebody publishes by hand: when one is due, it is said, once."""

from app.clock import to_ms
from app.db import Doc, Session
from app.services.events import Event, append
from app.services.publishing import states
from app.services.publishing.telling import tell_due
from app.services.publishing.work import Work


async def remind(work: Work) -> None:
    """It is due: whoever planned it gets a mail, and it waits for `done`."""
    now, target, label_id = work.now, work.target, work.target["label_id"]
    step = {"step": "remind", "at": now, "outcome": "done", "attempt": target["attempt"]}
    changes: Doc = {"$set": {"state": "to_do"}, "$unset": {"watch_at": ""}, "$push": {"steps": step}}

    async def all_of_it(session: Session) -> None:
        key = work.key | {"state": "waiting"}
        moved = await work.db.open("publication_targets").update_one(key, changes, session=session)
        if moved.matched_count == 0:
            return
        await states.follow_targets(work.db, target, now=now, session=session)
        await tell_due(work.db, target, work.connection, now=now, session=session)

    await work.db.in_transaction(all_of_it)
    target["state"] = "to_do"
    publication_id = target["publication_id"]
    key = f"publication:{publication_id}:{target['_id']}:to_do:{to_ms(target['due_at'])}"
    await append(work.db, [Event(label_id, key, "publication.changed", publication_id, now)])
