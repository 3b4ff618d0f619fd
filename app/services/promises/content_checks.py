"""Checks of what fans write: its thirty days, and that it is nowhere else."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

from app.clients.graph_insights import begin_of
from app.clock import EPOCH
from app.db import Database, Doc, wrong_indexes
from app.models.data_map import CONTENT_LIFE, DATA_MAP, INSIGHTS_LIFE
from app.services import retention
from app.services.assets.keys import of_asset
from app.services.promises.promise import LATE, Check, Look, Measured
from app.services.promises.sampling import WHY, all_told, count_odd, living, names, sample

DAY = timedelta(days=1)
MOST = 1000
"""So many are counted at most."""
HELD = tuple(
    name
    for name, collection in DATA_MAP.items()
    if collection.subject == "fan" and collection.personal in ("content", "identity") and name != "webhook_inbox"
)
"""Where fans' content and names are. Each document says when it ends. Of what Meta delivered, `raw_changes` looks."""
OWN_TIME: dict[str, Callable[[Doc], datetime | None]] = {
    **dict.fromkeys(("messages", "comments"), lambda one: one.get("sent_at")),
    **dict.fromkeys(("account_days", "media_days"), lambda one: begin_of(date.fromisoformat(one["day"]))),
    "media": lambda one: one.get("posted_at"),
}
"""The provider's own time of a document: it lives so long after it, whenever it came to us."""
IDS_ALONE = ("operations", "events", "rule_runs", "rule_cursors", "audit_log", "response_facts", "stripe_events")
"""Collections that say of themselves that they hold ids and codes."""
WORDS = frozenset(("text", "caption", "content", "body", "original", "words"))
"""Fields that words of people are in, where they are allowed."""
NAME_OF_OURS = re.compile(r"[a-z]+(?:_[a-z]+){0,4}")
MOST_NAMED = 5
CLOCKS = timedelta(minutes=10)
"""So far may the clocks of two of our machines be apart."""


def oldest(name: str, life: timedelta) -> Check:
    """The age of the oldest document of a collection whose documents live so long."""

    async def check(look: Look) -> Measured:
        allowed = round((life + LATE) / DAY, 3)
        found = await look.db.open(name).find_one({}, {"expires_at": 1}, sort=[("expires_at", 1)], comment=WHY)
        if found is None:
            return Measured(0, allowed)
        end = found.get("expires_at")
        if not isinstance(end, datetime):
            return Measured(float(life.days + 1), allowed, "without_an_end")
        return Measured(round(max((look.now - end + life) / DAY, 0), 3), allowed)

    return check


async def ends_set(look: Look) -> Measured:
    """Content that has no end, or one later than thirty days from now."""
    late = look.now + CONTENT_LIFE + CLOCKS
    counts = {name: await _count(look.db, name, [{"expires_at": None}, {"expires_at": {"$gt": late}}]) for name in HELD}
    return Measured(sum(counts.values()), detail=" ".join(name for name, count in counts.items() if count))


def ends_in_time(life: timedelta, *collections: str) -> Check:
    """Documents of these collections that end later than so long after the provider's own time of them."""

    async def check(look: Look) -> Measured:
        odd: dict[str, list[Doc]] = {name: [] for name in collections}
        for name in collections:
            for one in await sample(look, name):
                at = OWN_TIME[name](one)
                if at is not None and not (one.get("expires_at") and one["expires_at"] <= at + life):
                    odd[name].append(one)
        return all_told(odd)

    return check


async def raw_changes(look: Look) -> Measured:
    """The age of the oldest change as Meta delivered it that has not been worked off."""
    waiting = look.db.open("webhook_inbox").find({"due_at": {"$gte": EPOCH}}, {"at": 1}, comment=WHY)
    ages = [(look.now - one["at"]) / DAY async for one in waiting.sort("due_at", 1).limit(MOST)]
    return Measured(round(max(ages, default=0), 3), round((CONTENT_LIFE + LATE) / DAY, 3))


async def nothing_expired(look: Look) -> Measured:
    """For how long the oldest expired document has been overdue."""
    late = await retention.lag_seconds(look.db, now=look.now)
    return Measured(round(late / 60, 1), LATE / timedelta(minutes=1))


async def ttl_indexes(look: Look) -> Measured:
    """Indexes that delete by themselves and are missing, differ, or are there without being declared."""
    wrong = [trouble for trouble in await wrong_indexes(look.db) if "expires_at_1" in trouble or "TTL" in trouble]
    return Measured(len(wrong), detail=" ".join(sorted({trouble.split(".")[0].split(" ")[0] for trouble in wrong})))


async def words_in_one_place(look: Look) -> Measured:
    """Documents with a field for people's words, in collections of ids."""
    return await count_odd(look, IDS_ALONE, lambda one: not WORDS.isdisjoint(names(one)))


async def figures_only(look: Look) -> Measured:
    """Media and figures that carry words or pictures."""
    allowed = ("caption", "text", "picture_url", "thumbnail_url", "media_url")
    kept = ("media", "media_days", "account_days")
    return await count_odd(look, kept, lambda one: not set(allowed).isdisjoint(names(one)))


async def insights_end(look: Look) -> Measured:
    """The age of the oldest figure."""
    found = [await oldest(name, INSIGHTS_LIFE)(look) for name in ("account_days", "media_days", "media")]
    return max(found, key=lambda one: one.figure)


async def files_of_their_label(look: Look) -> Measured:
    """Files of a label whose pictures or videos lie in the place of another one's."""

    def is_elsewhere(asset: Doc) -> bool:
        own = of_asset(asset["label_id"], asset["_id"])
        return not all(str(one.get("key", "")).startswith(own) for one in asset.get("renditions") or ())

    return await count_odd(look, ["assets"], is_elsewhere)


def mapped_only(name: str) -> Check:
    """Documents with a field that the data map does not have. The detail names those that may be of ours."""
    known = set(DATA_MAP[name].fields)

    async def check(look: Look) -> Measured:
        odd = [one for one in await sample(look, name) if not one.keys() <= known]
        more = {field for one in odd for field in one.keys() - known if NAME_OF_OURS.fullmatch(field)}
        return replace(all_told({name: odd}), detail=" ".join([name, *sorted(more)[:MOST_NAMED]]) if odd else "")

    return check


async def labels_gone(look: Look) -> Measured:
    """Documents of labels that are not there any more."""
    odd: dict[str, list[Doc]] = {}
    known: dict[str, bool] = {}
    for name in OF_LABELS:
        found = [one for one in await sample(look, name, size=50) if one.get("label_id")]
        unknown = {one["label_id"] for one in found} - known.keys()
        alive = await living(look.db, "labels", unknown)
        known |= {label: label in alive for label in unknown}
        odd[name] = [one for one in found if not known[one["label_id"]]]
    return all_told(odd)


OF_LABELS = tuple(
    name
    for name, collection in DATA_MAP.items()
    if collection.tenant and not collection.outlives_label and collection.erasure != "keep" and name != "operations"
)
"""What must be gone with its label. The operation that ends a label tells what came of it, and ends by itself."""


async def _count(db: Database, name: str, ways: list[Doc]) -> int:
    return sum([await db.open(name).count_documents(way, limit=MOST, comment=WHY) for way in ways])
