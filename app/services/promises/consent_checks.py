"""Checks of consents: each cites its words, ends, and stands behind what is done because of it."""

import re
from datetime import timedelta

from app.clock import EPOCH
from app.db import Database, Doc
from app.models.consent_texts import TEXTS, Purpose
from app.models.policies import POLICIES
from app.services.consents.ledger import VISITORS_CONSENT, newest
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import WHY, count_odd, sample
from app.services.usage.months import KEPT_MONTHS
from app.services.usage.sums import K

WITHOUT_WORDS = ("before_ledger", "restored")
"""What an older release noted without the words that were shown, and what a restored backup did not know of."""

USED = frozenset(
    (
        *("_id", "subject", "consent_seq", "batch", "at", "month", "kind", "name", "browser", "system"),
        *("expires_at", "forward"),
    )
)
"""What is noted of somebody's use."""
NAME = re.compile(r"[a-z]+(?:[-_/][a-z]+){0,5}")
"""Of a page or feature: no digit, so nothing of anybody fits in."""
WITHIN = timedelta(minutes=1)
"""A withdrawal counts within so long (R-77), and what was noted is deleted within `FORGOTTEN`."""
FORGOTTEN = timedelta(minutes=15)
DAY = timedelta(days=1)
MOST = 200


async def words_cited(look: Look) -> Measured:
    """Consents that do not cite words that we have shown."""
    shown = {(text.version, text.sha256) for text in TEXTS}

    def is_odd(row: Doc) -> bool:
        if row["decision"] != "given" or row["how"] in WITHOUT_WORDS:
            return False
        return (row.get("text_version"), row.get("text_digest")) not in shown

    return await count_odd(look.db, ["consents"], is_odd)


async def visitors_asked_again(look: Look) -> Measured:
    """Consents of visitors that would last for more than six months, or for good."""

    def lasts(row: Doc) -> bool:
        if not row["subject"].startswith("vis_"):
            return False
        ends = row.get("ends_at")
        return not ends or not row.get("expires_at") or ends - row["at"] > VISITORS_CONSENT

    return await count_odd(look.db, ["consents"], lasts)


async def posted_versions(look: Look) -> Measured:
    """Accounts that have accepted another text than one that was posted. What an older release noted cites none."""
    posted = {policy.sha256 for policy in POLICIES}

    def is_other(user: Doc) -> bool:
        cited = {one.get("sha256") for one in user.get("policy_acceptances") or ()}
        return not cited <= posted | {None}

    return await count_odd(look.db, ["users"], is_other)


async def names_of_pages(look: Look) -> Measured:
    """Notes of use that hold more than the name of a page or feature, when, and the kind of browser."""

    def is_more(one: Doc) -> bool:
        return not one.keys() <= USED or not NAME.fullmatch(str(one.get("name")))

    return await count_odd(look.db, ["usage_events"], is_more)


async def usage_consented(look: Look) -> Measured:
    """Notes of use without a consent that stood when they were made."""
    found = await sample(look.db, "usage_events")
    stood: dict[tuple[str, int], bool] = {}
    for one in found:
        key = (one["subject"], one["consent_seq"])
        if key not in stood:
            stood[key] = await _stood(look.db, *key)
    return Measured(sum(not stood[one["subject"], one["consent_seq"]] for one in found))


async def _stood(db: Database, subject: str, seq: int) -> bool:
    query = {"subject": subject, "purpose": "analytics", "seq": {"$lte": seq}}
    row = await db.open("consents").find_one(query, {"decision": 1}, sort=[("seq", -1)])
    return row is not None and row["decision"] == "given"


async def usage_summed(look: Look) -> Measured:
    """The age of the oldest note of use, in months that have begun since its own."""
    oldest = await look.db.open("usage_events").find_one({}, {"month": 1}, sort=[("month", 1)])
    if oldest is None:
        return Measured(0, KEPT_MONTHS)
    year, month = (int(part) for part in oldest["month"].split("-"))
    return Measured(max((look.now.year - year) * 12 + look.now.month - month, 0), KEPT_MONTHS)


async def sums_about_many(look: Look) -> Measured:
    """Figures of summed months that are about fewer than ten people."""

    def is_about_few(month: Doc) -> bool:
        if month["events"] is None:
            return bool(month["cells"])
        return any(one["people"] < K for one in (month, *month["cells"]))

    return await count_odd(look.db, ["usage_months"], is_about_few)


async def marketing_consented(look: Look) -> Measured:
    """Marketing mails, queued or sent, that do not cite a consent of exactly their person to exactly this."""
    mails = [one for one in await sample(look.db, "mails", size=MOST) if one.get("template") == "marketing"]
    ids = sorted({str(one.get("consent_id")) for one in mails})
    found = look.db.open("consents").find({"_id": {"$in": ids}, "purpose": "marketing_mail", "decision": "given"})
    subjects = {row["_id"]: row["subject"] async for row in found}
    odd = {one["_id"] for one in mails if subjects.get(one.get("consent_id")) != one.get("user_id")}
    return Measured(len(odd))


async def withdrawals_effective(look: Look) -> Measured:
    """What goes on after its consent was withdrawn: mails that still wait, and notes that are still here."""
    waiting = [one for one in await _waiting(look) if one["template"] == "marketing" and one["state"] == "queued"]
    mails = sum([await _is_withdrawn(look, one["user_id"], "marketing_mail", WITHIN) for one in waiting])
    subjects = {one["subject"] for one in await sample(look.db, "usage_events")}
    notes = sum([await _is_withdrawn(look, subject, "analytics", FORGOTTEN) for subject in subjects])
    return Measured(mails + notes, detail=" ".join(name for name, n in (("mails", mails), ("usage", notes)) if n))


async def _waiting(look: Look) -> list[Doc]:
    """Mails whose sending is due, the longest first."""
    due = look.db.open("operations").find({"due_at": {"$gte": EPOCH}}, {"target": 1, "kind": 1}, comment=WHY)
    first = await due.sort("due_at", 1).limit(5 * MOST).to_list()
    ids = [one["target"] for one in first if one["kind"] == "send_mail"]
    return await look.db.open("mails").find({"_id": {"$in": ids}}, comment=WHY).to_list()


async def _is_withdrawn(look: Look, subject: str, purpose: Purpose, since: timedelta) -> bool:
    """Whether the newest decision is none for it, and older than this."""
    row = await newest(look.db, subject, purpose)
    return row is not None and row["decision"] != "given" and row["at"] < look.now - since
