"""Ending marketing mail by the link in one: at once, as often as it is asked for, and whoever has the address now."""

from datetime import datetime

from app.db import Database, Doc, Session
from app.services.audit import Audit, By
from app.services.consents import choosing, suppression
from app.services.marketing.links import Recipient


async def unsubscribe(db: Database, audit: Audit, recipient: Recipient, *, gpc: bool, by: By, now: datetime) -> None:
    """Suppress the address, and withdraw the consent of the account, if it has one."""

    async def both(session: Session) -> None:
        await suppression.suppress_mark(db, recipient.mark, now=now, session=session)
        known: Doc = {"how": "mail_link", "gpc": gpc, "by": by.known_as(recipient.user_id), "now": now}
        await choosing.withdraw(db, audit, recipient.user_id, "marketing_mail", **known, session=session)

    await db.in_transaction(both)
