"""The audit log: who did what, on what, when and from where. Ids and codes only, never names or content.

Each label has a chain of its own, and so has each account: a row's MAC is over the row and the MAC before it, under a
key that is not in the database. A row that was changed, moved or taken out is found; only whole chains' oldest rows go,
after 12 months.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pymongo.errors import DuplicateKeyError

from app.clock import to_ms
from app.db import Database, Doc, Session
from app.ids import new_id

LIFE = timedelta(days=365)
FIRST = b"\0" * 32
Kind = Literal["person", "client", "support", "system"]
MACED = ("_id", "label_id", "chain", "seq", "action", "target", "network", "request_id", "details")


@dataclass(frozen=True)
class By:
    """Who acts, and from where: a network (/24 or /48), never a whole address."""

    kind: Kind
    id: str
    network: str | None
    request_id: str | None


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

        `details` are ids and codes (a role, a scope), never anybody's words.
        """
        row: Doc = {
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
            "expires_at": now + LIFE,
        }
        if session is not None:
            await self._append(row, session)
            return
        try:
            await self.db.in_transaction(lambda own: self._append(row, own))
        except DuplicateKeyError:  # two at once began the chain: now it is there
            await self.db.in_transaction(lambda own: self._append(row, own))

    async def _append(self, row: Doc, session: Session) -> None:
        """Write the chain's head first: who comes at the same time conflicts there, and tries again after us."""
        place = {"label_id": row["label_id"], "chain": row["chain"]}
        heads, now = self.db.open("audit_heads"), row["at"]
        head = await heads.find_one(place, session=session)
        row["seq"] = head["seq"] + 1 if head else 1
        row["mac"] = mac_of(self.key, row, head["mac"] if head else FIRST)
        ends = {"seq": row["seq"], "mac": row["mac"], "at": now}
        if head is None:
            await heads.insert_one(place | ends, session=session)
        else:
            await heads.update_one(place, {"$set": ends}, session=session)
        await self.db.open("audit_log").insert_one(row, session=session)


def mac_of(key: bytes, row: Doc, before: bytes) -> bytes:
    """What binds a row to the one before it."""
    told = {name: row[name] for name in MACED} | {"at": to_ms(row["at"]), "actor": row["actor"]}
    text = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    return hmac.new(key, before + text, hashlib.sha256).digest()
