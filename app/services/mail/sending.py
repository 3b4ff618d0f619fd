"""Sending a queued mail, by a worker, at most once.

SMTP cannot be asked what became of a mail. So the mail is marked `sending` just before its DATA, and whoever finds that
mark on an operation that is not his own leaves it as it is: `unknown`, for a person to decide. Before DATA nothing has
happened, and it is tried again.
"""

import asyncio
from datetime import datetime, timedelta
from email.errors import MessageError
from email.utils import parseaddr

from jinja2 import TemplateError

from app.clients.mail import Away, Mailer, OutcomeUnknown, Refused, Server, Unavailable, deliver, envelope
from app.clock import Clock
from app.db import Database, Doc
from app.services import faults, single_use
from app.services.mail.letters import LETTERS, mailbox, write
from app.services.mail.outbox import NOTICES, OURSELVES
from app.services.marketing.permits import Campaigning, Permit, permit_for
from app.services.operations import GiveUp, InDoubt, TryAgain
from app.services.privacy import standing

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=10), timedelta(hours=1)
TRIED_FOR = timedelta(hours=24)


async def send_mail(
    db: Database,
    mailer: Mailer,
    operation: Doc,
    *,
    app_url: str,
    mail_from: str,
    campaigning: Campaigning,
    clock: Clock,
) -> Doc:
    """Send a queued mail. The result names it. Marketing mail asks once more whether it may go.

    Raises `TryAgain`, `GiveUp`, `InDoubt`.
    """
    mail = await db.open("mails").find_one({"_id": operation["target"], "label_id": operation["label_id"]})
    if mail is None or mail["expires_at"] <= clock():
        raise GiveUp("expired", "The mail has reached the end of its 30 days.")
    if mail["state"] in ("sending", "unknown"):
        await _move(db, mail, "unknown", was="sending")
        raise InDoubt(None, "The worker was interrupted while it sent the mail, which may have arrived.")
    if mail["state"] == "called_off":
        raise GiveUp("called_off", "What the mail was about is void; it is not sent.")
    if mail["state"] == "sent":  # who recorded it may have died before he told of it
        return _result(mail)
    if mail["template"] == "none":
        await _move(db, mail, "sent", was="queued")
        return _result(mail)
    if mail["template"] in NOTICES and not await standing.allows(db, mail["user_id"], "notices"):
        await _move(db, mail, "called_off", was="queued")
        raise GiveUp("called_off", "Its recipient wants no mail that is not required.")
    recipient = await _recipient(db, mail, clock=clock)
    if mailer.away_until and clock() < mailer.away_until:
        raise await _later(db, mail, now=clock())
    try:
        async with envelope(mailer, sender=parseaddr(mail_from)[1], recipient=recipient) as server:
            permit = await _permit(db, campaigning, mail, now=clock())
            told: Doc = {"app_url": app_url, "mail_from": mail_from, "permit": permit, "clock": clock}
            await _hand_over(db, mailer, server, operation, mail, recipient, **told)
    except Unavailable as exc:
        if isinstance(exc, Away):
            mailer.away_until = clock() + FIRST_WAIT
        raise await _later(db, mail, now=clock()) from exc
    except Refused as exc:
        raise await _failed(db, mail, "mail_refused", f"The mail server refused it ({exc.code}).") from exc
    except OutcomeUnknown as exc:
        await _move(db, mail, "unknown", was="sending")
        raise InDoubt(None, "The mail server's answer was lost; the mail may have arrived.") from exc
    return _result(mail)


