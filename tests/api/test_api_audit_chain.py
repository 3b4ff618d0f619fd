"""The chain of the audit log: complete under concurrency, and whatever is done to it is found."""

import asyncio
import sys
from datetime import timedelta
from typing import Any

import pytest

from app.db import Database, Session, create_indexes
from app.ids import new_id
from app.services import retention
from app.services.audit import FIRST, TOLD, Audit
from app.services.audit_reading import Finding
from tests.api.audit_chain import LABEL, MARA, PLACE, add, change, check, row, take_out
from tests.house import House
from tools.child import ROOT

DAY = timedelta(days=1)
ANOTHER_PROCESS = """
import asyncio, sys
from app.clock import utc_now
from app.db import Database
from app.services.audit import SYSTEM, Audit

async def main():
    db = Database(sys.argv[1])
    add = lambda: Audit(db, b"k" * 32).record(SYSTEM, "thing.done", label_id=sys.argv[2], target="t", now=utc_now())
    await asyncio.gather(*(add() for _ in range(25)))

asyncio.run(main())
"""


async def test_fifty_at_once_make_one_chain(house: House) -> None:
    """Half of them in the transaction of something else, which happens exactly as often; nothing is begun twice."""

    async def with_a_label(number: int) -> None:
        async def both(session: Session) -> None:
            await house.db.open("labels").insert_one({"_id": f"lbl_{number}", "slug": f"s{number}"}, session=session)
            await add(house, 1, session=session)

        await house.db.in_transaction(both)

    await asyncio.gather(*(with_a_label(n) if n % 2 else add(house, 1) for n in range(50)))
    seqs = [found["seq"] async for found in house.db.open("audit_log").find({"label_id": LABEL}).sort("seq", 1)]
    assert seqs == list(range(1, 51)) and await check(house) == Finding(50)
    assert await house.db.open("labels").count_documents({}) == 25
    assert await house.db.open("audit_heads").count_documents({"label_id": LABEL}) == 1


async def test_two_processes_make_one_chain(mongodb_url: str) -> None:
    """Each with a client of its own, from the chain's first row on."""
    db = Database(mongodb_url)
    await create_indexes(db)
    command = (sys.executable, "-c", ANOTHER_PROCESS, mongodb_url, LABEL)
    both = [await asyncio.create_subprocess_exec(*command, cwd=ROOT) for _ in range(2)]
    assert [await process.wait() for process in both] == [0, 0]
    seqs = [found["seq"] async for found in db.open("audit_log").find({"label_id": LABEL}).sort("seq", 1)]
    assert seqs == list(range(1, 51))
    db.close()


async def test_who_finds_a_chain_begun_begins_again(house: House) -> None:
    """The whole transaction, as after any conflict; what it wrote before is not there twice."""
    await add(house, 1)
    tries = 0

    async def late(session: Session) -> None:
        nonlocal tries
        tries += 1
        await house.db.open("labels").insert_one({"_id": "lbl_1", "slug": "a"}, session=session)
        if tries < 3:  # as if its first look had been before the other's commit
            await house.api.audit._move_head(PLACE, None, FIRST, session)
        await add(house, 1, session=session)

    await house.db.in_transaction(late)
    assert (tries, await house.db.open("labels").count_documents({})) == (3, 1)
    assert await check(house) == Finding(2)


async def test_a_thousand_rows_verify(house: House) -> None:
    """In batches; and while more are being added."""

    async def fifty(session: Session) -> None:
        await add(house, 50, session=session)

    for _ in range(20):
        await house.db.in_transaction(fifty)
    adding = asyncio.gather(*(add(house, 1) for _ in range(5)))
    found = await check(house)
    await adding
    assert found.problem is None and 1000 <= found.checked <= 1005
    assert await check(house) == Finding(1005)


OTHER: dict[str, Any] = {
    "actor": {"kind": "person", "id": "usr_somebody_else"},
    "action": "thing.undone",
    "target": "thg_2",
    "details": {"role": "owner"},
    "network": "198.51.100.0/24",
    "request_id": None,
    "before": {"seq": 3, "mac": b"\0" * 32, "expires_at": None},
    "mac": b"\0" * 32,
    "more": "a field that no row has",
}
NEIGHBOURLESS: dict[str, Any] = {"label_id": "lbl_other", "chain": "usr_other", "seq": 100}


