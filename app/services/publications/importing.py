"""Drafts from CSV: each row is taken or refused for itself, and what a cell holds is text and nothing else."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from app.db import Doc, Session
from app.errors import FieldError, InvalidInput
from app.models.publications import PublicationCreate
from app.services.events import Event, append
from app.services.publications import checking
from app.services.publications.checking import MOST_TOLD, NETWORKS
from app.services.publications.drafts import assemble, kept_version, new_draft, stored_body
from app.services.publications.limits import Broken
from app.services.publications.writing import Hand

MOST_ROWS = 500
LISTS = ("targets", "assets", "collaborators")
NEEDED = ("kind", "targets")
OPTIONAL = (
    *("caption", "assets", "alt_text", "first_comment", "scheduled_at", "local_time", "timezone", "mode"),
    *("collaborators", "link", "location_id", "share_to_feed", "audio_name"),
)
FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

TEXTS = ("caption", "alt_text", "first_comment")
"""Columns whose spaces are meant."""

FORM = "does not have the right form"
WORDS = {
    "literal_error": "must be one of the words that the contract lists",
    "string_too_long": "is too long",
    "too_long": "has too many",
    "too_short": "is missing",
    "datetime_from_date_parsing": "must be an instant like 2027-02-26T17:30:00Z",
    "timezone_aware": "must be an instant like 2027-02-26T17:30:00Z",
}


@dataclass
class Row:
    """What became of one row."""

    number: int
    draft: Doc | None = None
    errors: list[tuple[str, str]] = field(default_factory=list)
    """Columns, and what is wrong there; never what was in them."""
    problems: list[Broken] = field(default_factory=list)


async def import_csv(hand: Hand, text: str, *, timezone: str | None, dry_run: bool) -> list[Row]:
    """Store a draft for each row that is one. The drafts are there together, or none is.

    Raises `InvalidInput` for what is no table of ours: then nothing is stored at all.
    """
    accounts = await _accounts(hand)
    rows = [await _row(hand, n, cells, accounts, timezone) for n, cells in enumerate(read(text), start=1)]
    drafts = [row.draft for row in rows if row.draft is not None]
    if drafts and not dry_run:
        await hand.db.in_transaction(lambda session: _store(hand, drafts, session))
    return rows


def read(text: str) -> list[dict[str, str] | None]:
    """The cells of each row by their columns; none of a row that has more or fewer cells than there are columns.

    Raises `InvalidInput`.
    """
    lines = text.removeprefix("\ufeff")
    head = lines.partition("\n")[0]
    separator = ";" if head.count(";") > head.count(",") else ","
    try:
        found = list(csv.reader(io.StringIO(lines, newline=""), delimiter=separator, strict=True))
    except csv.Error:
        raise _refused("is not a table: a quote is not closed, or a cell is too long") from None
    found = [row for row in found if any(cell.strip() for cell in row)]
    names = [name.strip().lower() for name in found[0]] if found else []
    if wrong := [*_wrong_columns(names)]:
        there_are = f"{', '.join(NEEDED)} are needed, and there may be {', '.join(OPTIONAL)}"
        raise _refused(f"has other columns than it can: {'; '.join(wrong)}. {there_are}")
    if len(found) - 1 > MOST_ROWS:
        raise _refused(f"must have at most {MOST_ROWS} rows")
    return [dict(zip(names, row, strict=True)) if len(row) == len(names) else None for row in found[1:]]


def _wrong_columns(names: list[str]) -> Iterator[str]:
    """What is wrong with the row of names: by its place, for a name that is not ours is the caller's own word."""
    for place, name in enumerate(names[:MOST_TOLD], start=1):
        if name not in (*NEEDED, *OPTIONAL):
            yield f"column {place} is none of ours"
        elif name in names[: place - 1]:
            yield f"column {place} is {name} again"
    yield from (f"{name} is missing" for name in NEEDED if name not in names)


async def _row(
    hand: Hand, number: int, cells: dict[str, str] | None, accounts: Mapping[str, str], timezone: str | None
) -> Row:
    if cells is None:
        return Row(number, errors=[("", "must have as many cells as there are columns")])
    given: dict[str, Any] = {name: cell for name, cell in cells.items() if cell.strip()}
    given |= {name: given[name].split() for name in LISTS if name in given}
    given |= {"targets": [accounts.get(one.removeprefix("@").lower(), one) for one in given.get("targets", ())]}
    if "share_to_feed" in given:
        given["share_to_feed"] = FLAGS.get(given["share_to_feed"].strip().lower(), given["share_to_feed"])
    given |= {name: given[name].strip() for name in given if isinstance(given[name], str) and name not in TEXTS}
    if timezone and "timezone" not in given:
        given["timezone"] = timezone
    try:
        body = PublicationCreate.model_validate(given)
        assembled = await assemble(hand.db, hand.label_id, stored_body(body))
    except ValidationError as wrong:
        return Row(number, errors=[_error(error) for error in wrong.errors()])
    except InvalidInput as wrong_too:
        return Row(number, errors=[(_column(one.pointer), one.detail) for one in wrong_too.errors])
    checked = await checking.check(hand.db, hand.label_id, assembled, now=hand.now)
    problems = list(dict.fromkeys(one for target in checked.targets for one in target.problems))
    return Row(number, draft=new_draft(hand, assembled), problems=problems)


async def _accounts(hand: Hand) -> dict[str, str]:
    """The label's connected accounts, by username; one that two of them share names none."""
    query = {"label_id": hand.label_id, "network": {"$in": list(NETWORKS)}, "active_account_id": {"$gt": ""}}
    found: dict[str, set[str]] = {}
    async for one in hand.db.open("connections").find(query, {"account": 1}):
        name = (one.get("account") or {}).get("username")
        if name:
            found.setdefault(name.lower(), set()).add(one["_id"])
    return {name: next(iter(ids)) for name, ids in found.items() if len(ids) == 1}


async def _store(hand: Hand, drafts: list[Doc], session: Session) -> None:
    """Write the drafts with their first versions; one row of the audit log tells of all of them."""
    await hand.db.open("publications").insert_many(drafts, session=session)
    versions = [kept_version(hand, draft) for draft in drafts]
    await hand.db.open("publication_versions").insert_many(versions, session=session)
    details = {"count": str(len(drafts)), "last": drafts[-1]["_id"]}
    told: dict[str, Any] = {"label_id": hand.label_id, "target": drafts[0]["_id"], "now": hand.now}
    await hand.audit.record(hand.by, "publication.imported", details=details, session=session, **told)
    made = [(draft["_id"], f"publication:{draft['_id']}:v1") for draft in drafts]
    events = [Event(hand.label_id, key, "publication.changed", one, hand.now) for one, key in made]
    await append(hand.db, events, session=session)


def _error(error: Any) -> tuple[str, str]:
    """A column and what is wrong there, in our own words."""
    ours = (error.get("ctx") or {}).get("error")
    kind = error["type"]
    detail = str(ours) if isinstance(ours, ValueError) else "is missing" if kind == "missing" else WORDS.get(kind, FORM)
    return (str(error["loc"][0]) if error["loc"] else "", detail)


def _column(pointer: str) -> str:
    return pointer.split("/")[1] if pointer.startswith("/") else ""


def _refused(detail: str) -> InvalidInput:
    return InvalidInput(errors=(FieldError("/csv", detail),))
