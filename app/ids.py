"""Ids: a type prefix and a time-ordered body (ULID), as in `msg_01k9zv3t5wxq8m2c4d6f7g9h1j`."""

from datetime import datetime
from typing import Literal

from ulid import ULID

# fmt: off
Prefix = Literal[
    "usr", "ses", "lbl", "mbr", "inv", "cli", "key", "sup", "mai", "aud",
    "con", "sec", "cnv", "msg", "cmt", "mod", "op", "evt", "req", "wrk", "opn", "nte", "srp", "rul", "run", "ast",
    "pub", "pbv", "pbc", "slt", "rpl", "pbt", "med", "bil", "bor", "mny", "pay", "hld", "prq", "exp", "gone",
    "cst", "vis", "use", "ubt", "cmp",
]
# fmt: on
TIME_CHARACTERS, RANDOM_CHARACTERS = 10, 16
"""Of a ULID."""


def new_id(prefix: Prefix) -> str:
    """A new id, unique everywhere, ordered by the millisecond it was made in."""
    return f"{prefix}_{str(ULID()).lower()}"


def first_id(prefix: Prefix, at: datetime) -> str:
    """The least id that can have been made at this time."""
    return f"{prefix}_{str(ULID.from_datetime(at)).lower()[:TIME_CHARACTERS]}{'0' * RANDOM_CHARACTERS}"
