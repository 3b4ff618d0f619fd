"""When posts did best, with the evidence: how many there were, how often they did better than others, and how sure.

Posts are compared with those of the same account and kind alone, and only when their figures have settled. Whether a
slot's posts did better is asked as Mann and Whitney do: of all pairs of a post in the slot and one outside it, how many
did the slot's win? By chance it would be half of them. Many slots are looked at, and each must stand out more for it
(Bonferroni). Source: Mann and Whitney, Annals of Mathematical Statistics 18 (1947), with ties as in Lehmann (1975).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist, median
from typing import Literal
from zoneinfo import ZoneInfo

from app.db import Doc

SETTLES = timedelta(days=7)
"""After so long a post has most of what it will reach."""
LOOKS_BACK = timedelta(days=180)
MOST_POSTS = 2000
FEWEST_POSTS, FEWEST_IN_SLOT = 20, 3
HOURS = 3
"""A slot is three hours of a weekday."""
Sure = Literal["likely", "hint"]


@dataclass(frozen=True)
class Post:
    """A post whose figure is known. `of` is what it may be compared within."""

    id: str
    of: tuple[str, str]
    posted_at: datetime
    figure: float


@dataclass(frozen=True)
class Slot:
    """A time of the week, and how the posts of it did."""

    weekday: int
    """0 is Monday."""
    hour: int
    posts: tuple[str, ...]
    median: float
    better: float
    """The share of pairs that its posts won, 0 to 1: by chance 0.5."""
    chance: float
    """How probable so many wins are if the time made no difference, before many slots are allowed for."""
    sure: Sure


@dataclass(frozen=True)
class BestTimes:
    """The slots that stand out, the best first; or that there is not enough to say anything."""

    posts: int
    left_out: int
    slots: tuple[Slot, ...]
    compared: int
    """How many slots had enough posts to be looked at."""


def posts_of(media: Iterable[Doc], metric: str, fallback: str | None, *, now: datetime) -> tuple[list[Post], int]:
    """The posts that can be compared, and how many have no figure or have not settled. Stories and ads are no posts."""
    found, left_out = [], 0
    for one in media:
        if one["product"] in ("STORY", "AD"):
            continue
        told = one["latest"].get(metric) or one["latest"].get(fallback or "") or {}
        if told.get("value") is None or now - one["posted_at"] < SETTLES:
            left_out += 1
            continue
        of = (one["connection_id"], one["product"])
        found.append(Post(one["_id"], of, one["posted_at"], float(told["value"])))
    return found, left_out


def best_times(posts: Sequence[Post], left_out: int, *, zone: str) -> BestTimes:
    """The times whose posts did better than the others', in this zone."""
    by_slot: dict[tuple[int, int], list[Post]] = defaultdict(list)
    for post in posts:
        local = post.posted_at.astimezone(ZoneInfo(zone))
        by_slot[local.weekday(), local.hour // HOURS * HOURS].append(post)
    enough = {slot: inside for slot, inside in by_slot.items() if len(inside) >= FEWEST_IN_SLOT}
    if len(posts) < FEWEST_POSTS:
        return BestTimes(len(posts), left_out, (), 0)
    found = [_slot(slot, inside, posts, len(enough)) for slot, inside in enough.items()]
    slots = sorted((one for one in found if one), key=lambda one: (one.chance, one.weekday, one.hour))
    return BestTimes(len(posts), left_out, tuple(slots), len(enough))


def _slot(slot: tuple[int, int], inside: Sequence[Post], posts: Sequence[Post], looked_at: int) -> Slot | None:
    """The slot if its posts won more pairs than by chance at all; none if there was nobody to compare with."""
    wins = expected = variance = 0.0
    pairs = 0
    names = {post.id for post in inside}
    for of in {post.of for post in inside}:
        mine = [post.figure for post in inside if post.of == of]
        others = [post.figure for post in posts if post.of == of and post.id not in names]
        wins += sum((one > other) + (one == other) / 2 for one in mine for other in others)
        pairs += len(mine) * len(others)
        expected += len(mine) * len(others) / 2
        variance += _variance(mine, others)
    if not pairs or variance <= 0 or wins <= expected:
        return None
    chance = 1 - NormalDist().cdf((wins - expected - 0.5) / math.sqrt(variance))
    if chance >= 0.05:
        return None
    return Slot(
        weekday=slot[0],
        hour=slot[1],
        posts=tuple(sorted(names)),
        median=float(median(post.figure for post in inside)),
        better=round(wins / pairs, 4),
        chance=round(chance, 6),
        sure="likely" if chance * looked_at < 0.05 else "hint",
    )


def _variance(mine: Sequence[float], others: Sequence[float]) -> float:
    """Of the number of wins, if the time made no difference; ties make it smaller."""
    m, n = len(mine), len(others)
    total = m + n
    if total < 2:
        return 0.0
    ties = sum(count**3 - count for count in Counter([*mine, *others]).values())
    return m * n / 12 * ((total + 1) - ties / (total * (total - 1)))
