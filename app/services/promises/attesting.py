"""Attestations: once a day the state of all promises, signed, and chained to the one before; of a new key at once.

Each is a compact JWS (ES256) whose payload names the SHA-256 of the whole JWS before it and the public key that has
signed it. So the newest one, whose key is in `/.well-known/jwks.json`, vouches for all before it, whatever became of
the keys that those were signed by. See docs/decisions/0034-promises.md.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.db import Database, Doc
from app.logs import get_logger
from app.models.base import rfc3339
from app.services.promises import showing
from app.services.tokens import BadToken, Signer, payload_of, read_attestation

log = get_logger(__name__)
NOTHING_BEFORE = "0" * 64


class BrokenChain(Exception):
    """These attestations are not the ones that were signed, one after the other. The message says where."""


async def attest(db: Database, signer: Signer, *, now: datetime) -> Doc | None:
    """Write today's attestation, unless this key's is there, or nothing has been measured yet; what was written.

    A day that a clock ahead of time has taken is not today's: the chain goes on by its numbers, whatever its days.
    """
    attestations, today = db.open("attestations"), {"day": now.date().isoformat(), "key_id": signer.key_id}
    if await attestations.find_one(today, {"_id": 1}) is not None:
        return None
    last = await attestations.find_one({}, sort=[("_id", -1)])
    states = await showing.states(db, now=now)
    if all(state.checked_at is None for state in states):
        return None
    seq = last["_id"] + 1 if last else 1
    payload = {
        "seq": seq,
        "day": today["day"],
        "at": rfc3339(now),
        "issuer": signer.issuer,
        "previous": last["sha256"] if last else NOTHING_BEFORE,
        "key": signer.public_jwks[0],
        "promises": [_told(state) for state in states],
    }
    jws = signer.sign_attestation(payload)
    broken = [state.promise.id for state in states if not state.holding]
    row = {"_id": seq, **today, "at": now, "sha256": hash_of(jws), "broken": broken, "jws": jws}
    try:
        await attestations.insert_one(row)
    except DuplicateKeyError:  # another worker's came first
        return None
    log.info("attested", seq=seq, hash=row["sha256"], count=len(broken))
    return row


def _told(state: showing.State) -> Doc:
    measured = {"figure": state.figure, "allowed": state.allowed, "unit": state.promise.unit}
    checked = rfc3339(state.checked_at) if state.checked_at else None
    return {"id": state.promise.id, "holding": state.holding, **measured, "checked_at": checked}


def hash_of(jws: str) -> str:
    """What the next attestation names it by."""
    return hashlib.sha256(jws.encode()).hexdigest()


async def page_of(db: Database, *, before: int | None, limit: int) -> list[Doc]:
    """Attestations, the newest first."""
    query: Doc = {} if before is None else {"_id": {"$lt": before}}
    return await db.open("attestations").find(query).sort("_id", -1).limit(limit).to_list()


def verify(chain: Sequence[str], jwks: Mapping[str, Any]) -> list[Doc]:
    """What these attestations say, from the oldest to the newest, which a key of the JWKS must have signed.

    The oldest need not be the first that there was. Raises `BrokenChain`.
    """
    told: list[Doc] = []
    for place, jws in enumerate(chain):
        newest = place == len(chain) - 1
        try:
            payload = read_attestation(jws, jwks if newest else {"keys": [_key_in(jws)]})
        except BadToken as exc:
            told_of = f"Number {place + 1} of these is not as it was signed, or was signed by no key of the service"
            raise BrokenChain(told_of) from exc
        if told:
            _follows(told[-1], chain[place - 1], payload)
        elif payload["seq"] == 1 and payload["previous"] != NOTHING_BEFORE:
            raise BrokenChain("The first attestation names one before it")
        told.append(payload)
    return told


def _follows(before: Doc, jws: str, payload: Doc) -> None:
    """Raises `BrokenChain` unless this one comes right after that one."""
    if payload["seq"] != before["seq"] + 1:
        raise BrokenChain(f"Attestation {before['seq']} is followed by {payload['seq']}: one is missing")
    if payload["previous"] != hash_of(jws):
        raise BrokenChain(f"Attestation {before['seq']} is not the one that {payload['seq']} was signed after")


def _key_in(jws: str) -> dict[str, Any]:
    """The key that the attestation says it was signed by; who names it next vouches for it. Raises `BadToken`."""
    key = payload_of(jws).get("key")
    if not isinstance(key, dict):
        raise BadToken
    return key
