"""Which passwords are refused: the most common ones, and what is made of little else.

At 15 characters few common passwords are left as they are; people stretch them. So a password is refused, too, when it
is a common one repeated, with digits and signs around it, or beside a second one, when it is a sequence, or when little
is left of it without the person's own name and address. There are no rules about kinds of characters (NIST SP 800-63B).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.errors import FieldError, InvalidInput

OURS = ("soundops", "soundops.io")
ROWS = ("qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn")
OWN_REST = 8
"""So many letters and digits must be left without the person's own words."""


@dataclass(frozen=True)
class PasswordRules:
    """The lists, read once."""

    refused: frozenset[str] = field(repr=False)

    @classmethod
    def load(cls, more: Path | None) -> Self:
        """The 30,000 most common passwords, and those of an operator's file, one a line. Raises `OSError`."""
        common = frozenset(FREQUENCY_LISTS["passwords"]) | frozenset(OURS)
        lines = more.read_text("utf-8", "replace").splitlines() if more else []
        return cls(common | {line.strip().casefold() for line in lines if line.strip()})

    def check(self, password: str, own_words: Iterable[str], *, pointer: str = "/password") -> None:
        """Raise `InvalidInput` for one that is refused."""
        text = password.casefold()
        if self._is_common(text) or _is_sequence(text) or _is_own(text, own_words):
            raise InvalidInput(errors=(FieldError(pointer, "is too easy to guess: take a few words of your own"),))

    def _is_common(self, text: str) -> bool:
        without_tail = re.sub(r"[\W\d_]+$", "", text)
        cores = {text, without_tail, re.sub(r"^[\W\d_]+", "", text), re.sub(r"^[\W\d_]+", "", without_tail)}
        return any(self._made_of_common(core) for core in cores if core)

    def _made_of_common(self, text: str) -> bool:
        unit = next(text[:size] for size in range(1, len(text) + 1) if (text[:size] * len(text))[: len(text)] == text)
        if len(unit) < 5 or text in self.refused or unit in self.refused:
            return True
        return any(text[:cut] in self.refused and text[cut:] in self.refused for cut in range(3, len(text) - 2))


def _is_sequence(text: str) -> bool:
    """Whether each character follows from the one before: the same, the next or previous letter, digit or key."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    if steps <= {0} or steps <= {1} or steps <= {-1} or (text.isdecimal() and (steps <= {1, -9} or steps <= {-1, 9})):
        return True
    return any(text in row + row or text in (row + row)[::-1] for row in ROWS)


def _is_own(text: str, own_words: Iterable[str]) -> bool:
    rest = text
    for word in sorted({word.casefold() for words in own_words for word in re.split(r"[\W_]+", words)}, key=len)[::-1]:
        if len(word) >= 3:
            rest = rest.replace(word, "")
    return rest != text and len(re.sub(r"[\W_]", "", rest)) < OWN_REST
