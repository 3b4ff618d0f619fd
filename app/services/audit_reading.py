"""Reading the audit log, and finding out whether anybody has touched it. What can be found: docs/audit.md."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeGuard

from app.db import Database, Doc
from app.services.audit import BROKEN, TOLD, end_of, is_sealed, mac_of

BATCH = 200
"""Rows in memory at once; their MACs take a few milliseconds."""
LAST_HOUR = timedelta(hours=1)
"""Rows that end so soon are not looked at: they may be deleted meanwhile, by a clock that is a little ahead of ours."""
Trouble = Literal["changed", "missing", "inserted", "moved", "cut_off", "head_changed"]


@dataclass(frozen=True)
class Finding:
    """What became of a chain. `checked` rows were good, up to the first trouble."""

    checked: int
    first_broken_seq: int | None = None
    problem: Trouble | None = None


@dataclass(frozen=True)
class Filters:
    """Which rows are asked for; `since` is the first instant, `until` the first one after."""

    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> Doc:
        """As MongoDB takes it."""
        found: Doc = {}
        if self.actor is not None:
            found["actor.id"] = self.actor
        if self.action is not None:
            found["action"] = self.action
        bounds = {"$gte": self.since, "$lt": self.until}
        at = {operator: bound for operator, bound in bounds.items() if bound is not None}
        return found | ({"at": at} if at else {})


async def page_of(
    db: Database,
    *,
    label_id: str | None,
    chain: str,
    filters: Filters,
    before: int | None,
    limit: int,
    now: datetime,
) -> list[Doc]:
    """A chain's rows, newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "chain": chain, "expires_at": {"$gt": now}} | filters.query()
    if before is not None:
        query["seq"] = {"$lt": before}
    return await db.open("audit_log").find(query).sort("seq", -1).limit(limit + 1).to_list()


async def check_chain(db: Database, key: bytes, *, label_id: str | None, chain: str, now: datetime) -> Finding:
    """Read a whole chain, oldest first, up to the first trouble.

    Rows that are added meanwhile are checked too. Whose year is over are gone: the first one left must say so.
    """
    place = {"label_id": label_id, "chain": chain}
    end = await _end_of(db, key, place)
    gone_by = now + LAST_HOUR
    rows = db.open("audit_log").find(place | {"expires_at": {"$gt": gone_by}}).sort("seq", 1).batch_size(BATCH)
    before, checked = None, 0
    async for row in rows:
        found = _trouble_with(key, row, before, gone_by=gone_by)
        if found:
            if found.problem in ("changed", "moved") and await _is_beyond(db, key, place, row):
                found = Finding(0, row["seq"], "inserted")
            return Finding(checked, found.first_broken_seq, found.problem)
        before, checked = end_of(row), checked + 1
    if before and (
        end is None or before["seq"] > end["seq"]
    ):  # added since we asked where the chain ends, or by somebody else
        end = await _end_of(db, key, place)
    return _ended(checked, before, end, gone_by=gone_by)


async def _end_of(db: Database, key: bytes, place: Doc) -> Doc | None:
    """Where the chain ends, as its head says; seq -1 of a head that is not as we left it, none without one."""
    head = await db.open("audit_heads").find_one(place)
    if head is None:
        return None
    last: Doc = head["last"] if is_sealed(key, head) else {"seq": -1}
    return last


async def _is_beyond(db: Database, key: bytes, place: Doc, row: Doc) -> bool:
    end = await _end_of(db, key, place)
    return end is not None and row["seq"] > end["seq"] >= 0


def _trouble_with(key: bytes, row: Doc, before: Doc | None, *, gone_by: datetime) -> Finding | None:
    """What is wrong with the row, by itself and after the one before it."""
    seq, due = row.get("seq"), before["seq"] + 1 if before else None
    if not _is_whole(seq) or seq < (due or 1):
        return Finding(0, due or 1, "inserted")
    if due and seq > due:
        return Finding(0, due, "missing")
    if not _is_genuine(key, row):
        moved = _is_whole(_seq_before(row)) and _is_genuine(key, row | {"seq": _seq_before(row) + 1})
        return Finding(0, seq, "moved" if moved else "changed")
    if row["before"]["mac"] == BROKEN:
        return Finding(0, seq, "head_changed")
    if before and row["before"] != before:
        return Finding(0, seq, "moved")
    if not before and seq > 1 and row["before"]["expires_at"] > gone_by:  # the one before should be here yet
        return Finding(0, seq - 1, "missing")
    return None


def _ended(checked: int, before: Doc | None, end: Doc | None, *, gone_by: datetime) -> Finding:
    """What is wrong with where the chain ends."""
    seen = before["seq"] if before else 0
    if end is None:
        return Finding(checked, seen, "head_changed") if before else Finding(checked)
    if end["seq"] < seen or end["seq"] < 1:
        return Finding(checked, seen, "head_changed")
    if end["seq"] > seen and (before or end["expires_at"] > gone_by):
        return Finding(checked, seen + 1 if before else end["seq"], "cut_off")
    return Finding(checked, seen, "head_changed") if before and before != end else Finding(checked)


def _is_whole(seq: object) -> TypeGuard[int]:
    return isinstance(seq, int) and not isinstance(seq, bool)


def _seq_before(row: Doc) -> int:
    try:
        found: int = row["before"]["seq"]
    except (KeyError, TypeError):
        return 0
    return found


def _is_genuine(key: bytes, row: Doc) -> bool:
    """Whether we wrote it so, with nothing added."""
    try:
        return set(row) == {*TOLD, "mac"} and hmac.compare_digest(row["mac"], mac_of(key, row))
    except (KeyError, TypeError, ValueError):  # it lacks a field, or holds what we never write
        return False
