"""What is kept how long, and the record of processing activities: the data map made visible."""

import csv
import io
from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from app.models.collection import EXPIRES, Collection
from app.models.data_map import DATA_MAP
from app.models.processing import ACTIVITIES, HOSTS, Activity
from app.models.promises import ProcessingOut, ProcessingRow, RecipientOut, RetentionOut, RetentionRow
from app.models.stores import FILE_PREFIXES, LOG_FIELDS, LOG_RETENTION, RECIPIENTS, REDIS_KEYS, Recipient
from app.services.numbers.sheet import harmless
from app.services.promises.listing import PROMISES

CONTROLLER = "SoundOps"
CONTACT = "privacy@soundops.io"
TTL = "the database by itself (TTL), and our workers as the second line"
RUNNER = "an interest in a service that is safe and loses nothing (6.1.f)"
ON_ERASURE = {
    "delete": "deleted",
    "unlink": "stays without the person's id",
    "keep": "stays",
}
OF_LABEL = {"delete": "deleted with its label", "anonymise": "stays without names", "keep": "stays: nothing personal"}


def retention() -> RetentionOut:
    """How long everything is kept."""
    rows = [_of_collection(one) for one in DATA_MAP.values()]
    rows += [
        RetentionRow(
            store="redis",
            name=one.pattern,
            purpose=one.purpose,
            subject="team" if one.personal != "none" else "nobody",
            personal=one.personal,
            retention=one.retention,
            deleted_by="Redis by itself, or who takes the job",
            ground=RUNNER,
            on_erasure="ends by itself",
        )
        for one in REDIS_KEYS
    ]
    rows += [
        RetentionRow(
            store="files",
            name=one.prefix,
            purpose=one.purpose,
            subject="team",
            personal=one.personal,
            retention=one.retention,
            deleted_by="our workers",
            ground="contract (6.1.b)",
            on_erasure=one.erasure,
        )
        for one in FILE_PREFIXES
    ]
    rows += [
        RetentionRow(
            store="logs",
            name=one.name,
            purpose=one.purpose,
            subject="team" if one.personal != "none" else "nobody",
            personal=one.personal,
            retention=LOG_RETENTION,
            deleted_by="who runs the service",
            ground=RUNNER,
            on_erasure="ends by itself",
        )
        for one in LOG_FIELDS
    ]
    return RetentionOut(data=rows)


def _of_collection(one: Collection) -> RetentionRow:
    return RetentionRow(
        store="database",
        name=one.name,
        purpose=one.purpose,
        subject=one.subject,
        personal=one.personal,
        retention=one.retention,
        deleted_by=TTL if EXPIRES in one.indexes else "us, together with what it belongs to",
        ground=one.ground,
        on_erasure=_on_erasure(one),
    )


def _on_erasure(one: Collection) -> str:
    """What a person's erasure does to it, and what a label's end does."""
    parts = [f"{ON_ERASURE[part.erase]}{f' ({part.why})' if part.why else ''}" for part in one.parts]
    label = [OF_LABEL[one.erasure]] if one.tenant or not parts else []
    return "; ".join(dict.fromkeys([*parts, *label]))


def record() -> ProcessingOut:
    """The record of processing activities."""
    return ProcessingOut(
        controller={"name": CONTROLLER, "contact": CONTACT},
        activities=[_activity(one) for one in ACTIVITIES],
        recipients=[RecipientOut(**_shown(one)) for one in RECIPIENTS],
        security=[promise.plain for promise in PROMISES if promise.section in ("5", "7")],
    )


def _shown(recipient: object) -> dict[str, str]:
    return {name: getattr(recipient, name) for name in RecipientOut.model_fields}


def _activity(one: Activity) -> ProcessingRow:
    kept, recipients = one.collections, (*one.recipients, *HOSTS)
    return ProcessingRow(
        activity=one.name,
        controller=f"the label, for which {CONTROLLER} processes it" if one.of_labels else CONTROLLER,
        purposes=_each(collection.purpose for collection in kept),
        subjects=_each(collection.subject for collection in kept if collection.subject != "nobody"),
        categories=_each(collection.personal for collection in kept if collection.personal != "none"),
        ground=_each(collection.ground for collection in kept),
        retention=[f"{collection.name}: {collection.retention}" for collection in kept],
        recipients=list(recipients),
        transfers=[_transfer(who) for who in RECIPIENTS if who.id in recipients],
        stores=[collection.name for collection in kept],
        measures=one.measures,
    )


def _transfer(who: Recipient) -> str:
    return f"{who.name}: {who.country}; {who.safeguard}".replace(";", ",")


def _each(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def sheet(rows: Sequence[BaseModel]) -> str:
    """The rows as CSV (RFC 4180): lists with semicolons between; no cell is one that a spreadsheet computes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    columns = list(type(rows[0]).model_fields)
    writer.writerow(columns)
    for row in rows:
        told = row.model_dump(mode="json")
        cells = [told[name] for name in columns]
        writer.writerow([harmless("; ".join(cell) if isinstance(cell, list) else str(cell)) for cell in cells])
    return text.getvalue()
