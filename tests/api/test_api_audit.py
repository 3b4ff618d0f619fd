"""The audit log: complete under concurrency, readable by owners, and whatever is done to it is found."""

import ast
import asyncio
import re
import sys
from datetime import timedelta
from typing import Any, get_args

import bson
import httpx
import pytest

from app.contract import generate
from app.db import Database, Doc, Session, create_indexes
from app.ids import new_id
from app.main import create_routes
from app.models.access import Role
from app.services import connections, retention
from app.services.audit import ACTION, FIRST, SYSTEM, TOLD, Audit, By
from app.services.audit_reading import Finding, check_chain
from tests.house import House
from tools.child import ROOT

LABEL, ROWS, DAY = "lbl_chained", 8, timedelta(days=1)
PLACE = {"label_id": LABEL, "chain": LABEL}
MARA = By("person", "usr_mara", "203.0.113.0/24", "req_1")
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


async def add(house: House, count: int = ROWS, **changes: Any) -> None:
    """Record so many rows in the label's chain."""
    given: Doc = {"by": MARA, "action": "thing.done", "label_id": LABEL, "target": "thg_1", "now": house.clock()}
    for _ in range(count):
        await house.api.audit.record(**given | changes)


async def check(house: House, label_id: str = LABEL) -> Finding:
    """What is found in the label's chain."""
    key = house.api.audit.key
    return await check_chain(house.db, key, label_id=label_id, chain=label_id, now=house.clock())


async def row(house: House, seq: int) -> Doc:
    """One row, as stored."""
    found = await house.db.open("audit_log").find_one(PLACE | {"seq": seq})
    assert found is not None
    return found


async def change(house: House, seq: int, changes: Doc) -> None:
    """Set fields of a row, by hand."""
    done = await house.db.open("audit_log").update_one(PLACE | {"seq": seq}, {"$set": changes})
    assert done.modified_count == 1


async def take_out(house: House, *seqs: int) -> None:
    """Delete rows, by hand."""
    gone = await house.db.open("audit_log").delete_many(PLACE | {"seq": {"$in": list(seqs)}})
    assert gone.deleted_count == len(seqs)


async def member(house: House, label_id: str, role: Role) -> httpx.AsyncClient:
    """A person who works for the label in this role."""
    person = await house.person(f"{role}@example.com")
    user_id = (await person.get("/v1/me")).json()["id"]
    await house.db.open("memberships").insert_one(
        {"_id": new_id("mbr"), "label_id": label_id, "user_id": user_id, "role": role, "created_at": house.clock()}
    )
    return person


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


async def test_owners_read_the_log(house: House) -> None:
    """Newest first, in pages that stay put; and by who, what and when."""
    owner = await house.person()
    label_id = await house.label(owner)
    path = f"/v1/labels/{label_id}/audit-log"
    first = len((await owner.get(path)).json()["data"])
    await add(house, 3, label_id=label_id, details={"role": "agent"})
    later = house.clock()
    await add(house, 2, label_id=label_id, by=SYSTEM, action="thing.undone", now=later + timedelta(seconds=1))
    rows: list[Doc] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await owner.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        rows, cursor = rows + page["data"], page["next_cursor"]
        await add(house, 1, label_id=label_id, by=SYSTEM)
    assert [found["seq"] for found in rows] == list(range(first + 5, 0, -1))
    shown = {key: value for key, value in rows[2].items() if key not in ("id", "at")}
    assert shown == {
        "seq": first + 3,
        "actor": {"kind": "person", "id": "usr_mara"},
        "action": "thing.done",
        "target": "thg_1",
        "details": {"role": "agent"},
        "network": "203.0.113.0/24",
        "request_id": "req_1",
    }
    asked: list[tuple[Doc, int]] = [
        ({"actor": "usr_mara"}, 3),
        ({"action": "thing.undone"}, 2),
        ({"actor": "usr_mara", "action": "thing.undone"}, 0),
        ({"actor": "usr_mara", "to": later.isoformat()}, 3),
        ({"action": "thing.undone", "from": later.isoformat()}, 2),
        ({"action": "thing.undone", "to": later.isoformat()}, 0),
    ]
    for query, count in asked:
        answer = await owner.get(path, params=query)
        assert len(answer.json()["data"]) == count, query
    part = (await owner.get(path, params={"limit": 1, "actor": "usr_mara"})).json()["next_cursor"]
    other = await owner.get(path, params={"limit": 1, "actor": "soundops", "cursor": part})
    assert (other.status_code, other.json()["code"]) == (400, "invalid_cursor")
    for query in ({"from": "yesterday"}, {"action": "DROP"}, {"actor": "x" * 65}):
        assert (await owner.get(path, params=query)).status_code == 422