@pytest.mark.parametrize("name", [*TOLD, "mac", "more"])
async def test_each_changed_field_is_found(house: House, name: str) -> None:
    """At its row; what makes it leave the chain, as a row that is missing."""
    await add(house)
    stored = await row(house, 4)
    if name == "_id":
        await take_out(house, 4)
        await house.db.open("audit_log").insert_one(stored | {"_id": new_id("aud")})
    elif name in ("at", "expires_at"):
        await change(house, 4, {name: stored[name] + timedelta(milliseconds=1)})
    else:
        await change(house, 4, {name: (OTHER | NEIGHBOURLESS)[name]})
    assert await check(house) == Finding(3, 4, "missing" if name in NEIGHBOURLESS else "changed")


@pytest.mark.parametrize("name", [*TOLD, "mac"])
async def test_each_field_that_is_gone_is_found(house: House, name: str) -> None:
    """As one that was changed."""
    await add(house)
    stored = await row(house, 4)
    await take_out(house, 4)
    await house.db.open("audit_log").insert_one({field: value for field, value in stored.items() if field != name})
    found = await check(house)
    lost = {"label_id": "missing", "chain": "missing", "expires_at": "missing", "seq": "inserted"}
    where = (0, 1) if name == "seq" else (3, 4)  # without a place it comes before all others
    assert found == Finding(*where, lost.get(name, "changed"))  # type: ignore[arg-type]


@pytest.mark.parametrize("seq", [1, 4, 7])
async def test_a_row_that_is_missing_is_found(house: House, seq: int) -> None:
    """The first, too: the next one knows that its year is not over."""
    await add(house)
    await take_out(house, seq)
    assert await check(house) == Finding(seq - 1, seq, "missing")


async def test_a_row_that_ends_early_is_found(house: House) -> None:
    """Whoever has the TTL delete it, leaves the same gap."""
    await add(house)
    await change(house, 4, {"expires_at": house.clock() - DAY})
    assert await check(house) == Finding(3, 4, "missing")


@pytest.mark.parametrize("seqs", [(8,), (6, 7, 8), tuple(range(1, 9))])
async def test_a_cut_tail_is_found(house: House, seqs: tuple[int, ...]) -> None:
    """The head says where the chain ended; of a chain that is gone, it says that it was there."""
    await add(house)
    await take_out(house, *seqs)
    assert await check(house) == Finding(8 - len(seqs), 8 if len(seqs) == 8 else seqs[0], "cut_off")


async def test_swapped_rows_are_found(house: House) -> None:
    """Both are genuine, and stand where they were not written."""
    await add(house)
    await change(house, 3, {"seq": 100})
    await change(house, 4, {"seq": 3})
    await change(house, 100, {"seq": 4})
    assert await check(house) == Finding(2, 3, "moved")


async def test_closing_a_gap_is_found(house: House) -> None:
    """A row is taken out and the later ones move up."""
    await add(house)
    await take_out(house, 5)
    for seq in (6, 7, 8):
        await change(house, seq, {"seq": seq - 1})
    assert await check(house) == Finding(4, 5, "moved")


@pytest.mark.parametrize(("seq", "broken"), [(9, 9), (0, 1), (2.5, 3), ("x", 9)])
async def test_an_inserted_row_is_found(house: House, seq: Any, broken: int) -> None:
    """Wherever it is put: one of somebody's own, or a copy of a genuine one."""
    await add(house)
    stored = await row(house, 2)
    log = house.db.open("audit_log")
    for changes in ({"target": "thg_2", "_id": new_id("aud")}, {"_id": new_id("aud")}):
        await log.insert_one(stored | {"seq": seq} | changes)
        assert await check(house) == Finding(broken - 1, broken, "inserted")
        await log.delete_one(PLACE | {"_id": changes["_id"]})


