"""`manifest.json`: what is in an export's files, what each field means, and all that a person may know of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.db import Doc
from app.models.base import rfc3339
from app.models.export_words import FIELDS, HOSTS, OF_TEAM, OF_YOU, RECIPIENTS, SOURCES
from app.services.exports.packing import Packed
from app.services.exports.plan import Sheet

FORMAT = "soundops-export/1"
SNAPSHOT = (
    "Each file was read once, from its beginning to its end, one after the other, between begun_at and ended_at: the "
    "files do not all show the same instant; what was changed meanwhile is there as it was before or after, or as both."
)
HOW = (
    "Of each collection there are its rows twice: as JSON Lines (UTF-8, one JSON object a line) and as CSV (RFC 4180, "
    "UTF-8, a header; what is no plain value is JSON in its cell; an apostrophe stands before a cell that a "
    "spreadsheet would take for a formula). sha256 is of each file as it is unpacked."
)
LEFT_OUT = (
    "Passwords, keys, tokens and hashes of them are secrets and not here. What has expired is not here either, nor "
    "messages, comments and notes that must be deleted within 24 hours: rows_left_out counts the latter. Other "
    "people's data are here only as far as a conversation needs them."
)


@dataclass(frozen=True)
class Written:
    """A sheet that is in the zip."""

    sheet: Sheet
    files: Sequence[Packed]
    rows: int
    left_out: int


def manifest_of(export: Doc, written: Sequence[Written], *, begun_at: datetime, ended_at: datetime) -> Doc:
    """All of it."""
    return {
        "format": FORMAT,
        "export_id": export["_id"],
        "kind": export["kind"],
        "about": export["about"],
        "made_for": export["user_id"],
        "begun_at": rfc3339(begun_at),
        "ended_at": rfc3339(ended_at),
        "snapshot": SNAPSHOT,
        "how_to_read": HOW,
        "left_out": LEFT_OUT,
        "collections": [_told(one, export["kind"]) for one in written],
    }


def _told(written: Written, kind: str) -> dict[str, Any]:
    collection = written.sheet.collection
    source = SOURCES[collection.name]
    return {
        "name": written.sheet.name,
        "collection": collection.name,
        "purpose": collection.purpose,
        "source": OF_TEAM if kind == "label" and source == OF_YOU else source,
        "recipients": [*HOSTS, *RECIPIENTS.get(collection.name, ())],
        "retention": collection.retention,
        "legal_ground": collection.ground,
        "rows": written.rows,
        "rows_left_out": written.left_out,
        "fields": [_field(name) for name in written.sheet.fields],
        "files": [asdict(file) for file in written.files],
    }


def _field(path: str) -> dict[str, str]:
    kind, meaning = FIELDS[path.rpartition(".")[2]]
    return {"name": path, "type": kind, "meaning": meaning}
