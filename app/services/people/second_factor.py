"""The second factor: time-based codes (RFC 6238: SHA-1, 6 digits, 30 s) and recovery codes, each good once.

The seed is sealed under the accounts' ring; recovery codes are stored hashed.
"""

import base64
import hashlib
import hmac
import os
import re
from datetime import datetime
from typing import Literal

import pyotp

from app.db import Database, Doc, Session
from app.errors import EmailNotVerified, InvalidTotp, NotFound, TotpEnabled
from app.services.vault.account_ring import AccountRing
from app.services.vault.envelope import AccountBinding, seal, unseal
from app.services.vault.ledger import count_uses

ISSUER = "SoundOps"
STEP_S = 30
RECOVERY_CODES = 10
PURPOSE = "totp"
Used = Literal["code", "recovery_code"]


async def of(db: Database, user_id: str) -> Doc | None:
    """The person's confirmed second factor, or none."""
    factor = await db.open("second_factors").find_one({"_id": user_id})
    return factor if factor and factor["confirmed_at"] else None


async def begin(db: Database, ring: AccountRing, user: Doc, *, now: datetime) -> str:
    """A new seed (base32), which counts once a code of it is confirmed.

    Raises `EmailNotVerified`: somebody who registered with another's address must not lock them out of it. Raises
    `TotpEnabled` when there is a second factor already.
    """
    if user["email_verified_at"] is None:
        raise EmailNotVerified
    if await of(db, user["_id"]):
        raise TotpEnabled
    seed = pyotp.random_base32()
    envelope = await seal(ring, seed, AccountBinding(user["_id"], PURPOSE))
    await count_uses(db, "accounts", envelope["key_id"], now=now)
    fresh: Doc = {"envelope": envelope, "confirmed_at": None, "last_step": 0, "recovery": [], "created_at": now}
    await db.open("second_factors").replace_one({"_id": user["_id"], "confirmed_at": None}, fresh, upsert=True)
    return seed


def address(seed: str, email: str) -> str:
    """What an authenticator app reads from a QR code."""
    return pyotp.TOTP(seed).provisioning_uri(name=email, issuer_name=ISSUER)


async def confirm(
    db: Database, ring: AccountRing, user_id: str, code: str, *, now: datetime, session: Session
) -> list[str]:
    """Switch it on; the recovery codes, which are shown this once. Raises `NotFound`, `TotpEnabled`, `InvalidTotp`."""
    factor = await db.open("second_factors").find_one({"_id": user_id}, session=session)
    if factor is None:
        raise NotFound
    if factor["confirmed_at"]:
        raise TotpEnabled
    step = await _step_of(ring, factor, code, now=now)
    if step is None:
        raise InvalidTotp
    codes = _new_codes()
    on = {"confirmed_at": now, "last_step": step, "recovery": [_digest(one) for one in codes]}
    await db.open("second_factors").update_one({"_id": user_id, "confirmed_at": None}, {"$set": on}, session=session)
    return codes


async def renew_recovery_codes(db: Database, user_id: str, *, session: Session) -> list[str]:
    """New recovery codes; the old ones are void. Raises `NotFound`."""
    codes = _new_codes()
    query, update = {"_id": user_id, "confirmed_at": {"$ne": None}}, {"recovery": [_digest(one) for one in codes]}
    if (await db.open("second_factors").update_one(query, {"$set": update}, session=session)).matched_count == 0:
        raise NotFound
    return codes


async def remove(db: Database, user_id: str, *, session: Session) -> bool:
    """Switch it off, or forget one that was not confirmed; whether it was on. Raises `NotFound`."""
    factor = await db.open("second_factors").find_one({"_id": user_id}, session=session)
    if factor is None:
        raise NotFound
    await db.open("second_factors").delete_one({"_id": user_id}, session=session)
    return factor["confirmed_at"] is not None


async def use(db: Database, ring: AccountRing, factor: Doc, code: str, *, now: datetime) -> Used:
    """Use a code up. Of two who use the same one, one succeeds. Raises `InvalidTotp`."""
    factors, user_id = db.open("second_factors"), factor["_id"]
    step = await _step_of(ring, factor, code, now=now)
    if step is not None:
        once = {"_id": user_id, "last_step": {"$lt": step}}
        if (await factors.update_one(once, {"$set": {"last_step": step}})).modified_count == 1:
            return "code"
        raise InvalidTotp
    digest = _digest(code)
    if (await factors.update_one({"_id": user_id, "recovery": digest}, {"$pull": {"recovery": digest}})).modified_count:
        return "recovery_code"
    raise InvalidTotp


async def _step_of(ring: AccountRing, factor: Doc, code: str, *, now: datetime) -> int | None:
    """The time step whose code this is, of the last, the present and the next one; none when it is no such code."""
    code = _as_shown(code)
    if not (len(code) == 6 and code.isascii() and code.isdecimal()):
        return None
    seed = await unseal(ring, factor["envelope"], AccountBinding(factor["_id"], PURPOSE))
    totp = pyotp.TOTP(seed)
    present = int(now.timestamp()) // STEP_S
    steps = (present - 1, present, present + 1)
    right = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)]
    return max(right) if right else None


def _new_codes() -> list[str]:
    texts = [base64.b32encode(os.urandom(10)).decode().lower() for _ in range(RECOVERY_CODES)]  # 80 bits each
    return ["-".join(text[at : at + 4] for at in range(0, 16, 4)) for text in texts]


def _digest(code: str) -> str:
    return hashlib.sha256(_as_shown(code).encode()).hexdigest()


def _as_shown(code: str) -> str:
    """A code without the spaces and dashes that apps and people put between its groups, in small letters."""
    return re.sub(r"[\s-]", "", code).lower()
