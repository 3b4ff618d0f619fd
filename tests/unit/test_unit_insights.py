"""What is made of figures: merging, totals and comparisons, best times, sheets and charts."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from app.clients.graph_insights import Figure, Part, begin_of, day_of, today
from app.db import Database, Doc, create_indexes
from app.models.insight_metrics import ACCOUNT_METRICS, MEDIA_METRICS
from app.services.insights import store
from app.services.insights.best_times import FEWEST_POSTS, Post, best_times
from app.services.insights.charts import HOLLOW, Line, line_chart
from app.services.insights.merging import known, lacking, merged
from app.services.insights.series import NEVER_READ, series_of
from app.services.insights.sheet import COLUMNS, sheet

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SOURCE: Any = {"source": "instagram_account_insights", "api_version": "v26.0"}
METRICS = ("reach", "views", "likes")
LACKS: Any = st.sampled_from(("no_data", "refused", "provider_error"))


@st.composite
def readings(draw: st.DrawFn) -> Doc:
    """One reading of one figure, at one of a few instants, so that some are at the same."""
    as_of = NOW + timedelta(minutes=draw(st.integers(0, 3)))
    if draw(st.booleans()):
        return lacking(draw(LACKS), as_of=as_of, **SOURCE)
    value = draw(st.integers(0, 3))
    parts = (Part("kind", "a", value),) if draw(st.booleans()) else ()
    return known(Figure(value, parts), as_of=as_of, **SOURCE, settled=draw(st.booleans()))


DAYS = st.dictionaries(st.sampled_from(METRICS), readings(), max_size=3)


@given(st.lists(DAYS, min_size=1, max_size=6), st.randoms(use_true_random=False), st.integers(1, 3))
def test_merging_has_no_order(found: list[Doc], chance: Any, times: int) -> None:
    """In any order, however often, and in any grouping, the same readings end the same."""
    expected: Doc = {}
    for one in found:
        expected = merged(expected, one)
    shuffled = found * times
    chance.shuffle(shuffled)
    cut = chance.randrange(len(shuffled) + 1)
    halves: list[Doc] = [{}, {}]
    for n, one in enumerate(shuffled):
        halves[n >= cut] = merged(halves[n >= cut], one)
    assert merged(*halves) == merged(*reversed(halves)) == expected


@given(st.lists(DAYS, min_size=1, max_size=5))
def test_what_is_known_is_never_lost(found: list[Doc]) -> None:
    """A figure that came once stays, though later readings have none; and the latest of the settled ones stays."""
    end: Doc = {}
    for one in found:
        end = merged(end, one)
    for name, told in end.items():
        all_told = [one[name] for one in found if name in one]
        if any(one["status"] != "unavailable" for one in all_told):
            assert told["value"] is not None
        best = [one for one in all_told if one["status"] == told["status"]]
        assert told["as_of"] == max(one["as_of"] for one in best)


async def test_the_database_merges_alike(fresh_mongodb_url: str) -> None:
    """The update that does it in the database, in any order and twice over, leaves what the function does."""
    db = Database(fresh_mongodb_url)
    await create_indexes(db)
    minutes = [NOW + timedelta(minutes=n) for n in range(3)]
    some: list[Doc] = [
        {"reach": lacking("no_data", as_of=minutes[0], **SOURCE)},
        {"reach": known(Figure(3), as_of=minutes[0], **SOURCE, settled=False)},
        {
            "reach": known(Figure(5), as_of=minutes[1], **SOURCE, settled=True),
            "likes": known(Figure(0), as_of=minutes[0], **SOURCE, settled=True),
        },
        {"reach": lacking("refused", as_of=minutes[2], **SOURCE)},
        {"likes": known(Figure(None, (Part("$kind", "a.b", 1.5),)), as_of=minutes[2], **SOURCE, settled=True)},
    ]
    expected: Doc = {}
    for one in some:
        expected = merged(expected, one)
    for n, order in enumerate((some, some[::-1], some[2:] + some[:2] + some)):
        connection: Doc = {"_id": f"con_{n}", "label_id": "lbl_1", "network": "instagram"}
        day = date(2026, 11, 21)
        for one in order:
            await store.record_day(db, connection, day, one, settled=False, now=NOW)
        found = await db.open("account_days").find({"label_id": "lbl_1", "connection_id": f"con_{n}"}).to_list()
        assert len(found) == 1 and found[0]["metrics"] == expected, order
        assert found[0]["expires_at"] == begin_of(day) + timedelta(days=730)
    db.close()


@given(st.dates(date(2020, 1, 1), date(2030, 12, 31)))
def test_a_day_is_the_day_that_ends(day: date) -> None:
    """Of its own end, in winter and summer; and of 07:00 and 08:00 UTC, whichever Meta says."""
    end = begin_of(day + DAY)
    assert day_of(end) == day and today(end - timedelta(seconds=1)) == day and today(end) == day + DAY
    for hour in (7, 8):
        assert day_of(datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + DAY) == day


def stored(values: dict[date, int | None], metric: str = "views") -> list[Doc]:
    """Stored days with these figures; none is a day that was read and has none."""
    return [
        {
            "day": day.isoformat(),
            "metrics": {
                metric: lacking("no_data", as_of=NOW, **SOURCE)
                if value is None
                else known(Figure(value), as_of=NOW, **SOURCE, settled=True)
            },
        }
        for day, value in values.items()
    ]


FIRST, LAST = date(2026, 11, 3), date(2026, 11, 4)


def compared(values: dict[int, int | None], metric: str = "views") -> Any:
    """The series of 3 and 4 November beside the 1st and 2nd."""
    days = {date(2026, 11, day): value for day, value in values.items()}
    return series_of(metric, stored(days, metric), first=FIRST, last=LAST, compare=True, now=NOW)


def test_comparisons_make_nothing_up() -> None:
    """A ratio has two whole periods and a base that is not zero; what has none says why."""
    whole = compared({1: 4, 2: 4, 3: 5, 4: 5})
    assert (whole.total.value, whole.comparison.difference, whole.comparison.ratio) == (10, 2, 1.25)
    reasons: dict[str, dict[int, int | None]] = {
        "base_zero": {1: 0, 2: 0, 3: 5, 4: 5},
        "base_days_missing": {2: 4, 3: 5, 4: 5},
        "days_missing": {1: 4, 2: 4, 3: 5, 4: None},
    }
    for reason, values in reasons.items():
        found = compared(values)
        assert (found.comparison.ratio, found.comparison.reason) == (None, reason)
    people = compared({1: 4, 2: 4, 3: 5, 4: 5}, "reach")
    assert (people.total.value, people.total.reason, people.comparison.reason) == (None, "not_additive", "not_additive")
    level = compared({1: 4, 2: 8, 3: 9, 4: 10}, "page_follows")
    assert (level.total.value, level.comparison.ratio) == (10, 1.25)
    level = compared({1: 4, 2: 8, 3: 9}, "page_follows")
    assert (level.total.value, level.total.reason, level.comparison.ratio) == (9, "days_missing", None)
    level = compared({1: 4, 3: 9, 4: 10}, "page_follows")
    assert (level.total.reason, level.comparison.ratio, level.comparison.reason) == (None, None, "base_days_missing")


def test_gaps_are_there() -> None:
    """Every day is in a series: one that was not read, and one of which Meta has nothing, are no zeros."""
    found = series_of("views", stored({FIRST: None}), first=FIRST, last=LAST, compare=False, now=NOW)
    assert [day for day, _ in found.points] == [FIRST, LAST]
    assert [told["reason"] for _, told in found.points] == ["no_data", "not_read"]
    assert (found.total.value, found.total.missing, found.total.reason) == (None, 2, "no_days")


def posts(count: int, *, evening: int) -> list[Post]:
    """Posts on mornings of all days, of which the Friday evenings' reach `evening` more."""
    begin = datetime(2026, 9, 1, 8, tzinfo=UTC)
    found = [Post(f"med_{n}", ("con", "FEED"), begin + n * DAY, 100 + n % 2) for n in range(count)]
    fridays = [datetime(2026, 9, 4, 19, tzinfo=UTC) + n * 7 * DAY for n in range(6)]
    return found + [Post(f"fri_{n}", ("con", "FEED"), at, 100 + n % 2 + evening) for n, at in enumerate(fridays)]


