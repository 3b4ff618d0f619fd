"""Mails to send: written down together with the operation that sends them. `sending.py` is the worker's half."""

from datetime import datetime, timedelta
from typing import Literal

from app.db import Database, Doc, Session
from app.ids import new_id
from app.services import operations

Template = Literal[
    "verify_email",
    "address_known",
    "reset_password",
    "password_changed",
    "change_email",
    "email_change_asked",
    "email_changed",
    "new_device",
    "second_factor_changed",
    "invitation",
    "label_deleting",
    "owner_changed",
    "client_secret_made",
    "none",
]
"""`none` is sent to nobody: it makes an unknown address cost as much as a known one."""
LIFE = timedelta(days=30)


async def queue(
    db: Database,
    template: Template,
    *,
    subject: str,
    to: str | None = None,
    facts: dict[str, str] | None = None,
    label_id: str | None = None,
    now: datetime,
    session: Session,
) -> None:
    """Write a mail down, with the operation that sends it, in the transaction of what it tells of.

    `subject` is the person, or the invitation, whom it is about: a link's token is for them, made when it is sent.
    Without `to` it goes to the person's address at that time. `facts` are what the template shows.
    """
    mail: Doc = {
        "_id": new_id("mai"),
        "label_id": label_id,
        "user_id": subject,
        "template": template,
        "to": to,
        "facts": facts or {},
        "state": "queued",
        "created_at": now,
        "expires_at": now + LIFE,
    }
    await db.open("mails").insert_one(mail, session=session)
    await operations.add(
        db,
        label_id=label_id,
        kind="send_mail",
        target=mail["_id"],
        key=f"send_mail:{mail['_id']}",
        now=now,
        session=session,
    )