async def test_a_changed_head_is_found(house: House) -> None:
    """To whatever place of the chain; without the key nobody can seal it."""
    await add(house)
    heads = house.db.open("audit_heads")
    head = await heads.find_one(PLACE)
    assert head is not None
    stored = await row(house, 6)
    earlier = {name: stored[name] for name in ("seq", "mac", "expires_at")}
    for changes in ({"last": earlier}, {"last": head["last"] | {"seq": 9}}, {"seal": b"\0" * 32}, {"last": None}):
        await heads.update_one(PLACE, {"$set": changes})
        assert await check(house) == Finding(8, 8, "head_changed"), changes
        await heads.update_one(PLACE, {"$set": head})
    assert await check(house) == Finding(8)
    await heads.delete_one(PLACE)
    assert await check(house) == Finding(8, 8, "head_changed")


@pytest.mark.parametrize("head", ["earlier", "gone"])
async def test_a_broken_head_stays_visible(house: House, head: str) -> None:
    """The tail is cut and the head made to fit: work goes on, and the next row shows the break, however many follow."""
    await add(house)
    stored = await row(house, 6)
    earlier = {name: stored[name] for name in ("seq", "mac", "expires_at")}
    await take_out(house, 7, 8)
    heads = house.db.open("audit_heads")
    if head == "earlier":
        await heads.update_one(PLACE, {"$set": {"last": earlier}})
    else:
        await heads.delete_one(PLACE)
    await add(house, 3)
    assert await check(house) == Finding(6, 7, "head_changed")


async def test_a_row_of_another_past_is_found(house: House) -> None:
    """A chain was put back to an earlier state and went on otherwise: a genuine row from before does not fit in it."""
    await add(house, 5)
    heads, log = house.db.open("audit_heads"), house.db.open("audit_log")
    head = await heads.find_one(PLACE)
    assert head is not None
    await add(house, 3)
    of_before = await row(house, 7)
    await take_out(house, 6, 7, 8)
    await heads.update_one(PLACE, {"$set": head})
    await add(house, 3)
    assert await check(house) == Finding(8)
    await take_out(house, 7)
    await log.insert_one(of_before)
    assert await check(house) == Finding(6, 7, "moved")


async def test_another_key_fits_nothing(house: House) -> None:
    """Who can write to the database and not read our settings can make no row of ours."""
    await add(house)
    forger = Audit(house.db, b"x" * 32)
    await forger.record(MARA, "thing.done", label_id=LABEL, target="thg_1", now=house.clock())
    assert (await check(house)).first_broken_seq == 9


async def test_chains_do_not_mix(house: House) -> None:
    """A label's rows put into another's chain are not that one's."""
    await add(house)
    await add(house, label_id="lbl_other")
    await house.db.open("audit_log").delete_one({"label_id": "lbl_other", "seq": 3})
    moved = (await row(house, 3)) | {"_id": new_id("aud"), "label_id": "lbl_other", "chain": "lbl_other"}
    await house.db.open("audit_log").insert_one(moved)
    assert await check(house) == Finding(8)
    assert await check(house, "lbl_other") == Finding(2, 3, "changed")


async def test_a_year_later_the_oldest_rows_are_gone(house: House) -> None:
    """The chain then begins with the first one left; one that went before its time is still found."""
    await add(house, 5)
    house.clock.offset = 200 * DAY
    await add(house, 5)
    house.clock.offset = 366 * DAY
    assert await retention.sweep(house.db, now=house.clock()) == {"audit_log": 5}
    assert await check(house) == Finding(5)
    await add(house, 1)
    await take_out(house, 6)
    assert await check(house) == Finding(0, 6, "missing")


async def test_a_chain_whose_rows_are_all_gone_goes_on(house: House) -> None:
    """Its head stays, and the next row's place follows."""
    await add(house, 5)
    house.clock.offset = 366 * DAY
    await retention.sweep(house.db, now=house.clock())
    assert await check(house) == Finding(0)
    await add(house, 1)
    assert (await row(house, 6))["before"]["seq"] == 5 and await check(house) == Finding(1)


async def test_rows_end_in_their_order(house: House) -> None:
    """A clock that runs ahead and then right again makes no row end before one that came first."""
    for offset in (DAY, timedelta(), 2 * DAY, -DAY):
        house.clock.offset = offset
        await add(house, 1)
    rows = [found async for found in house.db.open("audit_log").find({"label_id": LABEL}).sort("seq", 1)]
    ends = [found["expires_at"] for found in rows]
    assert ends == sorted(ends) and rows[3]["at"] < rows[0]["at"]
    house.clock.offset = timedelta()
    assert await check(house) == Finding(4)
