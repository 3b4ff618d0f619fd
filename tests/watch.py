"""What a test's commands to the store must not do, whatever the test is about."""

from collections.abc import Iterator, Mapping
from typing import Any

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from app.db import ALL_LABELS, Doc
from app.models.data_map import DATA_MAP

NEVER_CHANGED = {"consents"}
"""Ledgers: rows are added, and go with their subject or their time."""
PLANTED = f"{ALL_LABELS}a test plants"
"""So begins the comment of a command that does on purpose what must not be."""
ASKS = ("find", "update", "delete", "aggregate", "count", "distinct", "findAndModify")


class StoreWatch(CommandListener):
    """Collects every query on a label's collection that neither names `label_id` nor says why it spans labels.

    And every command that would change a row of a ledger that only grows, or write a field that the data map does not
    have, of a collection whose fields it names.
    """

    def __init__(self) -> None:
        self.broken: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        """Look at one command."""
        name, command = event.command_name, event.command
        collection = str(command.get(name, ""))
        comment = str(command.get("comment", ""))
        if collection in NEVER_CHANGED and name in ("update", "findAndModify"):
            self.broken.append(f"{name} {collection}, whose rows are never changed")
        if collection not in DATA_MAP or comment.startswith(PLANTED):
            return
        if known := DATA_MAP[collection].fields:
            more = sorted({field.split(".")[0] for field in _written(command)} - set(known))
            self.broken += [f"{name} {collection}: the data map has no {field}" for field in more]
        if name not in ASKS or not DATA_MAP[collection].tenant or comment.startswith(ALL_LABELS):
            return
        statements = command.get("updates") or command.get("deletes")
        filters = [part["q"] for part in statements] if statements else [_filter_of(command)]
        self.broken += [f"{name} {collection} {sorted(f)}" for f in filters if "label_id" not in f]

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to do."""


def _written(command: Mapping[str, Any]) -> Iterator[str]:
    """The fields that a command writes, as it names them."""
    for document in command.get("documents", ()):
        yield from document
    changes = [part["u"] for part in command.get("updates", ())]
    changes += [command["update"]] if isinstance(command.get("update"), Mapping | list) else []
    for change in changes:
        for part in change if isinstance(change, list) else [change]:
            yield from _changed(part)


def _changed(part: Doc) -> Iterator[str]:
    """The fields of one stage of a change, or of a document that takes another's place."""
    for name, value in part.items():
        if not name.startswith("$"):
            yield name
        elif name != "$unset":
            yield from value


def _filter_of(command: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("filter", "query", "q"):
        if name in command:
            found: Mapping[str, Any] = command[name]
            return found
    pipeline = command.get("pipeline") or [{}]
    first: Mapping[str, Any] = pipeline[0].get("$match", {})
    return first
