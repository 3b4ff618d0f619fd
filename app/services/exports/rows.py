"""Stored documents as the rows of an export: JSON Lines, and CSV that no spreadsheet takes for formulas."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.db import Doc
from app.models.base import rfc3339

SEARCHED = frozenset(("words", "same"))
"""Made of the text for finding it again; the text itself is there."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell must not begin with, or a spreadsheet computes it (OWASP, CSV injection)."""


def row_of(document: Doc, fields: Sequence[str]) -> Doc:
    """The fields of a document by their paths; `id` is its own id. What it does not have is null."""
    return {field: _plain(_value_of(document, field)) for field in fields}


def _value_of(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for step in ("_id" if path == "id" else path).split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> Any:
    """As JSON has it: instants in RFC 3339, UTC. Raises `TypeError` for bytes, which nothing to be exported is."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items() if name not in SEARCHED}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return rfc3339(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(type(value).__name__)


def json_line(row: Doc) -> bytes:
    """One line of JSON Lines."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Lines of CSV (RFC 4180, UTF-8). What is no plain value is JSON in its cell."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"'{text}" if text.startswith(FORMULA) else text
