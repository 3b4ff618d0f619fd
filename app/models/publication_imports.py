"""Publications from a table, as the API shows and takes them."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Flag
from app.models.labels import TimeZone
from app.models.publication_reviews import ProblemOut

EXAMPLE = "kind,targets,caption,local_time\nimage,nightjar.records,Out on Friday.,2027-02-26T18:30\n"


class ImportOrder(ApiModel):
    """Publications as a table."""

    csv: Annotated[str, Field(min_length=1, max_length=900_000, examples=[EXAMPLE])]
    """A first row of column names, then a row for each, at most 500; separated by commas or semicolons.

    `kind` and `targets` are needed; `caption`, `assets`, `alt_text`, `first_comment`, `scheduled_at`, `local_time`,
    `timezone`, `mode`, `collaborators`, `link`, `location_id`, `share_to_feed` and `audio_name` may be there. Several
    of something in one cell stand with spaces between; a target is a connection's id or its account's username."""
    timezone: TimeZone | None = None
    """Of rows that name none; left out, the label's."""
    dry_run: Flag = False
    """Whether to tell only what would be stored."""


class RowErrorOut(ApiModel):
    """Why a row was not stored."""

    column: str
    detail: str


class RowOut(ApiModel):
    """What became of one row."""

    row: int
    """Its number: 1 is the first below the names."""
    outcome: Literal["made", "would_be_made", "refused"]
    publication_id: str | None
    errors: list[RowErrorOut]
    problems: list[ProblemOut]
    """What Meta would refuse of the draft as it is."""


class ImportOut(ApiModel):
    """What became of each row, in their order. Of a refused one nothing is stored; the others are drafts."""

    made: int
    refused: int
    rows: list[RowOut]
