"""Checks of secrets: that tokens are sealed as promised, and in clear nowhere."""

import re
import stat
from pathlib import Path

import bson

from app.db import Doc
from app.models.data_map import DATA_MAP
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import WHY, count_odd, sample
from app.services.vault.envelope import NONCE_BYTES, VERSION

TAG_BYTES, COMMITMENT_BYTES = 16, 32
"""Of AES-256-GCM, and of the commitment to its key."""
IN_CLEAR = re.compile(
    rb"""(?x)
    \b(?:IGAA|IGQ|EAA)[\w-]{24,}                                     # Meta's tokens
    | \bey[\w-]{8,1024}\.ey[\w-]+\.[\w-]{8,}                         # a JWT
    | \bso[rkt]_[\w-]{16,}                                           # our refresh tokens, API secrets, links' tokens
    | \b(?:[srp]k_(?:live|test)|whsec)_[\w+/=-]{8,}                  # Stripe's keys and webhook secrets
    | -----BEGIN\ (?:EC\ |RSA\ )?PRIVATE\ KEY
    """
)
"""What a secret looks like that nobody has sealed."""
WORDS_OF_PEOPLE = {
    *("publications", "publication_versions", "publication_comments", "publication_targets", "saved_replies"),
    *(name for name, collection in DATA_MAP.items() if collection.personal == "content"),
}
"""Somebody may write there what looks like a token."""
SEARCHED = tuple(name for name in DATA_MAP if name not in WORDS_OF_PEOPLE | {"attestations"})
"""Attestations are signed for everybody, in a form that tokens have too."""


async def tokens_sealed(look: Look) -> Measured:
    """Tokens whose envelope is none of AES-256-GCM's, or that has something beside it."""
    return await count_odd(look.db, ["secrets"], lambda one: not _is_sealed(one))


def _is_sealed(secret: Doc) -> bool:
    own = {"_id", "label_id", "connection_id", "purpose", "provider", "envelope", "created_at"}
    envelope = secret.get("envelope")
    if not isinstance(envelope, dict) or envelope.get("v") != VERSION or not isinstance(envelope.get("key_id"), str):
        return False
    sizes = {"nonce": NONCE_BYTES, "commitment": COMMITMENT_BYTES}
    raw = [envelope.get(name) for name in (*sizes, "ciphertext", "wrapped_key")]
    if not all(isinstance(one, bytes) for one in raw):
        return False
    good = all(len(envelope[name]) == size for name, size in sizes.items()) and len(envelope["ciphertext"]) > TAG_BYTES
    return good and not IN_CLEAR.search(bson.encode(envelope)) and secret.keys() <= own


async def none_in_clear(look: Look) -> Measured:
    """Documents with something that looks like a token, a key or a secret in clear."""
    counts = dict.fromkeys(SEARCHED, 0)
    for name in SEARCHED:
        found = await sample(look.db, name, size=50)
        counts[name] = sum(IN_CLEAR.search(bson.encode(one)) is not None for one in found)
    return Measured(sum(counts.values()), detail=" ".join(name for name, count in counts.items() if count))


async def keys_at_rest(look: Look) -> Measured:
    """Key files of this worker that somebody else on its machine may read, and tokens that a ring does not know."""
    files = [look.settings.jwt_key_file, look.settings.vault_private_ring_file]
    odd = [file.name for file in files if file is not None and _is_open(file)]
    return Measured(len(odd), detail=" ".join(odd))


def _is_open(file: Path) -> bool:
    return file.exists() and bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


async def tokens_of_living(look: Look) -> Measured:
    """Tokens of connections that are not there or have ended, and are not being ended."""
    held = await sample(look.db, "secrets")
    ids = {"_id": {"$in": sorted({str(one.get("connection_id")) for one in held})}}
    fields = {"label_id": 1, "status": 1, "completed_at": 1}
    there = await look.db.open("connections").find(ids, fields, comment=WHY).to_list()
    ending = await look.db.open("disconnections").find(ids, fields, comment=WHY).to_list()
    good = {(one["_id"], one["label_id"]) for one in there if one["status"] != "revoked"}
    good |= {(one["_id"], one["label_id"]) for one in ending if one["completed_at"] is None}
    return Measured(sum((one.get("connection_id"), one.get("label_id")) not in good for one in held))
