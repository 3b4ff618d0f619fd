"""The words of a text, as an index of words keeps them and a search asks for them.

Both sides are normalised alike (NFKC, casefold; accents stay). Scripts that are written without spaces are kept as
characters and pairs of characters; an emoji is a word, whatever its skin tone; a hashtag and a mention are found with
and without their sign, an address by its host. A search finds whole words only: a prefix would need a range in the
middle of the index, and with it a sort of all that matches.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Literal

MOST_WORDS = 128
"""Of one text; what follows is not found."""
MOST_CHARACTERS = 64
"""Of one word; the rest of it does not count."""
MOST_ASKED = 16
"""Words of a search; those that follow are not looked at."""

Script = Literal["spaced", "unspaced", "emoji", "none"]
_PART = re.compile(r"(?:https?://|\bwww\.)(?P<host>[^\s/?#:]+)\S*|(?<!\w)(?P<signed>#\w+|@\w(?:[\w.]*\w)?)")
_IGNORED = re.compile("[\ufe0e\ufe0f\u200b\u200c\u00ad\u2060\ufeff\u200e\u200f\u202a-\u202e\U0001f3fb-\U0001f3ff]")
_JOINER = "\u200d"
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7A3),  # Hangul, whose words carry their particles
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
_FLAGS = (0x1F1E6, 0x1F1FF)


def tokens(text: str) -> list[str]:
    """The words to keep of a text, each once, in the order in which they stand there."""
    return _first(_words(_normal(text), kept=True), MOST_WORDS)


def query(text: str) -> list[str]:
    """The words that a text must have to be found; none when nothing in `text` is a word."""
    return _first(_words(_normal(text), kept=False), MOST_ASKED)


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _IGNORED.sub("", folded)


def _first(words: Iterator[str], most: int) -> list[str]:
    found: dict[str, None] = {}
    for word in words:
        if len(found) == most:
            break
        found[word[:MOST_CHARACTERS]] = None
    return list(found)


def _words(text: str, *, kept: bool) -> Iterator[str]:
    """Of hashtags, mentions and hosts the whole; to be kept, their parts too, which are found without a sign."""
    end = 0
    for part in _PART.finditer(text):
        yield from _plain(text[end : part.start()], kept=kept)
        end = part.end()
        whole = part["signed"] or part["host"].removeprefix("www.")
        yield whole
        if kept:
            yield from _plain(whole, kept=True)
    yield from _plain(text[end:], kept=kept)


def _plain(text: str, *, kept: bool) -> Iterator[str]:
    for script, group in groupby(text, _script):
        run = "".join(group)
        if script == "spaced":
            if word := run.strip(_JOINER):
                yield word.replace(_JOINER, "")
        elif script == "emoji":
            yield from _emoji(run)
        elif script == "unspaced":
            yield from _characters(run, kept=kept)


def _characters(run: str, *, kept: bool) -> Iterator[str]:
    if len(run) == 1:
        yield run
        return
    for one, other in pairwise(run):
        if kept:
            yield one
        yield one + other
    if kept:
        yield run[-1]


def _emoji(run: str) -> Iterator[str]:
    """Each by itself; what a joiner joins is one, and so are the two letters of a flag."""
    word = ""
    for character in run:
        joined = word.endswith(_JOINER) or character == _JOINER
        second = len(word) == 1 and _is_in(word, *_FLAGS) and _is_in(character, *_FLAGS)
        if word and not joined and not second:
            yield word.strip(_JOINER)
            word = ""
        word += character
    if stripped := word.strip(_JOINER):
        yield stripped


def _script(character: str) -> Script:
    if any(_is_in(character, *block) for block in _UNSPACED):
        return "unspaced"
    if character == _JOINER:
        return "emoji"
    category = unicodedata.category(character)
    if category in ("So", "Sk") and ord(character) > 0xFF:
        return "emoji"
    return "spaced" if category[0] in "LN" or category in ("Mn", "Mc") else "none"


def _is_in(character: str, first: int, last: int) -> bool:
    return first <= ord(character) <= last
