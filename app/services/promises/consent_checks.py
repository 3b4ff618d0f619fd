"""Checks of consents: each cites its words, ends, and stands behind what is done because of it."""

import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from app.db import Doc
from app.models.consent_texts import TEXTS, Purpose
from app.models.data_map import DATA_MAP
from app.models.policies import newest_material
from app.services.consents.ledger import VISITORS_CONSENT
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import WHY, all_told, count_odd, sample
from app.services.usage.agents import BROWSERS, OTHER, SYSTEMS
from app.services.usage.months import KEPT_MONTHS
from app.services.usage.sums import K

WITHOUT_WORDS = ("before_ledger", "restored")
"""What an older release noted without the words that were shown, and what a restored backup did not know of."""

AGENTS = {name for name, _ in (*BROWSERS, *SYSTEMS)} | {OTHER}
NAME = re.compile(r"[a-z]+(?:[-_/][a-z]+){0,5}")
"""Of a page or feature: no digit, so nothing of anybody fits in."""
WITHIN = timedelta(minutes=1)
"""A withdrawal counts within so long (R-77), and what was noted is deleted within `FORGOTTEN`."""
FORGOTTEN = timedelta(minutes=15)
TOLD_WITHIN = timedelta(days=1)
"""So long after the day of a material change may somebody not have been told."""
MOST = 200


async def words_cited(look: Look) -> Measured:
    """Consents that do not cite words that we have shown."""
    shown = {(text.version, text.sha256) for text in TEXTS}

    def is_odd(row: Doc) -> bool:
        if row["decision"] != "given" or row["how"] in WITHOUT_WORDS:
            return False
        return (row.get("text_version"), row.get("text_digest")) not in shown

    return await count_odd(look, ["consents"], is_odd)


async def visitors_asked_again(look: Look) -> Measured:
    """Consents of visitors that would last for more than six months, or for good."""

    def lasts(row: Doc) -> bool:
        if not row["subject"].startswith("vis_"):
            return False
        ends = row.get("ends_at")
        return not ends or not row.get("expires_at") or ends - row["at"] > VISITORS_CONSENT

    return await count_odd(look, ["consents"], lasts)


async def by_the_banner(look: Look) -> Measured:
    """Consents of visitors that were given elsewhere than at the banner."""

    def is_other(row: Doc) -> bool:
        return bool(row["subject"].startswith("vis_") and row["decision"] == "given" and row["how"] != "banner")

    return await count_odd(look, ["consents"], is_other)


async def posted_versions(look: Look) -> Measured:
    """Accounts that have accepted another text than one that was posted. What an older release noted cites none."""
    posted = {policy.sha256 for policy in look.policies}

    def is_other(user: Doc) -> bool:
        cited = {one.get("sha256") for one in user.get("policy_acceptances") or ()}
        return not cited <= posted | {None}

    return await count_odd(look, ["users"], is_other)


async def changes_told(look: Look) -> Measured:
    """Accounts that have not been told of the last material change, a day after it."""
    policy = newest_material(look.policies)
    if policy is None or look.now < datetime.combine(policy.updated_on, time(), UTC) + TOLD_WITHIN:
        return Measured(0)
    query = {"policy_noticed": {"$lt": policy.version}}
    return Measured(await look.db.open("users").count_documents(query, limit=MOST))


async def names_of_pages(look: Look) -> Measured:
    """Notes of use that hold more than the name of a page or feature, when, and the kind of browser."""

    def is_more(one: Doc) -> bool:
        known = {one.get("browser"), one.get("system")} <= AGENTS and NAME.fullmatch(str(one.get("name")))
        return not known or not one.keys() <= set(DATA_MAP["usage_events"].fields)

    return await count_odd(look, ["usage_events"], is_more)


async def usage_consented(look: Look) -> Measured:
    """Notes of use without a consent that stood when they were made."""
    rows: dict[tuple[str, int], Doc | None] = {}

    async def stood(one: Doc) -> bool:
        key = (one["subject"], one["consent_seq"])
        if key not in rows:
            query = {"subject": key[0], "purpose": "analytics", "seq": {"$lte": key[1]}}
            rows[key] = await look.db.open("consents").find_one(query, sort=[("seq", -1)])
        row = rows[key]
        return row is not None and row["decision"] == "given" and one["at"] <= row.get("ends_at", one["at"])

    return all_told({"usage_events": [one for one in await sample(look, "usage_events") if not await stood(one)]})


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

    return await count_odd(look, ["usage_months"], is_about_few)


async def marketing_consented(look: Look) -> Measured:
    """Marketing mails, queued or sent, that do not cite a consent of exactly their person to exactly this."""
    ours = {"label_id": None, "campaign_id": {"$gte": ""}}
    order = [(name, -1) for name in ("label_id", "campaign_id", "user_id")]
    newest = await look.db.open("mails").find(ours, comment=WHY).sort(order).limit(MOST).to_list()
    mails = [one for one in await sample(look, "mails", size=MOST) if one.get("template") == "marketing"]
    ids = sorted({str(one.get("consent_id")) for one in (*mails, *newest)})
    found = look.db.open("consents").find({"_id": {"$in": ids}, "purpose": "marketing_mail", "decision": "given"})
    subjects = {row["_id"]: row["subject"] async for row in found}
    odd = {one["_id"]: one for one in (*mails, *newest) if subjects.get(one.get("consent_id")) != one.get("user_id")}
    return all_told({"mails": list(odd.values())})


async def withdrawals_effective(look: Look) -> Measured:
    """Withdrawn consents after which a mail went out, or what was noted is still here."""
    mails = [row for row in await _withdrawn(look, "marketing_mail", WITHIN) if await _is_mailed_after(look, row)]
    notes = [row for row in await _withdrawn(look, "analytics", FORGOTTEN) if await _is_still_noted(look, row)]
    ways = " ".join(name for name, odd in (("mails", mails), ("usage", notes)) if odd)
    return replace(all_told({"consents": [*mails, *notes]}), detail=ways)


async def _withdrawn(look: Look, purpose: Purpose, since: timedelta) -> list[Doc]:
    """Withdrawals that are older than this."""
    rows = await sample(look, "consents", within={"purpose": purpose, "decision": "withdrawn"})
    return [row for row in rows if row["at"] < look.now - since]


async def _is_mailed_after(look: Look, row: Doc) -> bool:
    """Whether a mail went out a minute after this, by a consent from before."""
    sent = {"template": "marketing", "sent_at": {"$gt": row["at"] + WITHIN}}
    query = {"label_id": None, "user_id": row["subject"]} | sent
    ids = [one["consent_id"] async for one in look.db.open("mails").find(query, {"consent_id": 1}).limit(MOST)]
    older = {"_id": {"$in": ids}, "seq": {"$lt": row["seq"]}}
    return await look.db.open("consents").find_one(older, {"_id": 1}) is not None


async def _is_still_noted(look: Look, row: Doc) -> bool:
    query = {"subject": row["subject"], "consent_seq": {"$lt": row["seq"]}}
    return await look.db.open("usage_events").find_one(query, {"_id": 1}) is not None
