"""MongoDB: the client, the door that only mapped collections pass, transactions, and the index check.

The only module that knows the driver's client (motor; its end of life is May 2027: exchange it here).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import pymongo
from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession, AsyncIOMotorCollection
from pymongo import WriteConcern
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener
from pymongo.read_concern import ReadConcern

from app.models.base import Doc as Doc
from app.models.data_map import DATA_MAP, Collection

Session = AsyncIOMotorClientSession
T = TypeVar("T")

ALL_LABELS = "all-labels: "
"""A query that spans labels says why in its `comment`, and begins so; the tests refuse any other."""
DEFAULT_DATABASE = "soundops"
SERVER_SELECTION_MS = 2_000
SOCKET_MS = 20_000
QUERY_MS = 10_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.5
"""How long a transaction waits at most after its first conflict, and after many (motor itself does not wait)."""
DURABLE = WriteConcern("majority", j=True, wtimeout=10_000)


class Unmapped(Exception):
    """A collection that the data map does not know."""


class TryTransactionAgain(OperationFailure):
    """Raised in a transaction: what it saw has changed since, so that all of it must be done again."""

    def __init__(self) -> None:
        super().__init__("the transaction met another", 112, {"errorLabels": ["TransientTransactionError"]})


class Database:
    """One database, of which only mapped collections can be opened."""

    def __init__(self, url: str, *, listeners: tuple[CommandListener, ...] = ()) -> None:
        self.client: AsyncIOMotorClient[Doc] = AsyncIOMotorClient(
            url,
            tz_aware=True,
            serverSelectionTimeoutMS=SERVER_SELECTION_MS,
            connectTimeoutMS=SERVER_SELECTION_MS,
            socketTimeoutMS=SOCKET_MS,
            maxPoolSize=50,
            waitQueueTimeoutMS=SERVER_SELECTION_MS,
            appname="soundops",
            event_listeners=list(listeners),
        )
        options: CodecOptions[Doc] = CodecOptions(tz_aware=True)
        self.raw = self.client.get_default_database(DEFAULT_DATABASE).with_options(
            codec_options=options, write_concern=DURABLE, read_concern=ReadConcern("majority")
        )
        self.placed: Callable[[str], None] = lambda label_id: None
        """Told of each label that has new events in its stream: the process's doorbell, once it has one."""
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._after: dict[int, list[Callable[[], Awaitable[None]]]] = {}

    def open(self, name: str) -> AsyncIOMotorCollection[Doc]:
        """The collection of this name. Raises `Unmapped` for one that the data map does not declare."""
        if name not in DATA_MAP:
            raise Unmapped(name)
        return self.raw[name]

    async def in_transaction(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """Do `work` in one transaction: all or nothing. After a conflict it is called again, a little later each time.

        The pause comes before the transaction's first command, so that it sees what the others have done meanwhile.
        """
        longest_s = 0.0

        async def once(session: Session) -> T:
            nonlocal longest_s
            await asyncio.sleep(random.uniform(0, longest_s))  # noqa: S311
            longest_s = min(max(FIRST_PAUSE_S, 1.5 * longest_s), LONGEST_PAUSE_S)
            self._after[id(session)] = []
            return await work(session)

        async with await self.client.start_session() as session:
            try:
                result: T = await session.with_transaction(once, write_concern=DURABLE)
            finally:
                following = self._after.pop(id(session), [])
        for one in following:
            await one()
        return result

    def after_commit(self, session: Session, work: Callable[[], Awaitable[None]]) -> None:
        """Do this once the transaction is committed. It must not raise; if the process dies between, it is not done."""
        self._after[id(session)].append(work)

    def turn(self, name: str) -> asyncio.Lock:
        """A lock of this name: in this process one does it at a time, and whoever waits finds it done."""
        return self._turns.setdefault(name, asyncio.Lock())

    async def ping(self) -> None:
        """Raise `PyMongoError` unless the primary answers."""
        await self.raw.command("ping", maxTimeMS=1_000)

    def close(self) -> None:
        """Close every connection."""
        self.client.close()


async def create_indexes(db: Database) -> None:
    """Make the declared indexes that are missing. What stands in the way is left for `wrong_indexes` to tell."""
    for collection in DATA_MAP.values():
        for index in collection.indexes:
            options = {k: v for k, v in index.definition().items() if k != "key"}
            model = pymongo.IndexModel(list(index.keys), name=index.name, **options)
            try:
                await db.open(collection.name).create_indexes([model])
            except OperationFailure as exc:
                if exc.code not in (85, 86):  # IndexOptionsConflict, IndexKeySpecsConflict
                    raise


async def wrong_indexes(db: Database) -> list[str]:
    """Say which declared indexes are missing or differ, and which delete undeclared; empty when all is well."""
    troubles = []
    for collection in DATA_MAP.values():
        existing = {
            tuple(index["key"].items()): {k: v for k, v in index.items() if k not in ("v", "name", "ns", "background")}
            async for index in db.open(collection.name).list_indexes()
        }
        troubles += _differences(collection, existing)
    return troubles


def _differences(collection: Collection, existing: Mapping[tuple[Any, ...], Doc]) -> list[str]:
    troubles = []
    for index in collection.indexes:
        found = existing.get(index.keys)
        if found is None:
            troubles.append(f"{collection.name}.{index.name} is missing")
        elif found | {"key": dict(found["key"])} != index.definition():
            troubles.append(f"{collection.name}.{index.name} differs from the data map")
    declared = {index.keys for index in collection.indexes}
    for keys, found in existing.items():
        if "expireAfterSeconds" in found and keys not in declared:
            fields = ", ".join(field for field, _ in keys)
            troubles.append(f"{collection.name} has a TTL index on {fields}, which the data map does not declare")
    return troubles
