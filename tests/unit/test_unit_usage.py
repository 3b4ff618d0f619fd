"""Sums of usage: exact, about ten people or more, and no smaller figure can be computed from them."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.models.usage import UsageEvent
from app.services.usage.agents import OTHER, browser_of, system_of
from app.services.usage.months import end_of, last_due, month_of
from app.services.usage.sums import POOLED, Cell, K, Names, Summed, count, summed

Row = tuple[str, str, str, str]
"""Kind, name, browser and subject."""
Base = tuple[str, str, str]
AGENTS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36": (
        "Chrome",
        "Windows",
    ),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0": (
        "Edge",
        "Windows",
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0": ("Firefox", "Linux"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/1 Safari/604.1": (
        "Safari",
        "iOS",
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 CriOS/140.0 Mobile/1 Safari/604.1": (
        "Chrome",
        "iOS",
    ),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.6 Safari/605.1.15": (
        "Safari",
        "macOS",
    ),
    "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 SamsungBrowser/28.0 Chrome/130.0 Safari/537.36": (
        "Samsung Internet",
        "Android",
    ),
    "": (OTHER, OTHER),
    "curl/8.9 mara@example.com 203.0.113.7": (OTHER, OTHER),
}


def sum_of(rows: list[Row]) -> Summed:
    """What is kept of these events."""
    names: Names = {}
    people: dict[str, int] = {}
    for row in rows:
        count(names, people, *row)
    return summed(names)


def leaves_of(found: Summed, rows: list[Row]) -> dict[Cell, set[Base]]:
    """Which base cells (kind, name, browser) each published figure is about, read off by the names that it has."""
    bases = {row[:3] for row in rows}
    shown = {(cell.kind, cell.name) for cell in found.cells if cell.browser is None}
    about: dict[Cell, set[Base]] = {}
    for cell in found.cells:
        mine = {base for base in bases if base[:2] == (cell.kind, cell.name)}
        if (cell.kind, cell.name) == (POOLED, POOLED):
            mine = {base for base in bases if base[:2] not in shown}
        if cell.browser is not None:
            own = {c.browser for c in found.cells if (c.kind, c.name) == (cell.kind, cell.name)}
            mine = {base for base in mine if base[2] == cell.browser or (cell.browser == POOLED and base[2] not in own)}
        about[cell] = mine
    return about


def is_determined(target: set[Base], equations: list[set[Base]], bases: list[Base]) -> bool:
    """Whether the sum over `target` follows from the sums over `equations`: whether it is in their span."""
    rows = [[Fraction(base in one) for base in bases] for one in equations]
    vector = [Fraction(base in target) for base in bases]
    for column in range(len(bases)):
        pivot = next((row for row in rows if row[column]), None)
        if pivot is None:
            continue
        rows.remove(pivot)
        rows = [_less(row, pivot, column) for row in rows]
        vector = _less(vector, pivot, column)
    return not any(vector)


def _less(row: list[Fraction], pivot: list[Fraction], column: int) -> list[Fraction]:
    factor = row[column] / pivot[column]
    return [a - factor * b for a, b in zip(row, pivot, strict=True)]


SIZES = st.integers(1, 14)
CELLS = st.dictionaries(
    st.tuples(
        st.sampled_from(["page", "feature"]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(["Firefox", "Chrome", "Safari", OTHER]),
    ),
    st.tuples(SIZES, st.integers(0, 25), st.integers(1, 3)),
    max_size=14,
)
"""Of each base cell: how many people, from which number on, and how often each of them."""


def rows_of(cells: dict[Base, tuple[int, int, int]]) -> list[Row]:
    """The events of these cells."""
    return [
        (*base, f"usr_{first + n}")
        for base, (size, first, times) in cells.items()
        for n in range(size)
        for _ in range(times)
    ]


@settings(max_examples=400, deadline=None)
@given(CELLS)
@example({("page", "a", "Firefox"): (10, 0, 1), ("page", "b", "Firefox"): (9, 0, 1)})
@example({("page", "a", "Firefox"): (9, 0, 1), ("page", "a", "Chrome"): (1, 30, 1)})
@example({("page", "a", OTHER): (12, 0, 1), ("page", "a", "Safari"): (5, 20, 1), ("page", "a", "Chrome"): (6, 30, 1)})
def test_no_figure_is_about_fewer_than_ten(cells: dict[Base, tuple[int, int, int]]) -> None:
    """Not those that are published, and not one that can be computed from them; and all of them add up."""
    rows = rows_of(cells)
    people: dict[Base, set[str]] = defaultdict(set)
    for row in rows:
        people[row[:3]].add(row[3])
    found = sum_of(rows)
    if len({row[3] for row in rows}) < K:
        assert found == Summed(None, 0, [])
        return
    about, bases = leaves_of(found, rows), sorted(people)
    assert len({(cell.kind, cell.name, cell.browser) for cell in found.cells}) == len(found.cells)
    assert found.events == len(rows) == sum(cell.events for cell in found.cells if cell.browser is None)
    for cell, mine in about.items():
        them = set().union(*(people[base] for base in mine))
        assert len(them) >= K and cell.people == len(them) // K * K
        assert cell.events == sum(row[:3] in mine for row in rows)
    for kind, name in {(cell.kind, cell.name) for cell in found.cells} - {(POOLED, POOLED)}:
        parts = [cell for cell in found.cells if (cell.kind, cell.name) == (kind, name)]
        assert parts[0].events == sum(part.events for part in parts[1:])
    equations = [*about.values(), set(bases)]
    small = [base for base in bases if len(people[base]) < K]
    assert [base for base in small if is_determined({base}, equations, bases)] == []
    names = {base[:2]: {other for other in bases if other[:2] == base[:2]} for base in bases}
    rare = [mine for mine in names.values() if len(set().union(*(people[base] for base in mine))) < K]
    assert [mine for mine in rare if is_determined(mine, equations, bases)] == []


def test_a_small_page_takes_another_with_it() -> None:
    """Nine people on one page: the next smallest hides them, or the sum would give them away."""
    cells: dict[Base, tuple[int, int, int]] = {
        ("page", "big", "Firefox"): (30, 0, 1),
        ("page", "middle", "Firefox"): (12, 0, 1),
        ("page", "small", "Firefox"): (9, 0, 1),
    }
    shown = {(cell.name, cell.browser): (cell.events, cell.people) for cell in sum_of(rows_of(cells)).cells}
    assert shown == {("big", None): (30, 30), ("big", "Firefox"): (30, 30), (POOLED, None): (21, 10)}


def test_nothing_of_whose_they_are_is_kept() -> None:
    """No id and no number that stands for somebody."""
    found = sum_of([("page", "a", "Firefox", f"usr_canary{n}") for n in range(12)])
    assert "canary" not in repr(found) and found.people == 10


@pytest.mark.parametrize("agent", AGENTS)
def test_a_browser_is_two_words(agent: str) -> None:
    """Of closed lists, whatever it says of itself."""
    assert (browser_of(agent), system_of(agent)) == AGENTS[agent]


@pytest.mark.parametrize(
    "name",
    ["", "Inbox", "inbox?q=mara", "a b", "a/", "/a", "a-7", "usr_01k9", "2026", "a@b", "é", "a" * 49, "a-b-c-d-e-f-g"],
)
def test_a_name_holds_nothing_else(name: str) -> None:
    """No id, number, address, query or sentence fits in."""
    with pytest.raises(ValidationError):
        UsageEvent(kind="page", name=name)


@given(st.integers(1_704_067_200, 2_208_988_800).map(lambda s: datetime.fromtimestamp(s, UTC)))
def test_months_end_in_time(at: datetime) -> None:
    """An event lives 23 to 24 months; its month is due a week before, and no earlier."""
    month = month_of(at)
    end = end_of(month)
    assert timedelta(days=698) < end - at <= timedelta(days=731)
    assert end <= at.replace(year=at.year + 2, day=min(at.day, 28)) + timedelta(days=3)
    due_at = end - timedelta(days=7)
    assert last_due(due_at) >= month and last_due(due_at - timedelta(milliseconds=1)) < month


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2024-02-29T23:59:59.999+00:00", "2026-02-01"),
        ("2024-12-31T00:00:00+00:00", "2026-12-01"),
        ("2024-01-01T00:30:00+01:00", "2025-12-01"),
    ],
)
def test_months_are_counted_in_utc(at: str, end: str) -> None:
    """Over leap days, the turn of the year, and zones."""
    assert end_of(month_of(datetime.fromisoformat(at))).date().isoformat() == end
