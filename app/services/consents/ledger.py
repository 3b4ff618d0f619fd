"""The ledger of consents: append-only, a row for each decision, of which the newest of a purpose counts.

A row is `{_id: cst_…, subject: usr_… | vis_…, seq: 1, 2, … of the subject, purpose, decision, text_version,
text_digest (SHA-256), language, how, gpc, at}`; a visitor's also `ends_at` (when we ask again) and `expires_at`. No
function of ours changes a row (tests/house.py watches every command); rows go only with their subject or their time.
docs/decisions/0033-consent.md says why.
"""

from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc, Session, TryTransactionAgain
from app.ids import new_id
from app.models.consent_texts import ConsentText, Purpose
from app.models.consents import Decision, How
from app.services.privacy import standing

VISITORS_CONSENT = timedelta(days=180)
"""After so long a visitor is asked again (R-78: every 6 months)."""
VISITORS_ROW = timedelta(days=915)
"""As long as anything that the consent allowed may be here: its own life, and 24 months of usage data."""


async def append(
    db: Database,
    subject: str,
    purpose: Purpose,
    decision: Decision,
    *,
    text: ConsentText | None,
    how: How,
    gpc: bool,
    now: datetime,
    session: Session,
) -> Doc:
    """Add a row, in a transaction of `Database.in_transaction`; of two at once, one comes after the other.

    `gpc`: whether the browser said `Sec-GPC: 1` with it.
    """
    row: Doc = {
        "_id": new_id("cst"),
        "subject": subject,
        "seq": await last_seq(db, subject, session=session) + 1,
        "purpose": purpose,
        "decision": decision,
        "text_version": text.version if text else None,
        "text_digest": text.sha256 if text else None,
        "language": text.language if text else None,
        "how": how,
        "gpc": gpc,
        "at": now,
    }
    if subject.startswith("vis_"):
        row |= {"ends_at": now + VISITORS_CONSENT, "expires_at": now + VISITORS_ROW}
    try:
        await db.open("consents").insert_one(row, session=session)
    except DuplicateKeyError as exc:
        raise TryTransactionAgain from exc
    return row


async def last_seq(db: Database, subject: str, *, session: Session | None = None) -> int:
    """How many rows the subject has: the version of what they have decided."""
    found = await db.open("consents").find_one({"subject": subject}, {"seq": 1}, sort=[("seq", -1)], session=session)
    return int(found["seq"]) if found else 0


async def newest(db: Database, subject: str, purpose: Purpose, *, session: Session | None = None) -> Doc | None:
    """The row that counts, or none where nothing was decided."""
    query = {"subject": subject, "purpose": purpose}
    return await db.open("consents").find_one(query, sort=[("seq", -1)], session=session)


def stands(row: Doc | None, *, now: datetime) -> bool:
    """Whether this row, the newest, is a consent that lasts."""
    if row is None or row["decision"] != "given":
        return False
    ends_at: datetime | None = row.get("ends_at")
    return ends_at is None or now < ends_at


async def may(
    db: Database, subject: str, purpose: Purpose, *, now: datetime, session: Session | None = None
) -> Doc | None:
    """The row that allows this for the person or visitor, or none. Who acts asks it at the last moment.

    Whoever has restricted the use of their data, or objects to the purpose, allows nothing meanwhile.
    """
    row = await newest(db, subject, purpose, session=session)
    if not stands(row, now=now):
        return None
    if subject.startswith("usr_") and not await standing.allows(db, subject, purpose, session=session):
        return None
    return row


async def withdrawn_since(db: Database, subject: str, purpose: Purpose, *, seq: int) -> bool:
    """Whether the consent of this row was withdrawn, though another may have been given since."""
    query = {"subject": subject, "purpose": purpose, "seq": {"$gt": seq}, "decision": "withdrawn"}
    return await db.open("consents").find_one(query, {"_id": 1}) is not None


async def page_of(db: Database, subject: str, *, before: int | None, limit: int) -> list[Doc]:
    """The subject's rows, the newest first; one more than `limit` if there are more."""
    query: Doc = {"subject": subject} | ({"seq": {"$lt": before}} if before is not None else {})
    return await db.open("consents").find(query).sort("seq", -1).limit(limit + 1).to_list()
