"""How long records of money must be kept: one table by country, with its sources, and the day after which they go.

The law is the seller's: it keeps the records. On top of it comes the EU's one-stop shop, where its rules are longer:
who sells digital services to people without a tax number in another member state keeps their records for ten years.
An accountant should look at the rows of the countries that are used before production does (docs/billing-records.md).
"""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Basis = Literal["financial_year", "calendar_year", "calendar_year_after"]
"""From the end of what the years count: the financial year of the record; the calendar year of the record; the calendar
year in which its financial year ends."""


@dataclass(frozen=True)
class Law:
    """A country's rule."""

    years: int
    basis: Basis
    source: str
    zone: str
    """By whose clock a record has its day."""
    months: int = 0
    """Added to the end of the year before the years count (Japan: until the tax return is due)."""


LAWS: dict[str, Law] = {
    "AT": Law(7, "calendar_year", "Bundesabgabenordnung § 132 (1)", "Europe/Vienna"),
    "AU": Law(7, "financial_year", "Corporations Act 2001 s 286 (2)", "Australia/Sydney"),
    "BE": Law(10, "calendar_year", "Code de la TVA art. 60 (since 2023)", "Europe/Brussels"),
    "CA": Law(6, "financial_year", "Income Tax Act s 230 (4)", "America/Toronto"),
    "CH": Law(10, "financial_year", "Obligationenrecht Art. 958f", "Europe/Zurich"),
    "DE": Law(8, "calendar_year", "Abgabenordnung § 147 (3), UStG § 14b (1), as of BEG IV, 2025", "Europe/Berlin"),
    "DK": Law(5, "financial_year", "Bogføringsloven § 12", "Europe/Copenhagen"),
    "ES": Law(6, "financial_year", "Código de Comercio art. 30", "Europe/Madrid"),
    "FI": Law(6, "calendar_year_after", "Kirjanpitolaki 2:10 §", "Europe/Helsinki"),
    "FR": Law(10, "financial_year", "Code de commerce art. L123-22", "Europe/Paris"),
    "GB": Law(6, "financial_year", "Finance Act 1998 sch 18 para 21; VAT Notice 700/21", "Europe/London"),
    "IE": Law(6, "financial_year", "Taxes Consolidation Act 1997 s 886; Companies Act 2014 s 285", "Europe/Dublin"),
    "IT": Law(10, "calendar_year", "Codice civile art. 2220", "Europe/Rome"),
    "JP": Law(7, "financial_year", "Corporation Tax Act Enforcement Regulations art. 59", "Asia/Tokyo", months=2),
    "NL": Law(7, "financial_year", "Algemene wet inzake rijksbelastingen art. 52 (4)", "Europe/Amsterdam"),
    "NO": Law(5, "financial_year", "Bokføringsloven § 13", "Europe/Oslo"),
    "NZ": Law(7, "financial_year", "Tax Administration Act 1994 s 22", "Pacific/Auckland"),
    "PL": Law(5, "calendar_year_after", "Ustawa o rachunkowości art. 74", "Europe/Warsaw"),
    "PT": Law(10, "financial_year", "Código do IRC art. 123 (4)", "Europe/Lisbon"),
    "SE": Law(7, "calendar_year_after", "Bokföringslagen 7 kap. 2 §", "Europe/Stockholm"),
    "US": Law(7, "financial_year", "IRC § 6001, § 6501, § 6511 (d): the longest of the periods", "America/New_York"),
}
"""By the seller's country (ISO 3166-1 alpha-2)."""
ONE_STOP_SHOP = Law(10, "calendar_year", "Regulation (EU) 282/2011 art. 63c (2)", "Europe/Brussels")
"""Sales of digital services to people in the EU who have no tax number."""
MEMBER_STATES = frozenset(
    ("AT BE BG HR CY CZ DE DK EE ES FI FR GR HU IE IT LT LU LV MT NL PL PT RO SE SI SK").split()  # noqa: SIM905
)


@dataclass(frozen=True)
class YearEnd:
    """Financial years end on this day from the one on that has `since` in it. A 29 February is February's last day."""

    since: date
    month: int
    day: int

    def in_year(self, year: int) -> date:
        """The day of this year."""
        return date(year, self.month, min(self.day, monthrange(year, self.month)[1]))


@dataclass(frozen=True)
class Books:
    """Whose books they are: the seller's country, and when its financial years end, the oldest rule first."""

    country: str
    year_ends: tuple[YearEnd, ...]

    @property
    def law(self) -> Law:
        """The law of the books."""
        return LAWS[self.country]


def year_end(day: date, year_ends: Sequence[YearEnd]) -> date:
    """The last day of the financial year that this day is in.

    Where the day changes, the year that is under way ends at the first of the new ends that comes after the change;
    where it changes once more before that, at the first of the newest ones.
    """
    rule = next((one for one in reversed(year_ends) if one.since <= day), year_ends[0])
    end = _next_end(rule, day)
    for later in year_ends:
        if day < later.since <= end:
            end = _next_end(later, later.since)
    return end


def _next_end(rule: YearEnd, day: date) -> date:
    end = rule.in_year(day.year)
    return end if day <= end else rule.in_year(day.year + 1)


@dataclass(frozen=True)
class Keeping:
    """Until when something is kept, and why."""

    last_day: date
    """The last day on which the law asks for it."""
    law: str
    """Which law it is: a country of `LAWS`, or `EU-OSS`."""

    @property
    def purge_at(self) -> datetime:
        """When it goes: once that day is over everywhere on earth (UTC-12)."""
        return datetime.combine(self.last_day + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=12)


def keeping_of(at: datetime, books: Books, *, country: str | None, has_tax_id: bool) -> Keeping:
    """Until when a record of this instant is kept: by the seller's law, or by the one-stop shop's where that is longer.

    `country` is the buyer's, who has a tax number or none. One that is not told
    counts as one in the EU: what must be kept must not be gone.
    """
    kept = Keeping(_last_day(at, books.law, books), books.country)
    if has_tax_id or (country is not None and country not in MEMBER_STATES):
        return kept
    if country is not None and country == books.country:
        return kept  # a sale at home is none of the one-stop shop's
    return max(kept, Keeping(_last_day(at, ONE_STOP_SHOP, books), "EU-OSS"), key=lambda one: one.last_day)


def _last_day(at: datetime, law: Law, books: Books) -> date:
    day = at.astimezone(ZoneInfo(law.zone)).date()
    end = year_end(day, books.year_ends)
    if law.basis == "calendar_year":
        end = date(day.year, 12, 31)
    elif law.basis == "calendar_year_after":
        end = date(end.year, 12, 31)
    return _years_later(_months_later(end, law.months), law.years)


def _years_later(end: date, years: int) -> date:
    """The same day so many years later. The last day of a February stays one, in leap years too."""
    last = end.day == monthrange(end.year, end.month)[1]
    most = monthrange(end.year + years, end.month)[1]
    return date(end.year + years, end.month, most if last else min(end.day, most))


def _months_later(end: date, months: int) -> date:
    month = end.month - 1 + months
    year, month = end.year + month // 12, month % 12 + 1
    most = monthrange(year, month)[1]
    last = end.day == monthrange(end.year, end.month)[1]
    return date(year, month, most if last else min(end.day, most))
