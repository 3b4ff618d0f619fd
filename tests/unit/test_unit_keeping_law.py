"""Until when records of money are kept: financial years, leap days, countries, and the EU's one-stop shop."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.models.keeping_law import LAWS, Books, YearEnd, keeping_of, year_end
from app.setting_books import BooksSettings

ALWAYS = date.min


def books(country: str, *ends: str) -> Books:
    """The books of a company there, as its settings say."""
    return BooksSettings(seller_country=country, financial_year_end=",".join(ends or ("12-31",)), _env_file=None).books


def last_day(country: str, at: str, *ends: str, buyer: str | None = "US", tax_id: bool = True) -> str:
    """The last day on which the law asks for a record of this instant."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return str(keeping_of(moment, books(country, *ends), country=buyer, has_tax_id=tax_id).last_day)


@pytest.mark.parametrize(
    ("country", "ends", "at", "expected"),
    [
        # three countries, a calendar year: six years, eight, five
        ("GB", "12-31", "2026-06-15T12:00", "2032-12-31"),
        ("DE", "12-31", "2026-06-15T12:00", "2034-12-31"),
        ("NO", "12-31", "2026-06-15T12:00", "2031-12-31"),
        # the last and the first instant of a year, by the country's own clock
        ("GB", "12-31", "2026-12-31T23:59", "2032-12-31"),
        ("GB", "12-31", "2027-01-01T00:00", "2033-12-31"),
        ("DE", "12-31", "2026-12-31T22:59", "2034-12-31"),
        ("DE", "12-31", "2026-12-31T23:00", "2035-12-31"),
        ("US", "12-31", "2027-01-01T04:59", "2033-12-31"),
        ("US", "12-31", "2027-01-01T05:00", "2034-12-31"),
        # a year that ends with March, and one that ends on 5 April
        ("GB", "03-31", "2027-03-31T22:59", "2033-03-31"),
        ("GB", "03-31", "2027-03-31T23:00", "2034-03-31"),  # summer time has begun
        ("GB", "04-05", "2027-04-05T12:00", "2033-04-05"),
        ("GB", "04-05", "2027-04-06T12:00", "2034-04-05"),
        # a year that ends with February: its last day, whichever it is, and so is the day until when it is kept
        ("GB", "02-29", "2028-02-29T12:00", "2034-02-28"),
        ("GB", "02-28", "2026-02-28T12:00", "2032-02-29"),
        ("GB", "02-29", "2026-02-28T23:59", "2032-02-29"),
        ("GB", "02-29", "2026-03-01T00:00", "2033-02-28"),
        ("GB", "12-31", "2028-02-29T12:00", "2034-12-31"),
        # countries that count from the calendar year, whatever the company's year is
        ("DE", "03-31", "2026-05-01T12:00", "2034-12-31"),
        ("DE", "03-31", "2026-02-01T12:00", "2034-12-31"),
        # or from the calendar year in which the company's year ends
        ("SE", "03-31", "2026-05-01T12:00", "2034-12-31"),
        ("SE", "03-31", "2026-02-01T12:00", "2033-12-31"),
        # or from when the tax return is due, two months after
        ("JP", "12-31", "2026-06-01T12:00", "2034-02-28"),
        ("JP", "12-31", "2024-06-01T12:00", "2032-02-29"),
        ("JP", "03-31", "2026-06-01T12:00", "2034-05-31"),
    ],
)
def test_boundaries(country: str, ends: str, at: str, expected: str) -> None:
    """Each day on which something changes, from both of its sides."""
    assert last_day(country, at, ends) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-12-31T12:00", "2032-12-31"),  # before: calendar years
        ("2027-06-30T12:00", "2034-03-31"),  # the year under way when it changes: 15 months
        ("2028-03-31T12:00", "2034-03-31"),
        ("2028-04-01T12:00", "2035-03-31"),
    ],
)
def test_a_longer_year_at_a_change(at: str, expected: str) -> None:
    """The year that is under way ends at the first of the new ends after the change."""
    assert last_day("GB", at, "12-31", "2027-06-01=03-31") == expected


@pytest.mark.parametrize(("at", "expected"), [("2027-02-01T12:00", "2033-03-31"), ("2027-04-01T12:00", "2034-03-31")])
def test_a_short_year_at_a_change(at: str, expected: str) -> None:
    """Where the change comes with the year's beginning, a year of three months."""
    assert last_day("GB", at, "12-31", "2027-01-01=03-31") == expected