async def test_owners_check_the_log(house: House) -> None:
    """And see where it was touched."""
    owner = await house.person()
    label_id = await house.label(owner)
    await add(house, 5, label_id=label_id)
    path = f"/v1/labels/{label_id}/audit-log/integrity"
    count = await house.db.open("audit_log").count_documents({"label_id": label_id})
    good = {"intact": True, "checked": count, "first_broken_seq": None, "problem": None}
    assert (await owner.get(path)).json() == good
    await house.db.open("audit_log").update_one({"label_id": label_id, "seq": 2}, {"$set": {"target": "thg_2"}})
    bad = {"intact": False, "checked": 1, "first_broken_seq": 2, "problem": "changed"}
    assert (await owner.get(path)).json() == bad


async def test_nobody_else_reads_it(house: House) -> None:
    """Other roles are refused; for strangers there is nothing, for nobody a log-in."""
    owner, stranger = await house.person(), await house.person("stranger@example.com")
    label_id = await house.label(owner)
    for path in (f"/v1/labels/{label_id}/audit-log", f"/v1/labels/{label_id}/audit-log/integrity"):
        assert (await stranger.get(path)).status_code == 404
        assert (await house.http.get(path)).status_code == 401
    for role in get_args(Role):
        person = owner if role == "owner" else await member(house, label_id, role)
        answers = [await person.get(f"/v1/labels/{label_id}/audit-log{end}") for end in ("", "/integrity")]
        assert {answer.status_code for answer in answers} == {200 if role == "owner" else 403}, role


async def test_people_read_what_happened_to_their_account(house: House) -> None:
    """Each their own alone: which log-in, from which network, when."""
    mara, jonas = await house.person("mara@example.com"), await house.person("jonas@example.com")
    user_id = (await mara.get("/v1/me")).json()["id"]
    by = By("person", user_id, "203.0.113.0/24", "req_9")
    told = {"chain": user_id, "target": "ses_1", "details": {"second_factor": "yes"}, "now": house.clock()}
    await house.api.audit.record(by, "session.observed", **told)
    seen = (await mara.get("/v1/me/audit-log", params={"action": "session.observed"})).json()["data"]
    assert [(row["actor"]["id"], row["target"], row["network"]) for row in seen] == [(user_id, "ses_1", by.network)]
    assert (await jonas.get("/v1/me/audit-log", params={"actor": user_id})).json()["data"] == []
    assert (await house.http.get("/v1/me/audit-log")).status_code == 401


async def test_no_row_says_who_somebody_is(connected_house: House) -> None:
    """After registering, logging in, connecting and answering: no name, address, host, slug or word in any row."""
    house = connected_house
    owner = await house.person("canary.person@example.com")
    label_id = await house.label(owner, "canary-slug")
    await house.connect(owner, label_id)
    written = await house.fan_writes("mara", "the canary words of a fan")
    path = f"/v1/labels/{label_id}/conversations"
    conversation = (await owner.get(path)).json()["data"][0]["id"]
    await owner.post(f"{path}/{conversation}/messages", json={"text": "the canary answer"})
    await house.work()
    await owner.patch(f"/v1/labels/{label_id}", json={"name": "Canary Records"})
    rows = [row async for row in house.db.open("audit_log").find({}, comment="all-labels: a test's dump")]
    assert len(rows) >= 2
    without_macs = [{name: value for name, value in row.items() if name not in ("mac", "before")} for row in rows]
    stored = b"".join(bson.encode(row) for row in without_macs)
    canaries = ["canary", "Canary", "A Person", "Nightjar", "nightjar.records", "@", "mara", "127.0.0.1"]
    assert [one for one in [*canaries, written["igsid"], written["mid"]] if one.encode() in stored] == []


