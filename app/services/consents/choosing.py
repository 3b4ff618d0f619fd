"""Deciding: what a person or a visitor says is written down, and what follows from it is begun.

A withdrawal needs nothing more: whoever counts or mails asks the ledger at the last moment. Mails that wait, for a mail
server that is away, are called off with it; what analytics has noted is deleted by an operation that is written down
with it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import get_args

from app.db import Database, Doc, Session
from app.errors import StaleVersion
from app.models.consent_texts import ConsentText, Purpose
from app.models.consents import Decision, How
from app.services import operations
from app.services.audit import Audit, By
from app.services.consents import ledger
from app.services.mail import outbox

UNDER_WAY = timedelta(seconds=30)
"""What was reported at the moment of a withdrawal is noted by then, and is deleted with the rest."""
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


async def decide(
    db: Database,
    audit: Audit,
    subject: str,
    wishes: Mapping[Purpose, bool],
    *,
    texts: Mapping[Purpose, ConsentText | None],
    how: How,
    gpc: bool,
    by: By | None,
    versions: list[int] | None = None,
    now: datetime,
) -> None:
    """Write down what the subject wants of each purpose, and the words that it was asked by.

    `by` is who did it; none for visitors, of whom no log is kept. Raises `StaleVersion` when they have decided since
    one of the `versions` was read.
    """

    async def all_of_it(session: Session) -> None:
        if versions is not None and await ledger.last_seq(db, subject, session=session) not in versions:
            raise StaleVersion
        for purpose, wish in wishes.items():
            told: Doc = {"text": texts[purpose], "how": how, "gpc": gpc, "by": by, "now": now}
            await decide_one(db, audit, subject, purpose, wish, **told, session=session)

    await db.in_transaction(all_of_it)


async def decide_one(
    db: Database,
    audit: Audit,
    subject: str,
    purpose: Purpose,
    wish: bool,
    *,
    text: ConsentText | None,
    how: How,
    gpc: bool,
    by: By | None,
    now: datetime,
    session: Session,
) -> None:
    """One of them, in a transaction of the caller's. The same decision about the same words adds no row.

    A visitor's yes always does: it lasts from then on.
    """
    row = await ledger.newest(db, subject, purpose, session=session)
    stood = row is not None and row["decision"] == "given"
    decision: Decision = "given" if wish else "withdrawn" if stood else "refused"
    digest = text.sha256 if text else None
    same = row is not None and row["text_digest"] == digest and stood == wish and row["gpc"] >= gpc
    if same and not (wish and subject.startswith("vis_")):
        return
    added = await ledger.append(db, subject, purpose, decision, text=text, how=how, gpc=gpc, now=now, session=session)
    await _follow(db, audit, added, by=by, now=now, session=session)


async def ignore(
    db: Database, audit: Audit, subject: str, purpose: Purpose, *, by: By, now: datetime, session: Session
) -> None:
    """Cost what a decision costs, and decide nothing: somebody spoke for an address that is not shown to be theirs.

    It is in the log of the account, as their try to register is.
    """
    await ledger.newest(db, subject, purpose, session=session)
    await ledger.last_seq(db, subject, session=session)
    details = {"purpose": purpose}
    await audit.record(by, "consent.ignored", chain=subject, target=subject, details=details, now=now, session=session)


async def heed_signal(db: Database, audit: Audit, subject: str, *, by: By | None, now: datetime) -> list[Purpose]:
    """The browser says `Sec-GPC: 1`: whatever was given without that in view is off, until it is given again.

    Returns what this has ended.
    """
    ended: list[Purpose] = []
    for purpose in PURPOSES:
        if not _unaware(await ledger.newest(db, subject, purpose)):
            continue

        async def off(session: Session, purpose: Purpose = purpose) -> bool:
            if not _unaware(await ledger.newest(db, subject, purpose, session=session)):  # given again meanwhile
                return False
            told: Doc = {"how": "gpc", "gpc": True, "by": by, "now": now, "session": session}
            await withdraw(db, audit, subject, purpose, **told)
            return True

        if await db.in_transaction(off):
            ended.append(purpose)
    return ended


async def end_visitor(db: Database, audit: Audit, visitor_id: str, *, gpc: bool, now: datetime) -> None:
    """End the consent of a visitor whose person has taken it over into their account."""

    async def end(session: Session) -> None:
        told: Doc = {"how": "joined", "gpc": gpc, "by": None, "now": now, "session": session}
        await withdraw(db, audit, visitor_id, "analytics", **told)

    await db.in_transaction(end)


async def withdraw(
    db: Database,
    audit: Audit,
    subject: str,
    purpose: Purpose,
    *,
    how: How,
    gpc: bool,
    by: By | None,
    now: datetime,
    session: Session,
) -> None:
    """End a consent without a question that was asked: by a link in a mail, by the browser's signal, by joining."""
    row = await ledger.newest(db, subject, purpose, session=session)
    if row is None or row["decision"] != "given":
        return
    added = await ledger.append(
        db, subject, purpose, "withdrawn", text=None, how=how, gpc=gpc, now=now, session=session
    )
    await _follow(db, audit, added, by=by, now=now, session=session)


def _unaware(row: Doc | None) -> bool:
    """Whether it is a consent that was given without the signal."""
    return row is not None and row["decision"] == "given" and not row["gpc"]


async def _follow(db: Database, audit: Audit, row: Doc, *, by: By | None, now: datetime, session: Session) -> None:
    """What comes with a decision: the log of the account, and the end of what waits or was noted because of it."""
    if by is not None:
        details = {"purpose": row["purpose"]}
        action, chain = f"consent.{row['decision']}", row["subject"]
        await audit.record(by, action, chain=chain, target=row["_id"], details=details, now=now, session=session)
    if row["decision"] != "withdrawn":
        return
    if row["purpose"] == "marketing_mail":
        await outbox.call_off(db, row["subject"], ["marketing"], now=now, session=session)
    if row["purpose"] == "analytics":
        await operations.add(
            db,
            label_id=None,
            kind="forget_usage",
            target=row["_id"],
            key=f"forget_usage:{row['_id']}",
            now=now,
            due_at=now + UNDER_WAY,
            session=session,
        )