def test_best_times_have_evidence() -> None:
    """A time that stands out is named with its posts; equal ones are not; few posts are not enough."""
    found = best_times(posts(30, evening=500), 0, zone="UTC")
    assert [(one.weekday, one.hour, len(one.posts), one.better, one.sure) for one in found.slots] == [
        (4, 18, 6, 1.0, "likely")
    ]
    local = best_times(posts(30, evening=500), 0, zone="America/Los_Angeles")
    assert [(one.weekday, one.hour) for one in local.slots] == [(4, 12)]
    assert best_times(posts(30, evening=0), 0, zone="UTC").slots == ()
    few = best_times(posts(FEWEST_POSTS - 7, evening=500), 2, zone="UTC")
    assert (few.posts, few.slots, few.left_out) == (FEWEST_POSTS - 1, (), 2)


def test_kinds_of_posts_are_not_mixed() -> None:
    """Reels on Fridays that reach more because they are reels say nothing of Fridays."""
    begin = datetime(2026, 9, 4, 19, tzinfo=UTC)
    reels = [Post(f"reel_{n}", ("con", "REELS"), begin + n * 7 * DAY, 5000) for n in range(6)]
    assert best_times([*posts(30, evening=0)[:30], *reels], 0, zone="UTC").slots == ()


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 24 * 90)), max_size=60))
def test_best_times_are_sound(found: list[tuple[int, int]]) -> None:
    """Whatever was posted: shares and chances are some, and each slot has posts enough."""
    begin = datetime(2026, 8, 1, tzinfo=UTC)
    some = [Post(str(n), ("c", "FEED"), begin + timedelta(hours=h), v) for n, (v, h) in enumerate(found)]
    times = best_times(some, 0, zone="Europe/Berlin")
    for slot in times.slots:
        assert 0.5 <= slot.better <= 1 and 0 <= slot.chance < 0.05 and len(slot.posts) >= 3
    assert all(one.chance <= other.chance for one, other in pairwise(times.slots))


