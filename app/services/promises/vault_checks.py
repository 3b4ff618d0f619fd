"""Checks of secrets: that tokens are sealed as promised, and in clear nowhere."""

import re
import stat
from pathlib import Path

import bson

from app.db import Doc
from app.models.data_map import DATA_MAP
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import WHY, all_told, count_odd, sample, without
from app.services.vault.envelope import NONCE_BYTES, VERSION

TAG_BYTES, COMMITMENT_BYTES = 16, 32
"""Of AES-256-GCM, and of the commitment to its key."""
SEALED_KEY = 12 + 32 + 16
"""Bytes of a file's key as its export's record holds it: nonce, key, tag."""
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
TYPED = {"name", "label", "client", "account", "alt_text", "reason", "title", "branding", "conditions", "actions"}
"""Fields, elsewhere, that hold what somebody has typed: whoever likes may be called like a token."""
OF_SECRET = set(DATA_MAP["secrets"].fields)
SEARCHED = tuple(name for name in DATA_MAP if name not in WORDS_OF_PEOPLE | {"attestations"})
"""Attestations are signed for everybody, in a form that tokens have too."""


async def tokens_sealed(look: Look) -> Measured:
    """Tokens whose envelope is none of AES-256-GCM's, or that has something beside it."""
    return await count_odd(look, ["secrets"], lambda one: not _is_sealed(one) or not one.keys() <= OF_SECRET)


async def people_sealed(look: Look) -> Measured:
    """Seeds of second factors, and keys of files that were handed out, that are not sealed."""

    def is_clear(export: Doc) -> bool:
        file = export.get("file")
        return file is not None and not (isinstance(key := file.get("sealed_key"), bytes) and len(key) == SEALED_KEY)

    factors = [one for one in await sample(look, "second_factors") if not _is_sealed(one) or "seed" in one]
    exports = [one for one in await sample(look, "exports") if is_clear(one)]
    return all_told({"second_factors": factors, "exports": exports})


def _is_sealed(secret: Doc) -> bool:
    """Whether it holds a complete envelope, and nothing in clear in that."""
    envelope = secret.get("envelope")
    if not isinstance(envelope, dict) or envelope.get("v") != VERSION or not isinstance(envelope.get("key_id"), str):
        return False
    sizes = {"nonce": NONCE_BYTES, "commitment": COMMITMENT_BYTES}
    raw = [envelope.get(name) for name in (*sizes, "ciphertext", "wrapped_key")]
    if not all(isinstance(one, bytes) for one in raw):
        return False
    good = all(len(envelope[name]) == size for name, size in sizes.items()) and len(envelope["ciphertext"]) > TAG_BYTES
    return good and not IN_CLEAR.search(bson.encode(envelope))


async def none_in_clear(look: Look) -> Measured:
    """Documents with something that looks like a token, a key or a secret in clear."""
    odd = {}
    for name in SEARCHED:
        found = await sample(look, name, size=50)
        odd[name] = [one for one in found if IN_CLEAR.search(bson.encode(without(one, TYPED)))]
    return all_told(odd)


async def keys_at_rest(look: Look) -> Measured:
    """Key files of this worker that somebody else on its machine may read."""
    settings = look.settings
    files = [settings.jwt_key_file, settings.jwt_other_key_file, settings.vault_private_ring_file]
    odd = [file.name for file in files if file is not None and _is_open(file)]
    return Measured(len(odd), detail=" ".join(odd))


def _is_open(file: Path) -> bool:
    return file.exists() and bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


async def tokens_of_living(look: Look) -> Measured:
    """Tokens of connections that are not there or have ended, and are not being ended."""
    held = await sample(look, "secrets")
    ids = {"_id": {"$in": sorted({str(one.get("connection_id")) for one in held})}}
    fields = {"label_id": 1, "status": 1, "completed_at": 1}
    there = await look.db.open("connections").find(ids, fields, comment=WHY).to_list()
    ending = await look.db.open("disconnections").find(ids, fields, comment=WHY).to_list()
    good = {(one["_id"], one["label_id"]) for one in there if one["status"] != "revoked"}
    good |= {(one["_id"], one["label_id"]) for one in ending if one["completed_at"] is None}
    return all_told({"secrets": [one for one in held if (one.get("connection_id"), one.get("label_id")) not in good]})
