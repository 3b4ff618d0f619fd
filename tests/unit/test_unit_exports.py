"""What exports say of themselves, which index each walk takes, and cells that no spreadsheet computes."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.export_words import FIELDS, RECIPIENTS, SOURCES
from app.services.exports import plan
from app.services.exports.plan import Known, Sheet
from app.services.exports.rows import FORMULA, csv_lines, json_line, row_of

NOW = datetime(2026, 11, 29, tzinfo=UTC)
KNOWN = Known("usr_1", ("m@example.com",), (None, "lbl_1", "lbl_2"))
SHEETS = [*plan.of_person(KNOWN), *plan.of_label("lbl_1")]


def test_everything_shown_has_its_words() -> None:
    """Each field a type and a meaning, each collection a source; none is left over."""
    shown = {path.rpartition(".")[2] for sheet in SHEETS for path in sheet.fields}
    assert shown == FIELDS.keys() and all(all(words) for words in FIELDS.values())
    collections = {sheet.collection.name for sheet in SHEETS}
    assert collections == SOURCES.keys() and RECIPIENTS.keys() <= collections


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: f"{sheet.name}-{len(sheet.fields)}")
def test_each_walk_takes_an_index(sheet: Sheet) -> None:
    """That the map declares, whole and whose first key the query names; or a document is asked for by its id."""
    declared = {index.name: index for index in sheet.collection.indexes}
    for walk in sheet.walks:
        if walk.hint is None:
            assert "_id" in walk.query
            continue
        index = declared[walk.hint]
        assert index.keys[0][0] in walk.query and (not index.present or index.present in walk.query)
        assert "label_id" in walk.query or not sheet.collection.tenant or walk.comment


def test_no_sheet_has_a_secrets_id() -> None:
    """An id that is a hash of a token is one, too."""
    for sheet in SHEETS:
        assert ("id" in sheet.fields) == (sheet.collection.personal != "secret")
    assert len({sheet.name for sheet in plan.of_person(KNOWN)}) == len(plan.of_person(KNOWN))


def test_only_what_fans_wrote_bounds_a_file() -> None:
    """It is left out a day before its end; one's own data until they end."""
    sheets = {sheet.name: sheet for sheet in plan.of_label("lbl_1")}
    assert sheets["messages"].alive(NOW) == {"expires_at": {"$gt": NOW + timedelta(hours=24)}}
    assert sheets["mails"].alive(NOW) == {"expires_at": {"$gt": NOW}} and sheets["mails"].spared(NOW) is None
    assert sheets["publications"].alive(NOW) == {}


@given(st.lists(st.text() | st.integers() | st.none() | st.booleans() | st.lists(st.text()), min_size=1))
def test_cells(values: list[Any]) -> None:
    """Whatever stands in a cell: one row comes back, of which no cell is a formula."""
    raw = csv_lines([values]).decode()
    (row,) = list(csv.reader(io.StringIO(raw, newline=""), strict=True)) or [[""]]
    assert len(row) == len(values)
    for cell, value in zip(row, values, strict=True):
        assert isinstance(value, int) or not cell.startswith(FORMULA)


def test_rows_are_plain() -> None:
    """Instants as text, what was made for searching left out, what is not there null; bytes are refused."""
    document = {"_id": "msg_1", "at": NOW, "content": {"text": "a", "words": ["a"], "parts": [{"at": NOW}]}}
    row = row_of(document, ("id", "at", "content", "content.text", "gone.deep"))
    at = "2026-11-29T00:00:00Z"
    content = {"text": "a", "parts": [{"at": at}]}
    assert row == {"id": "msg_1", "at": at, "content": content, "content.text": "a", "gone.deep": None}
    assert json_line(row).endswith(b"\n")
    with pytest.raises(TypeError):
        row_of({"raw": b"x"}, ("raw",))