def test_a_sheet_computes_nothing() -> None:
    """No cell begins a formula, whatever Meta calls a part; what is missing is empty, with its reason."""
    odd = Figure(7, (Part("city", '=HYPERLINK("http://x")', 3), Part("city", "+1,2", 4), Part("city", "  @x", 0)))
    rows = [
        (
            {"of": "account", "connection_id": "con_1"},
            "2026-11-21",
            "reach",
            known(odd, as_of=NOW, **SOURCE, settled=True),
        ),
        ({"of": "account", "connection_id": "con_1"}, "2026-11-22", "reach", NEVER_READ),
    ]
    found = list(csv.reader(io.StringIO(sheet(rows), newline="")))
    assert found[0] == list(COLUMNS) and len(found) == 6
    assert not [cell for row in found for cell in row if re.match(r"\s*[=+\-@\t]", cell)]
    value, status, reason = (COLUMNS.index(name) for name in ("value", "status", "reason"))
    assert (found[1][value], found[5][value], found[5][status], found[5][reason]) == (
        "7",
        "",
        "unavailable",
        "not_read",
    )
    assert found[2][COLUMNS.index("part")] == '\'=HYPERLINK("http://x")'


def test_every_metric_is_documented() -> None:
    """Whoever asks for a metric by its name finds the name."""
    text = (Path(__file__).parents[2] / "docs" / "insights.md").read_text()
    shortened = re.compile("(follower|engaged_audience)_demographics_by_")
    names = {name for name in (ACCOUNT_METRICS | MEDIA_METRICS) if not shortened.match(name)}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_a_chart_is_only_a_picture() -> None:
    """It is well formed, runs and loads nothing, says what it shows, and is the same for the same figures."""
    days = [date(2026, 11, 1) + n * DAY for n in range(28)]
    lines = [Line("<script>alert(1)</script>", [None if n == 5 else n for n in range(28)]), Line("none", [None] * 28)]
    title = '"><script>alert(2)</script>'
    drawn = line_chart(title, days, lines)
    assert drawn == line_chart(title, days, lines)
    root = ElementTree.fromstring(drawn)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not names & {"script", "a", "image", "foreignObject", "use", "iframe"} and b"<!--" not in drawn
    for element in root.iter():
        assert not [name for name in element.attrib if "href" in name or name.lower().startswith("on")]
    text = drawn.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|url\(|@import|javascript:|<\?xml-stylesheet", text)
    assert root.attrib["role"] == "img" and root.attrib["aria-labelledby"] == "chart-title chart-desc"
    assert [(one.attrib["id"], bool(one.text)) for one in root[:2]] == [("chart-title", True), ("chart-desc", True)]
    assert root[0].text == title and "1 days without a figure" in str(root[1].text)
    assert line_chart("Empty", [], [])


def test_a_chart_says_what_it_does_not_show() -> None:
    """In the picture and in its words: lines that are left out, figures that may still change, and what only stands."""
    days = [FIRST, LAST]
    lines = [Line("views", [7, 3], frozenset({1})), Line("page_follows", [513, 520], stands=True)]
    lines += [Line(f"line {n}", [n, n]) for n in range(8)]
    drawn = line_chart("Insights", days, lines)
    root = ElementTree.fromstring(drawn)
    title, told = str(root[0].text), str(root[1].text)
    assert title == "Insights (8 of 10 lines; hollow: may still change)"
    assert "".join(root.itertext()).count("8 of 10 lines") == 2 and drawn.count(HOLLOW.encode()) == 1
    assert "views: from 3 to 7 a day, 1 days that may still change." in told
    assert "page_follows: at 520 on 2026-11-04, from 513 on 2026-11-03." in told
    assert told.endswith("Not drawn, for 8 lines are the most: line 6, line 7.")
