"""Beginning an operation anew, as a person decided. Each kind knows what else must be set back for that."""

from collections.abc import Collection
from datetime import datetime

from app.db import Database, Doc
from app.errors import Conflict
from app.services.audit import By
from app.services.comments import actions
from app.services.inbox import replies
from app.services.mail import outbox


async def begin_anew(db: Database, operation: Doc, *, by: By, app_ids: Collection[str], now: datetime) -> None:
    """Do it again. Raises `Conflict` for what cannot be, or unless it failed or its outcome is unknown.

    A reply is looked at as one that is new, and may be refused like one.
    """
    if operation["kind"] == "send_reply":
        await replies.begin_anew(db, operation, by=by, app_ids=app_ids, now=now)
    elif operation["kind"] == "comment_action":
        await actions.begin_anew(db, operation, now=now)
    elif operation["kind"] == "send_mail":
        await outbox.begin_anew(db, operation, now=now)
    else:
        raise Conflict("Only what is sent can be sent again; connect the account again")
