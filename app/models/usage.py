"""Usage, as the app reports it: names of pages and features, and nothing else."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel

UsageKind = Literal["page", "feature"]
UsageName = Annotated[
    str, Field(max_length=48, pattern=r"^[a-z]+(?:[-_/][a-z]+){0,5}$", examples=["inbox/conversation"])
]
"""Words of letters with `-`, `_` or `/` between: no digit, so no id, date or number, and no address fits in."""
MOST = 50


class UsageEvent(ApiModel):
    """A page that was seen, or a feature that was used. When, is when we hear of it."""

    kind: UsageKind
    name: UsageName
    """The page's or feature's own name, as `inbox/conversation`: never what is on it."""


class UsageReport(ApiModel):
    """What was seen and used since the last report."""

    events: Annotated[
        list[UsageEvent],
        Field(min_length=1, max_length=MOST, examples=[[{"kind": "page", "name": "inbox/conversation"}]]),
    ]
