"""The audit log: who did what, on what, when and from where. Ids and codes only, never names or content.

Each label has a chain of its own, and so has each account. A row holds where the row before it stood (`before`) and a
MAC over all of itself, under a key that is not in the database; the chain's head holds where it ends, and a seal. So a
row can be checked alone, and linked to its neighbours when they are there: `audit_reading.py` does both. Only whole
chains' oldest rows go, after 12 months. See docs/decisions/0015-audit-chain.md.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from pymongo.errors import DuplicateKeyError

from app.clock import to_ms
from app.db import Database, Doc, Session, TryTransactionAgain
from app.ids import new_id

LIFE = timedelta(days=365)
FIRST: Doc = {"seq": 0, "mac": b"\0" * 32, "expires_at": None}
"""What is before a chain's first row."""
BROKEN = b"\xff" * 32
"""Instead of the MAC before: the head was not as we left it. Such a row shows the break for as long as it lives."""
ENDS = ("seq", "mac", "expires_at")
TOLD = (
    "_id",
    "label_id",
    "chain",
    "seq",
    "at",
    "actor",
    "action",
    "target",
    "details",
    "network",
    "request_id",
    "before",
    "expires_at",
)
"""What a row holds beside its MAC, and the MAC covers."""
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
"""What was done, as `noun.verb`: `member.removed`, `session.started`."""
CODE = re.compile(r"[A-Za-z0-9_:.,/ +-]{0,400}")
"""Ids, codes and lists of them; an address or a text of several lines is none."""
Kind = Literal["person", "client", "rule", "support", "system"]


@dataclass(frozen=True)
class By:
    """Who acts, and from where: a network (/24 or /48), never a whole address."""

    kind: Kind
    id: str
    network: str | None
    request_id: str | None

    def known_as(self, user_id: str) -> "By":
        """The same, once it is known who it is: by the token of a mail, or by what they have just made."""
        return replace(self, id=user_id)


SYSTEM = By("system", "soundops", None, None)


@dataclass(frozen=True)
class Audit:
    """Writes the log. `label_id` is none for what concerns an account alone: then `chain` is the account's id."""

    db: Database
    key: bytes = field(repr=False)

    async def record(
        self,
        by: By,
        action: str,
        *,
        label_id: str | None = None,
        chain: str | None = None,
        target: str,
        details: Mapping[str, str] | None = None,
        now: datetime,
        session: Session | None = None,
    ) -> None:
        """Add a row, in the transaction of what it tells of. Without a `session` in one of its own.

        `details` are ids and codes (a role, a scope), never anybody's words. Raises `ValueError` for what is none; in a
        caller's transaction whatever has that begun again, so it must be one of `Database.in_transaction`.
        """
        if not ACTION.fullmatch(action) or not all(
            CODE.fullmatch(told) for told in (target, *(details or {}).values())
        ):
            raise ValueError(f"{action} must be recorded as noun.verb, with ids and codes alone")
        told: Doc = {
            "_id": new_id("aud"),
            "label_id": label_id,
            "chain": chain or label_id,
            "at": now,
            "actor": {"kind": by.kind, "id": by.id},
            "action": action,
            "target": target,
            "details": dict(details or {}),
            "network": by.network,
            "request_id": by.request_id,
        }
        if session is not None:
            await self._append(told, session)
        else:
            await self.db.in_transaction(lambda own: self._append(told, own))

    async def _append(self, told: Doc, session: Session) -> None:
        """Write the chain's head first: who comes at the same time conflicts there, and tries again after us.

        A clock that runs back does not make a row go before the one before it.
        """
        place = {"label_id": told["label_id"], "chain": told["chain"]}
        head = await self.db.open("audit_heads").find_one(place, session=session)
        before = await self._end_of(place, head, session)
        ends = [told["at"] + LIFE] + ([before["expires_at"]] if before["expires_at"] else [])
        row = told | {"seq": before["seq"] + 1, "before": before, "expires_at": max(ends)}
        row["mac"] = mac_of(self.key, row)
        await self._move_head(place, head, end_of(row), session)
        await self.db.open("audit_log").insert_one(row, session=session)

    async def _end_of(self, place: Doc, head: Doc | None, session: Session) -> Doc:
        """Where the chain ends. From a head that is not as we left it the chain goes on, with a break that is seen."""
        if head is not None and is_sealed(self.key, head):
            found: Doc = head["last"]
            return found
        log = self.db.open("audit_log")
        last = None
        async for row in log.find(place, session=session).sort("seq", -1):  # by the index alone: a new account waits
            if isinstance(row["seq"], int | float):
                last = row
                break
        if last is None and head is None:
            return FIRST
        return {"seq": int(last["seq"]) if last else 0, "mac": BROKEN, "expires_at": None}

    async def _move_head(self, place: Doc, head: Doc | None, last: Doc, session: Session) -> None:
        heads = self.db.open("audit_heads")
        moved = {"last": last, "seal": seal_of(self.key, place, last)}
        if head is not None:
            await heads.update_one(place | {"_id": head["_id"]}, {"$set": moved}, session=session)
            return
        try:
            await heads.insert_one(place | moved, session=session)
        except DuplicateKeyError as exc:  # two at once began the chain: now it is there
            raise TryTransactionAgain from exc


def end_of(row: Doc) -> Doc:
    """Where a row stands: what the next one and the head remember of it."""
    return {name: row[name] for name in ENDS}


def mac_of(key: bytes, row: Doc) -> bytes:
    """The MAC of a row: over all that it tells, and over where the one before it stood."""
    return _mac(key, "row", {name: row[name] for name in TOLD})


def seal_of(key: bytes, place: Doc, last: Doc) -> bytes:
    """The MAC of a head: without the key nobody can say that a chain ends elsewhere."""
    return _mac(key, "head", {"label_id": place["label_id"], "chain": place["chain"], "last": last})


def is_sealed(key: bytes, head: Doc) -> bool:
    """Whether the head is as we left it."""
    try:
        return hmac.compare_digest(head["seal"], seal_of(key, head, head["last"]))
    except (KeyError, TypeError, ValueError):  # it lacks a field, or holds what we never write
        return False


def _mac(key: bytes, what: str, told: Doc) -> bytes:
    text = json.dumps([what, told], sort_keys=True, separators=(",", ":"), default=_plain)
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _plain(value: Any) -> Any:
    """Raises `TypeError` for what no row holds."""
    if isinstance(value, datetime):
        return {"ms": to_ms(value)}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(type(value).__name__)
