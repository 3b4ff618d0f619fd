"""Events have places in their label's stream: in the order of their commits, without gaps, whoever appends them."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from app.clock import utc_now
from app.db import Database, Doc, Session, create_indexes
from app.services import events
from app.services.events import Event
from tests.house import House
from workers import jobs

LABEL = "lbl_1"


@pytest.fixture
async def dbs(mongodb_url: str) -> AsyncIterator[list[Database]]:
    """The same database, as three processes see it."""
    found = [Database(mongodb_url) for _ in range(3)]
    await create_indexes(found[0])
    yield found
    for db in found:
        db.close()


def event(key: str, label_id: str = LABEL) -> Event:
    """Something that happened just now."""
    return Event(label_id, key, "connection.changed", f"con_{key}", utc_now())


async def keys_after(db: Database, seq: int, label_id: str = LABEL) -> list[tuple[int, str]]:
    """What the stream holds behind this place."""
    return [(found["seq"], found["key"]) for found in await events.after(db, label_id, seq)]


async def in_transaction(db: Database, *appended: Sequence[Event], fail: bool = False) -> None:
    """Append in one transaction of a caller's."""

    async def work(session: Session) -> None:
        for some in appended:
            await events.append(db, some, session=session)
        if fail:
            raise RuntimeError("broken off")

    await db.in_transaction(work)


async def test_who_reads_while_many_append_misses_nothing(dbs: list[Database]) -> None:
    """Three processes append, alone and in transactions; a reader sees 1, 2, 3, … and nothing ever before its turn."""
    told: list[str] = []
    for db in dbs:
        db.placed = told.append
    seen: list[tuple[int, str]] = []

    async def write(number: int, db: Database) -> None:
        for turn in range(8):
            await events.append(db, [event(f"{number}-{turn}-{one}") for one in range(3)])
            await in_transaction(db, [event(f"{number}-{turn}-t")])

    async def read() -> None:
        while len(seen) < 3 * 8 * 4:
            seen.extend(await keys_after(dbs[0], len(seen)))
            assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))

    async with asyncio.timeout(30):
        await asyncio.gather(read(), *(write(number, db) for number, db in enumerate(dbs)))
    assert len({key for _, key in seen}) == len(seen) == await events.head_of(dbs[0], LABEL)
    assert set(told) == {LABEL} and len(told) >= 3 * 8
    for number in range(3):  # what one process appended one after the other stays so
        alone = [key for _, key in seen if key.startswith(f"{number}-")]
        assert [key.split("-")[1] for key in alone] == sorted(key.split("-")[1] for key in alone)


async def test_an_event_appended_again_is_the_same(dbs: list[Database]) -> None:
    """By the same key, alone or among others, and by several at once."""
    await events.append(dbs[0], [event("a"), event("b")])
    await events.append(dbs[1], [event("b"), event("c"), event("a"), event("c")])
    await asyncio.gather(*(events.append(db, [event("d")]) for db in dbs))
    assert await keys_after(dbs[0], 0) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


async def test_a_transaction_that_is_broken_off_takes_no_place(dbs: list[Database]) -> None:
    """Nor does it leave a gap, and the next one's events have theirs when it is done."""
    with pytest.raises(RuntimeError):
        await in_transaction(dbs[0], [event("a")], fail=True)
    await in_transaction(dbs[0], [event("b")], [event("c")])
    assert await keys_after(dbs[1], 0) == [(1, "b"), (2, "c")]


async def test_labels_have_streams_of_their_own(dbs: list[Database]) -> None:
    """Each begins at 1."""
    await events.append(dbs[0], [event("a"), event("b", "lbl_2"), event("c")])
    assert await keys_after(dbs[0], 0) == [(1, "a"), (2, "c")]
    assert await keys_after(dbs[0], 0, "lbl_2") == [(1, "b")]


async def test_what_expired_leaves_the_rest_where_it_is(dbs: list[Database]) -> None:
    """A new event's place is behind what is gone, too; more than one read's worth of what has gone is passed over."""
    await events.append(dbs[0], [event(str(number)) for number in range(5)])
    await dbs[0].open("events").delete_many({"label_id": LABEL})
    await events.append(dbs[0], [event("new")])
    assert await keys_after(dbs[0], 0) == [(6, "new")]
    assert [found["key"] for found in await events.after(dbs[0], LABEL, 0, limit=3)] == ["new"]
    assert [await events.follows(dbs[0], LABEL, seq) for seq in (0, 4, 5, 6, 7)] == [False, False, True, True, False]


async def test_two_place_at_once(dbs: list[Database]) -> None:
    """What a dead process left gets each place once."""
    await _left_behind(dbs[0], 30)
    placed = await asyncio.gather(*(events.place(db, LABEL) for db in dbs))
    assert sum(placed) == 30
    assert [seq for seq, _ in await keys_after(dbs[0], 0)] == list(range(1, 31))


async def test_the_sweep_places_what_a_dead_process_left(house: House) -> None:
    """It died between its commit and the numbering. Events of an older release, which know no places, stay out."""
    await _left_behind(house.db, 2)
    await house.db.open("events").insert_one(_row("of an older release"))
    await asyncio.gather(*await jobs.start_due(house.worker))
    assert [seq for seq, _ in await keys_after(house.db, 0)] == [1, 2]
    assert await house.db.open("events").count_documents({"label_id": LABEL, "unplaced": True}) == 0


def _row(key: str) -> Doc:
    return {"_id": f"evt_{key}", "label_id": LABEL, "key": key, "type": "connection.changed", "at": utc_now()}


async def _left_behind(db: Database, count: int) -> None:
    await db.open("events").insert_many([_row(f"left-{number}") | {"unplaced": True} for number in range(count)])
