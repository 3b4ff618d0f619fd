"""Sums of usage that are about nobody: pure functions over events.

What comes of a month is a tree: the month, the pages and features in it, and the browsers in each of those. Every
figure is the exact sum of the figures below it, and every one is about `K` people or more. A page with fewer is pooled
with others as `pooled` until the pool has `K` people, and never alone (complementary suppression): so what is left when
the others are taken from the sum is the pool, not the page. A pool is not divided further. Numbers of people are
rounded down to whole `K`, for the difference of two of them would be a number of people, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

K = 10
"""The fewest people that a figure may be about."""
POOLED = "pooled"
"""No browser is called that; and no kind of use."""
Key = TypeVar("Key", str, tuple[str, str])


@dataclass
class Group:
    """Some of the events, and whose they are."""

    events: int = 0
    people: set[int] = field(default_factory=set)

    def add(self, person: int) -> None:
        """One event more."""
        self.events += 1
        self.people.add(person)

    def join(self, another: "Group") -> None:
        """All of another's, too."""
        self.events += another.events
        self.people |= another.people


Names = dict[tuple[str, str], dict[str, Group]]
"""By kind and name, then by browser."""


@dataclass(frozen=True)
class Cell:
    """A published figure: of a page or feature, or of one browser in it; or of what is pooled."""

    kind: str
    name: str
    browser: str | None
    """None for the sum over all browsers."""
    events: int
    people: int
    """At least so many: rounded down to whole `K`."""


@dataclass(frozen=True)
class Summed:
    """A month. With fewer than `K` people nothing of it is said at all: `events` is none, and there are no cells."""

    events: int | None
    people: int
    cells: list[Cell]


def count(names: Names, people: dict[str, int], kind: str, name: str, browser: str, subject: str) -> None:
    """Count one event. `people` gives each subject a number: sets of numbers take a fifth of the room."""
    person = people.setdefault(subject, len(people))
    names.setdefault((kind, name), {}).setdefault(browser, Group()).add(person)


def summed(names: Names) -> Summed:
    """What may be kept of it for ever."""
    wholes = {key: whole(browsers.values()) for key, browsers in names.items()}
    month = whole(wholes.values())
    if len(month.people) < K:
        return Summed(None, 0, [])
    cells = []
    for key, group in pooled(wholes):
        kind, name = key or (POOLED, POOLED)
        cells.append(Cell(kind, name, None, group.events, rounded(group)))
        if key is not None:
            cells += [
                Cell(kind, name, browser or POOLED, part.events, rounded(part)) for browser, part in pooled(names[key])
            ]
    return Summed(month.events, rounded(month), cells)


def pooled(groups: dict[Key, Group]) -> list[tuple[Key | None, Group]]:
    """The groups of `K` people or more by their keys; the others as one without a key, which has as many, too.

    Raises `ValueError` unless all of them together have `K` people.
    """
    if len(whole(groups.values()).people) < K:
        raise ValueError("too few people")
    ordered = sorted(groups.items(), key=lambda item: (len(item[1].people), item[1].events, item[0]))
    small = sum(len(group.people) < K for _, group in ordered)
    pool, count = whole(group for _, group in ordered[:small]), small
    while small and (len(pool.people) < K or count < 2):
        pool.join(ordered[count][1])
        count += 1
    shown: list[tuple[Key | None, Group]] = [(key, groups[key]) for key in sorted(key for key, _ in ordered[count:])]
    if small:
        shown.append((None, pool))
    return shown


def whole(groups: Iterable[Group]) -> Group:
    """All of them together."""
    found = Group()
    for group in groups:
        found.join(group)
    return found


def rounded(group: Group) -> int:
    """How many people, at least."""
    return len(group.people) - len(group.people) % K