async def test_the_story_of_a_connection_is_told(connected_house: House) -> None:
    """Who began it, that it was connected, and that its token died; each once."""
    house = connected_house
    owner = await house.person()
    label_id = await house.label(owner)
    user_id = (await owner.get("/v1/me")).json()["id"]
    connection = await house.connect(owner, label_id)
    await house.fan_writes("mara", "Hello")
    await house.db.open("secrets").delete_many({"label_id": label_id})
    path = f"/v1/labels/{label_id}/conversations"
    conversation = (await owner.get(path)).json()["data"][0]["id"]
    for text in ("One", "Two"):
        await owner.post(f"{path}/{conversation}/messages", json={"text": text})
    for _ in range(3):
        await house.work()
    rows = (await owner.get(f"/v1/labels/{label_id}/audit-log")).json()["data"]
    told = [row for row in reversed(rows) if row["target"] == connection["id"]]
    assert [(row["action"], row["actor"]["id"], row["details"]) for row in told] == [
        ("connection.begun", user_id, {"provider": "instagram", "features": "comments messages"}),
        ("connection.connected", "soundops", {"features": "comments messages"}),
        ("connection.needs_reauth", "soundops", {"problem": "token_unreadable"}),
    ]
    assert (await check(house, label_id)).problem is None


async def test_a_dead_token_is_told_once(house: House) -> None:
    """However many messages find it dead: when they come at once, and later."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id)

    async def mark(found: Doc) -> bool:
        told: Doc = {"status": "needs_reauth", "problem": "token_dead", "by": SYSTEM, "now": house.clock()}
        return await connections.mark(house.db, house.api.audit, found, **told)

    assert sorted(await asyncio.gather(*(mark(connection) for _ in range(5)))) == [False] * 4 + [True]
    assert await mark(await connections.need(house.db, label_id, connection["_id"])) is False
    rows = (await owner.get(f"/v1/labels/{label_id}/audit-log?action=connection.needs_reauth")).json()["data"]
    assert [row["target"] for row in rows] == [connection["_id"]]


async def test_a_refused_connection_is_told(house: House) -> None:
    """The account's owner said no, from where."""
    owner = await house.person()
    label_id = await house.label(owner)
    wish = {"provider": "instagram", "features": ["messages"]}
    begun = (await owner.post(f"/v1/labels/{label_id}/connections", json=wish)).raise_for_status().json()
    state = httpx.URL(begun["authorize_url"]).params["state"]
    answer = await owner.get("/v1/oauth/callback/instagram", params={"state": state, "error": "access_denied"})
    assert answer.status_code == 200
    [row] = (await owner.get(f"/v1/labels/{label_id}/audit-log?action=connection.refused")).json()["data"]
    assert (row["target"], row["details"], row["actor"]["kind"]) == (
        begun["id"],
        {"problem": "access_denied"},
        "person",
    )
    assert row["network"] and row["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("removed", {}),
        ("Member.removed", {}),
        ("member.removed", {"target": "mara@example.com"}),
        ("member.removed", {"details": {"to": "mara@example.com"}}),
        ("member.removed", {"details": {"text": "two\nlines"}}),
    ],
)
async def test_only_codes_are_recorded(house: House, action: str, more: Doc) -> None:
    """An action is `noun.verb`, and no address passes; what is refused leaves nothing behind."""
    with pytest.raises(ValueError, match="ids and codes"):
        await add(house, 1, action=action, **more)
    assert await house.db.open("audit_log").count_documents({"label_id": LABEL}) == 0


def test_every_action_is_a_noun_and_a_verb() -> None:
    """Of each call of `record` in the code that names its action itself."""
    found = []
    for path in [*(ROOT / "app").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record"):
                continue
            given = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "action")]
            found += [str(one.value) for one in given if isinstance(one, ast.Constant)]
    assert len(found) >= 3 and [action for action in found if not ACTION.fullmatch(action)] == []


def test_no_route_changes_the_log() -> None:
    """What the contract has of it can be read, and nothing else."""
    paths = generate(create_routes())["paths"]
    methods = {path: set(found) for path, found in paths.items() if re.search("audit", path)}
    assert len(methods) == 3 and set().union(*methods.values()) == {"get"}
    assert {found["get"]["x-access"] for path, found in paths.items() if "audit" in path} == {"audit:read", "person"}