async def _hand_over(
    db: Database,
    mailer: Mailer,
    server: Server,
    operation: Doc,
    mail: Doc,
    recipient: str,
    *,
    app_url: str,
    mail_from: str,
    permit: Permit | None,
    clock: Clock,
) -> None:
    """Write the mail, with a token if it needs one, and hand it over; a token that stays unsent is taken back."""
    token = await _token(db, mail, now=clock())
    try:
        content = bytes(
            write(
                mail["template"],
                mail["facts"],
                mail_id=mail["_id"],
                sender=mail_from,
                recipient=recipient,
                app_url=app_url,
                token=token,
                now=clock(),
                permit=permit,
            )
        )
        await faults.reach("before_intent")
        await _mark(db, operation, mail, now=clock())
        await faults.reach("before_call")
        call = asyncio.create_task(deliver(mailer, server, content))
        await faults.reach("during_call")
        await call
    except (Unavailable, Refused):
        await _move(db, mail, "queued", was="sending", fence=operation["fence"])
        await _take_back(db, token)
        raise
    except TryAgain:
        await _take_back(db, token)
        raise
    except (ValueError, MessageError, TemplateError) as exc:
        await _take_back(db, token)
        raise await _failed(db, mail, "mail_unwritable", "The mail cannot be written from what is known.") from exc
    await faults.reach("after_call")
    await _move(db, mail, "sent", fence=operation["fence"], sent_at=clock())
    await faults.reach("after_record")


async def _permit(db: Database, campaigning: Campaigning, mail: Doc, *, now: datetime) -> Permit | None:
    """What a marketing mail cites; none for others. Raises `GiveUp`, and calls the mail off, when it may not go."""
    if mail["template"] != "marketing":
        return None
    try:
        return await permit_for(db, campaigning, mail, now=now)
    except GiveUp:
        await _move(db, mail, "called_off", was="queued")
        raise


async def _recipient(db: Database, mail: Doc, *, clock: Clock) -> str:
    """Whom it goes to. Raises `GiveUp` when the account or the invitation that it is about is gone."""
    if mail["template"] == "invitation":
        key = {"_id": mail["user_id"], "label_id": mail["label_id"], "expires_at": {"$gt": clock()}}
        about = await db.open("invitations").find_one(key)
    elif mail["user_id"] == OURSELVES:
        about = {"email": mail["to"]}
    else:
        about = await db.open("users").find_one({"_id": mail["user_id"]})
    if about is None:
        raise await _failed(db, mail, "recipient_gone", "The account or invitation that the mail is about is gone.")
    try:
        return mailbox(mail["to"] or about["email"])
    except ValueError as exc:
        raise await _failed(db, mail, "mail_refused", "No mail can be sent to this address.") from exc


async def _token(db: Database, mail: Doc, *, now: datetime) -> str | None:
    purpose = LETTERS[mail["template"]].purpose
    if purpose is None:
        return None
    facts = mail["facts"]
    data = {"email": facts["token_email"]} if "token_email" in facts else {}
    return await single_use.issue(db, purpose, subject=mail["user_id"], data=data, now=now)


async def _take_back(db: Database, token: str | None) -> None:
    if token:
        await single_use.take_back(db, token)


async def _mark(db: Database, operation: Doc, mail: Doc, *, now: datetime) -> None:
    """The last write before DATA: whoever wins it sends the mail, and nobody else will."""
    key = {"_id": mail["_id"], "label_id": mail["label_id"], "state": "queued"}
    mark = {"$set": {"state": "sending", "fence": operation["fence"]}}
    if (await db.open("mails").update_one(key, mark)).modified_count == 0:
        raise TryAgain(now + FIRST_WAIT, "taken_over")


async def _later(db: Database, mail: Doc, *, now: datetime) -> TryAgain | GiveUp:
    """When to try again: after half of the time that it has been tried, for a day."""
    tried = now - mail["queued_at"]
    if tried >= TRIED_FOR:
        return await _failed(db, mail, "mail_undeliverable", "The mail could not be delivered for a day.")
    return TryAgain(now + min(max(tried / 2, FIRST_WAIT), LONGEST_WAIT), "mail_undelivered")


async def _failed(db: Database, mail: Doc, code: str, detail: str) -> GiveUp:
    await _move(db, mail, "failed", was="queued", problem=code)
    return GiveUp(code, detail)


async def _move(
    db: Database, mail: Doc, state: str, *, was: str | None = None, fence: int | None = None, **changes: object
) -> None:
    """Have the mail in this state, if it still is what it was, or carries the mark of this fence."""
    key: Doc = {"_id": mail["_id"], "label_id": mail["label_id"]}
    key |= ({"state": was} if was else {}) | ({"fence": fence} if fence is not None else {})
    await db.open("mails").update_one(key, {"$set": {"state": state} | changes})


def _result(mail: Doc) -> Doc:
    return {"mail_id": mail["_id"]}
