"""What was going to be done when a backup was made: it may have been done since, and is not done again on a guess.

Of mails and messages nobody can be asked: mails are `unknown`, for a person to decide, and answers to fans, whose
messages are in no backup, have failed. Of posts Meta is asked before anything else (`publishing/restored.py`). What may
be done twice without harm, as to read figures, waits until it is lifted, and is done then. What fans wrote before the
restore comes back from Meta: no rule answers it, for one may have answered.
"""

from collections import Counter
from datetime import datetime

from app.db import ALL_LABELS, Database, Doc
from app.models.operations import OperationKind
from app.services.operations import ENDED
from app.services.publishing.states import WAITING

WHY = f"{ALL_LABELS}what a restored backup was going to do"
OPEN = ["queued", "running", "unknown"]
ONCE: tuple[OperationKind, ...] = (
    *("send_reply", "react", "show_typing", "stop_typing", "mark_seen", "comment_action"),
    *("exchange_code", "choose_accounts"),
    *("billing_checkout", "billing_portal", "billing_preview", "billing_change", "billing_details"),
    "send_campaign",
)
"""What may have been done already, and is not done again."""
PROBLEM = {"code": "restored", "detail": "A backup was restored: it may have been done. If not, ask for it again."}
IN_DOUBT = {"code": "outcome_unknown", "detail": "A backup was restored: it may have been sent already."}


async def put_in_doubt(db: Database, *, made_at: datetime, now: datetime) -> Counter[str]:
    """Say of each intent of the backup what is known of it: nothing. How many there were."""
    done = Counter[str]()
    done["given up"] = await _end(db, list(ONCE), {"state": "failed", "problem": PROBLEM}, now=now)
    done["mails in doubt"] = await _end(db, ["send_mail"], {"state": "unknown", "problem": IN_DOUBT}, now=now)
    waiting = {"state": {"$in": ["queued", "sending"]}}
    await db.open("mails").update_many(waiting, {"$set": {"state": "unknown"}}, comment=WHY)
    call = {"step": "publish", "at": now, "fence": 0}
    open_ones: Doc = {"state": {"$in": [*WAITING, "publishing", "unknown"]}}
    uncalled = open_ones | {"calling": None}
    await db.open("publication_targets").update_many(uncalled, {"$set": {"calling": call}}, comment=WHY)
    marked: Doc = {"$set": {"restored.at": now}, "$min": {"restored.made_at": made_at}, "$unset": {"doubts": ""}}
    posts = await db.open("publication_targets").update_many(open_ones, marked, comment=WHY)
    done["posts to be looked for"] = posts.modified_count
    await _begin_anew(db, now=now)
    comments = {"first_comment.state": "waiting", "state": {"$in": [*WAITING, "publishing", "unknown", "published"]}}
    begun = {"$set": {"first_comment.state": "calling"}}  # who finds it so looks for the comment, and writes none
    await db.open("publication_targets").update_many(comments, begun, comment=WHY)
    await db.open("rule_cursors").update_many({}, {"$set": {"answers_from": now}}, comment=WHY)
    return +done


async def _begin_anew(db: Database, *, now: datetime) -> None:
    """Operations are read last: one that ended while the backup was made has a post of which the backup knows less."""
    query = {"state": {"$in": [*WAITING, "publishing"]}}
    found = await db.open("publication_targets").find(query, {"operation_id": 1}, comment=WHY).to_list()
    ended = {"_id": {"$in": [one["operation_id"] for one in found]}, "state": {"$in": sorted(ENDED)}}
    begun = {"$set": {"state": "queued", "due_at": now, "updated_at": now}, "$inc": {"fence": 1}}
    await db.open("operations").update_many(ended, begun, comment=WHY)


async def _end(db: Database, kinds: list[OperationKind], ended: Doc, *, now: datetime) -> int:
    query = {"kind": {"$in": kinds}, "state": {"$in": OPEN}}
    update = {"$set": ended | {"lease_until": None, "updated_at": now}, "$unset": {"due_at": ""}, "$inc": {"fence": 1}}
    return (await db.open("operations").update_many(query, update, comment=WHY)).modified_count
