"""Everything that is stored, read anew only where something was written since the last look."""

import asyncio
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from app.db import ALL_LABELS, Database
from app.models.data_map import DATA_MAP

Dump = dict[tuple[str, Any], bytes]
"""All documents, by collection and id."""
SPANS = f"{ALL_LABELS}a test looks at all there is"
AS_STORED: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
WRITES = ("insert", "update", "delete", "findAndModify")


class Written(CommandListener):
    """Which collections were written. A write of a transaction counts when it is done, and when that is committed."""

    def __init__(self) -> None:
        self.names: set[str] = set(DATA_MAP)
        self._under_way: dict[int, tuple[str, bytes]] = {}
        self._uncommitted: dict[bytes, set[str]] = {}

    def started(self, event: CommandStartedEvent) -> None:
        """Remember what it is about: the answer does not tell."""
        if event.command_name in (*WRITES, "commitTransaction"):
            session = bson.encode(event.command.get("lsid", {}))
            self._under_way[event.request_id] = (str(event.command[event.command_name]), session)
            if event.command.get("autocommit") is False and event.command_name in WRITES:
                self._uncommitted.setdefault(session, set()).add(str(event.command[event.command_name]))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Note it."""
        self._ended(event)

    def failed(self, event: CommandFailedEvent) -> None:
        """It may have written some of it."""
        self._ended(event)

    def _ended(self, event: CommandSucceededEvent | CommandFailedEvent) -> None:
        name, session = self._under_way.pop(event.request_id, ("", b""))
        if event.command_name in WRITES:
            self.names.add(name)
        elif event.command_name == "commitTransaction":
            self.names |= self._uncommitted.pop(session, set())


async def dump_of(db: Database, known: Dump, written: Written) -> Dump:
    """Everything, where `known` is what was there when `written` was looked at last."""
    names, written.names = written.names, set()
    if not names:
        return known
    found: Dump = {key: document for key, document in known.items() if key[0] not in names}
    stored: Any = db.raw.with_options(codec_options=AS_STORED)

    async def look(name: str) -> None:
        for document in await stored[name].find({}, comment=SPANS).to_list():
            found[name, document["_id"]] = document.raw

    await asyncio.gather(*(look(name) for name in names if name in DATA_MAP))
    return found
