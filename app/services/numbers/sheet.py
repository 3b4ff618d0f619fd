"""The numbers as CSV (RFC 4180), for spreadsheets: which take what begins like a formula for one."""

import csv
import io

from app.services.numbers.report import AGES, Group, Report
from app.services.numbers.spans import Spread

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet may begin to compute at; the wide ones are taken for the others in Japan and China."""
COLUMNS = (
    "of",
    "id",
    "name",
    *(f"{what}_{figure}" for what in ("first_response", "resolution") for figure in ("count", "median_s", "p90_s")),
    "open",
    *(f"open_{age}" for age in AGES),
)


def sheet(report: Report) -> str:
    """One row for everybody, one a person, one an account."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerow(_row("everybody", "", "", report.everybody))
    for of, groups in (("person", report.people), ("account", report.accounts)):
        for one in sorted(groups):
            writer.writerow(_row(of, one, report.names.get(one, ""), groups[one]))
    return text.getvalue()


def harmless(text: str) -> str:
    """The text as a cell that no spreadsheet computes: what could begin a formula gets an apostrophe before it."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def _row(of: str, one: str, name: str, group: Group) -> list[str | int | float]:
    figures = [*_figures(group.response), *_figures(group.resolution)]
    ages = [group.ages[age] for age in AGES]
    return [of, harmless(one), harmless(name), *figures, group.ages.total(), *ages]


def _figures(spread: Spread) -> list[str | int | float]:
    return [spread.count, *("" if figure is None else figure for figure in (spread.median_s, spread.p90_s))]
