"""Ids: a type prefix and a time-ordered body (ULID), as in `msg_01k9zv3t5wxq8m2c4d6f7g9h1j`."""

from typing import Literal

from ulid import ULID

# fmt: off
Prefix = Literal[
    "usr", "ses", "lbl", "mbr", "inv", "cli", "key", "sup", "mai", "aud",
    "con", "sec", "cnv", "msg", "cmt", "mod", "op", "evt", "req", "wrk", "opn", "nte", "srp", "rul", "run", "ast",
    "pub", "pbv", "pbc", "slt", "rpl", "pbt", "med",
]
# fmt: on


def new_id(prefix: Prefix) -> str:
    """A new id, unique everywhere, ordered by the millisecond it was made in."""
    return f"{prefix}_{str(ULID()).lower()}"
