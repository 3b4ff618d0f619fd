"""The team's numbers: percentiles as `statistics` has them, ages without gaps, cells that nothing computes."""

import csv
import io
import statistics
from collections import Counter
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.numbers.report import AGES, Group, Report, age_of
from app.services.numbers.sheet import COLUMNS, harmless, sheet
from app.services.numbers.spans import NINE_TENTHS, percentile, spread

LENGTHS = st.lists(st.integers(0, 365 * 86_400_000), min_size=1, max_size=60)


@given(LENGTHS)
def test_percentiles_are_exact(lengths: list[int]) -> None:
    """Beside `statistics`, on fractions, in any order."""
    found = spread(lengths)
    exact = sorted(Fraction(length) for length in lengths)
    assert found.count == len(lengths)
    assert found.median_s == float(statistics.median(exact) / 1000)
    if len(exact) > 1:
        assert percentile(sorted(lengths), NINE_TENTHS) == statistics.quantiles(exact, n=10, method="inclusive")[8]
    assert min(lengths) <= (found.median_s or 0) * 1000 + 1e-3 and (found.p90_s or 0) * 1000 <= max(lengths) + 1e-3


def test_of_nothing_there_is_no_figure() -> None:
    """Not zero: nobody answered in no time."""
    found = spread([])
    assert (found.count, found.median_s, found.p90_s) == (0, None, None)
    assert spread([1500]).median_s == spread([1500]).p90_s == 1.5


@given(st.timedeltas(timedelta(minutes=-5), timedelta(days=60)))
def test_each_age_is_in_one_class(open_for: timedelta) -> None:
    """The first whose bound it is below; a clock that is a little behind makes nothing old."""
    found = age_of(open_for)
    assert open_for < AGES[found]
    assert all(open_for >= below for below in list(AGES.values())[: list(AGES).index(found)])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "  @x", "\n=1", "＝1+1"])
def test_a_cell_is_not_computed(text: str) -> None:
    """Whatever somebody calls themselves."""
    assert harmless(text) == f"'{text}"


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_sheet_reads_back(name: str, account: str) -> None:
    """Quoted where it must be; each row has all columns; no cell begins a formula."""
    group = Group([1000, 3000], [], Counter({"older": 2}))
    report = Report(group, {"usr_1": group}, {"con_1": group}, {"usr_1": name, "con_1": account})
    head, *rows = csv.reader(io.StringIO(sheet(report), newline=""))
    assert tuple(head) == COLUMNS and {len(row) for row in rows} == {len(COLUMNS)}
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("everybody", "", ""),
        ("person", "usr_1", harmless(name)),
        ("account", "con_1", harmless(account)),
    ]
    for row in rows:
        told = dict(zip(COLUMNS, row, strict=True))
        assert (told["first_response_median_s"], told["resolution_median_s"], told["open_older"]) == ("2.0", "", "2")
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row)
