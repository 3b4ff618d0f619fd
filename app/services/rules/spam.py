"""The spam score: 0 to 100, the sum of its reasons' points. Pure, and each reason can be told to whoever asks why.

docs/rules.md lists the reasons; the points are chosen so that no single one but a shortener reaches 40.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.models.rule_runs import SpamReason
from app.services.rules import texts

MOST = 100
POINTS: dict[SpamReason, int] = {
    "link": 25,
    "many_links": 15,
    "shortener": 40,
    "repeated_characters": 10,
    "all_capitals": 15,
    "many_mentions": 20,
    "many_hashtags": 15,
    "bait": 35,
    "same_text": 35,
    "new_author": 5,
    "hidden_characters": 30,
    "lookalike_letters": 30,
}
SHORTENERS = frozenset(
    (
        *("bit.ly", "tinyurl.com", "t.co", "goo.gl", "is.gd", "cutt.ly", "rb.gy", "shorturl.at", "ow.ly", "t.ly"),
        *("wa.me", "t.me", "tiny.cc", "rebrand.ly", "s.id", "clck.ru", "v.gd", "bl.ink", "lnkd.in", "linktr.ee"),
    )
)
_REPEATED = re.compile(r"(.)\1{5,}", re.DOTALL)
_MENTION, _HASHTAG = re.compile(r"(?<!\w)@\w"), re.compile(r"(?<!\w)#\w")
MANY_MENTIONS, MANY_HASHTAGS = 4, 6
FEWEST_CAPITALS = 12


@dataclass(frozen=True)
class Spam:
    """A score and why."""

    score: int
    reasons: tuple[SpamReason, ...]

    def points(self) -> list[tuple[SpamReason, int]]:
        """Each reason with its points."""
        return [(reason, POINTS[reason]) for reason in self.reasons]


def score(text: str, *, hosts: tuple[str, ...], first_contact: bool, same_text: bool) -> Spam:
    """How much like spam this looks, and why. `hosts` are the sites that the text links to."""
    reasons = tuple(_reasons(text, hosts, first_contact=first_contact, same_text=same_text))
    return Spam(min(MOST, sum(POINTS[reason] for reason in reasons)), reasons)


def _reasons(text: str, hosts: tuple[str, ...], *, first_contact: bool, same_text: bool) -> Iterator[SpamReason]:
    if hosts:
        yield "link"
    if len(hosts) > 1:
        yield "many_links"
    if any(host in SHORTENERS for host in hosts):
        yield "shortener"
    if _REPEATED.search(text):
        yield "repeated_characters"
    if _is_shouted(text):
        yield "all_capitals"
    if len(_MENTION.findall(text)) >= MANY_MENTIONS:
        yield "many_mentions"
    if len(_HASHTAG.findall(text)) >= MANY_HASHTAGS:
        yield "many_hashtags"
    if _is_bait(text):
        yield "bait"
    if same_text:
        yield "same_text"
    if first_contact:
        yield "new_author"
    if texts.hidden_in(text):
        yield "hidden_characters"
    if texts.lookalikes_in(text):
        yield "lookalike_letters"


def _is_shouted(text: str) -> bool:
    cased = [letter for letter in text if letter.isupper() or letter.islower()]
    return len(cased) >= FEWEST_CAPITALS and sum(letter.isupper() for letter in cased) >= 0.9 * len(cased)


def _is_bait(text: str) -> bool:
    said = f" {texts.plain(text)} "
    return any(f" {phrase} " in said for phrase in _phrases())


@cache
def _phrases() -> tuple[str, ...]:
    """What bait says, in eight languages, as `plain` has it."""
    told: dict[str, list[str]] = json.loads(Path(__file__).with_name("bait.json").read_text())
    return tuple(texts.plain(phrase) for phrases in told.values() for phrase in phrases)
