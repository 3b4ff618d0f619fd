"""The settings of our own books: whose law says how long records of money are kept, and when our years end."""

import re
from datetime import date
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator
from pydantic_settings import BaseSettings

from app.models.keeping_law import LAWS, Books, YearEnd

_ITEM = re.compile(r"(?:(\d{4}-\d{2}-\d{2})=)?(\d{2})-(\d{2})")


def country(value: str) -> str:
    """A country whose law we know."""
    if value not in LAWS:
        raise ValueError(f"must be one of {', '.join(LAWS)}")
    return value


def year_ends(value: str) -> tuple[YearEnd, ...]:
    """The rules of `MM-DD` or `YYYY-MM-DD=MM-DD` with commas between, the oldest first. Raises `ValueError`."""
    found = []
    for place, item in enumerate(value.split(",")):
        match = _ITEM.fullmatch(item.strip())
        if match is None or (match[1] is None) != (place == 0):
            raise ValueError("must be a day like 12-31, then changes like 2028-01-01=03-31 with commas between")
        since = date.fromisoformat(match[1]) if match[1] else date.min
        date(2000, int(match[2]), int(match[3]))
        found.append(YearEnd(since, int(match[2]), int(match[3])))
    if any(later.since <= earlier.since for earlier, later in pairwise(found)):
        raise ValueError("must have its changes in their order")
    return tuple(found)


def _readable(value: str) -> str:
    year_ends(value)
    return value


class BooksSettings(BaseSettings):
    """Whose books money is written into."""

    seller_country: Annotated[str, AfterValidator(country)] = "GB"
    """The country of the company that sells; its law says how long records of money are kept."""
    financial_year_end: Annotated[str, AfterValidator(_readable)] = "12-31"
    """The last day of our financial years, `MM-DD`; then each change with its first day: `12-31,2028-01-01=03-31`."""

    @property
    def books(self) -> Books:
        """The books that these settings describe."""
        return Books(self.seller_country, year_ends(self.financial_year_end))