def test_the_one_stop_shop() -> None:
    """Ten years from the calendar year, for people in the EU abroad without a tax number, and for who tells nothing."""
    at = "2026-06-15T12:00"
    assert last_day("GB", at, buyer="FR", tax_id=False) == "2036-12-31"
    assert last_day("DE", at, buyer="FR", tax_id=False) == "2036-12-31"
    assert last_day("GB", at, buyer="FR", tax_id=True) == "2032-12-31"
    assert last_day("DE", at, buyer="DE", tax_id=False) == "2034-12-31"
    assert last_day("GB", at, buyer="US", tax_id=False) == "2032-12-31"
    assert last_day("GB", at, buyer=None, tax_id=False) == "2036-12-31"
    kept = keeping_of(datetime(2026, 6, 15, tzinfo=UTC), books("GB"), country="FR", has_tax_id=False)
    assert (kept.law, kept.purge_at) == ("EU-OSS", datetime(2037, 1, 1, 12, tzinfo=UTC))


def test_it_goes_when_the_day_is_over_everywhere() -> None:
    """The last place where it is still that day is twelve hours behind UTC."""
    kept = keeping_of(datetime(2026, 6, 15, tzinfo=UTC), books("GB"), country="GB", has_tax_id=False)
    assert kept.purge_at == datetime(2033, 1, 1, 12, tzinfo=UTC)
    assert kept.purge_at.astimezone(ZoneInfo("Etc/GMT+12")).date() == kept.last_day + timedelta(days=1)


INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
DAYS = st.dates(date(2000, 1, 1), date(2000, 12, 31)).map(lambda day: f"{day:%m-%d}")


@given(st.sampled_from(sorted(LAWS)), DAYS, INSTANTS, st.sampled_from([None, "US", "DE", "FR"]), st.booleans())
def test_never_too_early(country: str, end: str, at: datetime, buyer: str | None, tax_id: bool) -> None:
    """Whatever the country, the year's end and the buyer: the full years are over, and not two years more."""
    kept = keeping_of(at, books(country, end), country=buyer, has_tax_id=tax_id)
    years = 10 if kept.law == "EU-OSS" else LAWS[country].years
    age = kept.purge_at - at
    assert timedelta(days=365 * years) < age < timedelta(days=366 * (years + 2) + 70)


@given(DAYS, st.dates(date(2020, 1, 1), date(2050, 1, 1)))
def test_a_year_has_one_end(end: str, day: date) -> None:
    """The day is in the year that ends there, and the next day after the end is in the next year."""
    month, of_month = map(int, end.split("-"))
    rule = [YearEnd(ALWAYS, month, of_month)]
    found = year_end(day, rule)
    assert day <= found < day + timedelta(days=367)
    assert year_end(found, rule) == found and year_end(found + timedelta(days=1), rule) > found


CHANGES = st.lists(
    st.tuples(st.dates(date(2020, 1, 1), date(2024, 1, 1)), DAYS), max_size=4, unique_by=lambda change: change[0]
)


@given(DAYS, CHANGES, st.dates(date(2019, 1, 1), date(2026, 1, 1)), st.data())
def test_a_year_has_one_end_however_often_the_day_changes(
    first: str, changes: list[tuple[date, str]], day: date, data: st.DataObject
) -> None:
    """Also where it changes twice within a year: its days all have the same end, and ends never go back."""
    told = [(ALWAYS, first), *sorted(changes)]
    rules = [YearEnd(since, *map(int, end.split("-"))) for since, end in told]
    found = year_end(day, rules)
    assert found >= day
    between = data.draw(st.dates(day, found))
    assert year_end(between, rules) == found and year_end(found + timedelta(days=1), rules) > found


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_every_law_has_its_source(law: object) -> None:
    """A number of years without a source is nobody's law."""
    assert len(getattr(law, "source", "")) > 8 and ZoneInfo(getattr(law, "zone", "")) is not None


BAD = ["", "31-12", "13-01", "12-32", "2027-01-01=03-31", "12-31,03-31", "12-31,2027-02-30=01-01"]


@pytest.mark.parametrize("text", BAD)
def test_unreadable_year_ends(text: str) -> None:
    """They end the start."""
    with pytest.raises(ValidationError):
        BooksSettings(financial_year_end=text, _env_file=None)


def test_changes_out_of_order() -> None:
    """Two changes must stand in their order; a country that is not in the table is refused."""
    with pytest.raises(ValidationError):
        BooksSettings(financial_year_end="12-31,2028-01-01=03-31,2027-01-01=06-30", _env_file=None)
    with pytest.raises(ValidationError):
        BooksSettings(seller_country="XX", _env_file=None)
