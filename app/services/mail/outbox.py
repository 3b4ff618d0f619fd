"""Mails to send: written down together with the operation that sends them. `sending.py` is the worker's half."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from app.db import Database, Doc, Session
from app.ids import new_id
from app.services import operations, single_use
from app.services.people.addresses import email_key
from app.services.single_use import Purpose

Template = Literal[
    "verify_email",
    "address_known",
    "reset_password",
    "password_changed",
    "change_email",
    "email_change_asked",
    "email_changed",
    "email_change_undone",
    "new_device",
    "second_factor_changed",
    "invitation",
    "label_deleting",
    "erasure_begun",
    "erasure_waits",
    "fan_erasure_asked",
    "fan_request_due",
    "request_due",
    "owner_changed",
    "client_secret_made",
    "connection_expiring",
    "connection_needs_login",
    "connection_left",
    "publication_to_do",
    "publication_stopped",
    "billing_payment_failed",
    "billing_action_needed",
    "billing_read_only",
    "billing_ended",
    "billing_recovered",
    "billing_trial_ends",
    "policy_changed",
    "marketing",
    "export_ready",
    "label_export_ready",
    "promise_changed",
    "none",
]
"""`none` is sent to nobody: it makes an unknown address cost as much as a known one."""
NOTICES: frozenset[Template] = frozenset(
    ("connection_expiring", "connection_needs_login", "connection_left", "billing_trial_ends", "billing_recovered")
)
"""Word that is not required: who objects, or has had the use of their data restricted, does not get it. The app shows
the same. Neither the safety of an account nor what its person has ordered is among them."""
LIFE = timedelta(days=30)
OURSELVES = "ourselves"
"""The subject of a mail to an address of our own, which belongs to no account."""


async def queue(
    db: Database,
    template: Template,
    *,
    subject: str,
    to: str | None = None,
    facts: dict[str, str] | None = None,
    about: Sequence[str] = (),
    cites: Doc | None = None,
    label_id: str | None = None,
    now: datetime,
    session: Session,
) -> str:
    """Write a mail down, in the transaction of what it tells of; the id of the operation that sends it.

    `subject` is the person, or the invitation, whom it is about: a link's token is for them, made when it is sent.
    Without `to` it goes to the person's address at that time. `facts` are what the template shows, and
    `about` the ids of whom they name besides. `cites`: of marketing mail, `{campaign_id, consent_id}`.
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
        "queued_at": now,
        "expires_at": now + LIFE,
    }
    mail |= {"to_key": email_key(to)} if to else {}
    mail |= {"about": list(about)} if about else {}
    mail |= cites or {}
    await db.open("mails").insert_one(mail, session=session)
    operation = await operations.add(
        db,
        label_id=label_id,
        kind="send_mail",
        target=mail["_id"],
        key=f"send_mail:{mail['_id']}",
        now=now,
        session=session,
    )
    return str(operation["_id"])


async def begin_anew(db: Database, operation: Doc, *, now: datetime) -> None:
    """Send again, as a person decided who knows that the first mail may have arrived. For a day it is tried again.

    Raises `Conflict` unless the operation failed or its outcome is unknown.
    """
    key = {"_id": operation["target"], "label_id": operation["label_id"], "state": {"$ne": "sent"}}
    update = {"$set": {"state": "queued", "queued_at": now}, "$unset": {"fence": "", "problem": ""}}

    async def both(session: Session) -> None:
        await operations.retry(db, operation, now=now, session=session)
        await db.open("mails").update_one(key, update, session=session)

    await db.in_transaction(both)


LINKS: dict[Purpose, list[Template]] = {
    "verify_email": ["verify_email"],
    "reset_password": ["reset_password", "email_change_undone"],
    "change_email": ["change_email"],
    "undo_email_change": ["email_changed"],
    "invitation": ["invitation"],
    "cancel_erasure": ["erasure_begun", "erasure_waits"],
}
"""Which mails carry a link for what."""


async def void_links(
    db: Database,
    subject: str,
    purposes: list[Purpose],
    *,
    label_id: str | None = None,
    now: datetime,
    session: Session,
) -> None:
    """End the links of a person or invitation: those that were sent, and those of mails that wait to be."""
    await single_use.withdraw(db, subject, purposes=purposes, session=session)
    templates = [template for purpose in purposes for template in LINKS[purpose]]
    await call_off(db, subject, templates, label_id=label_id, now=now, session=session)


async def call_off(
    db: Database,
    subject: str,
    templates: list[Template],
    *,
    label_id: str | None = None,
    now: datetime,
    session: Session,
) -> None:
    """Send none of these mails that still wait to go to a person or invitation."""
    query = {"label_id": label_id, "user_id": subject, "template": {"$in": templates}, "state": "queued"}
    waiting = [mail["_id"] async for mail in db.open("mails").find(query, {"_id": 1}, session=session)]
    mine = {"label_id": label_id, "_id": {"$in": waiting}}
    await db.open("mails").update_many(mine, {"$set": {"state": "called_off"}}, session=session)
    await operations.cancel(db, label_id, kind="send_mail", targets=waiting, now=now, session=session)
