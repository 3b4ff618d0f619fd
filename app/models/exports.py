"""Exports, as the API shows them."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant, Page
from app.models.operations import OperationProblem

ExportState = Literal["running", "ready", "failed", "expired"]


class ExportOut(ApiModel):
    """A copy of all that is stored of a person or a label, as a zip."""

    id: Annotated[str, Field(examples=["exp_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    kind: Literal["person", "label"]
    state: ExportState
    """`ready`: it can be downloaded until `ends_at`. `expired`: its file is gone."""
    operation_id: Annotated[str, Field(examples=["op_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    created_at: Instant
    made_at: Instant | None
    """When it was complete; null before."""
    ends_at: Instant | None
    """When its file is deleted: after 7 days, or when the first of the messages and comments in it must be."""
    bytes: int | None
    rows: int | None
    """How many rows all its files have together."""
    sha256: str | None
    """Of the zip, in hex."""
    problem: OperationProblem | None

    @classmethod
    def of(cls, export: Doc) -> "ExportOut":
        """The export of this document."""
        file = export.get("file") or {}
        return cls(
            id=export["_id"],
            kind=export["kind"],
            state=export["state"],
            operation_id=export["operation_id"],
            created_at=export["created_at"],
            made_at=export["made_at"],
            ends_at=export["ends_at"],
            bytes=file.get("bytes"),
            rows=file.get("rows"),
            sha256=file.get("sha256"),
            problem=OperationProblem(**export["problem"]) if export["problem"] else None,
        )


class ExportPage(Page[ExportOut]):
    """A person's or a label's exports, the newest first."""


class ExportLink(ApiModel):
    """Where the file is: for a browser to go to. It works once."""

    url: Annotated[str, Field(examples=["https://api.soundops.io/v1/exports/file?token=sot_Zm9v"])]
    expires_at: Instant
