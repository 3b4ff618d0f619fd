"""Patterns that people write, matched by RE2: the time is linear in the text, whatever the pattern is.

Python's own `re` never sees one: it backtracks, and a pattern of ten characters can make it run for hours.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Protocol, cast

import re2

from app.errors import FieldError, InvalidInput

LONGEST = 500
MEMORY_BYTES = 1 << 20
"""Of one compiled pattern: `(a{1000}){1000}` does not fit, and is refused."""
MOST_STEPS = 1_000
"""How large a compiled pattern may be: a text of Meta's longest then takes a few milliseconds at the very worst."""
MOST_STEPS_OF_LABEL = 10_000
"""Of all of a label's rules together: every one of them looks at everything that comes."""
KEPT = 2_000
POOL = ThreadPoolExecutor(2, "rules")
"""Where rules decide: what it takes is not taken from those who verify webhooks."""


class Pattern(Protocol):
    """A compiled pattern."""

    programsize: int

    def search(self, text: str) -> object | None:
        """Whether it is somewhere in the text."""


class BadPattern(ValueError):
    """RE2 does not take it."""


@lru_cache(KEPT)
def compiled(pattern: str) -> Pattern:
    """The pattern, without regard to case. Raises `BadPattern` for what RE2 does not know or cannot hold."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = MEMORY_BYTES
    try:
        found = re2.compile(pattern, options)
    except (re2.error, UnicodeError):
        raise BadPattern from None
    if found.programsize > MOST_STEPS:
        raise BadPattern
    return cast(Pattern, found)


def check(pattern: str, pointer: str) -> None:
    """Raise `InvalidInput` for a pattern that RE2 does not take."""
    try:
        compiled(pattern)
    except BadPattern:
        detail = "must be a pattern as RE2 takes it: no look-around, no back-references, and not too large"
        raise InvalidInput(errors=(FieldError(pointer, detail),)) from None
