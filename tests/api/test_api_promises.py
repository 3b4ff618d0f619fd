"""Promises as anybody sees them: what was measured, when that was, and nothing about anybody."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from app import keys
from app.db import Doc
from app.services.promises.attesting import BrokenChain, attest, hash_of, verify
from app.services.promises.listing import BY_ID, PROMISES
from app.services.promises.measuring import measure, measure_due
from app.services.promises.promise import Look, Measured
from app.services.tokens import load_signer
from tests.house import House
from workers import promises

MESSAGES = BY_ID["messages-30-days"]
DAY = timedelta(days=1)


def look(house: House) -> Look:
    """As a worker of this house looks."""
    return Look(house.db, house.worker.settings, house.clock())


async def shown(house: House, promise_id: str = MESSAGES.id) -> Doc:
    """A promise as the API shows it."""
    answer = await house.http.get(f"/v1/privacy/promises/{promise_id}")
    assert answer.status_code == 200, answer.text
    found: Doc = answer.json()
    return found


async def plant_overdue(house: House) -> None:
    """A message that should have gone an hour ago; its database deletes it within a second or so, if it may."""
    await house.db.open("messages").drop_index("expires_at_1")
    ids = {"_id": "msg_old", "label_id": "lbl_1", "connection_id": "con_1", "provider_id": "m"}
    await house.db.raw["messages"].insert_one(ids | {"expires_at": house.clock() - timedelta(hours=1)})


async def test_before_anything_was_measured(house: House) -> None:
    """Nobody claims that a promise holds."""
    found = (await house.http.get("/v1/privacy/promises")).json()
    assert (found["holding"], len(found["data"])) == (False, len(PROMISES))
    assert {(one["holding"], one["state"], one["figure"]) for one in found["data"]} == {(False, "not_measured", None)}
    assert found["broken"] == [promise.id for promise in PROMISES]
    ready = (await house.http.get("/readyz")).json()
    assert (ready["ready"], ready["promises"], ready["detail"]) == (True, "not_measured", "yellow")


async def test_what_a_worker_measures_is_shown(house: House) -> None:
    """All hold in a new house; the list, one of them, its history, and `/readyz`."""
    await promises.look_after(house.worker)
    found = (await house.http.get("/v1/privacy/promises")).json()
    assert (found["holding"], found["broken"]) == (True, [])
    one = await shown(house)
    assert (one["state"], one["figure"], one["allowed"], one["unit"]) == ("holding", 0, 30.01, "days")
    assert one["history"] == [
        {"day": house.clock().date().isoformat(), "holding": True, "figure": 0, "checks": 1},
    ]
    assert one["checked_every_s"] == 300
    ready = (await house.http.get("/readyz")).json()
    assert (ready["promises"], ready["broken_promises"]) == ("holding", [])
    assert (await house.http.get("/v1/privacy/promises/none")).status_code == 404


async def test_each_is_measured_when_it_is_due_and_once(house: House) -> None:
    """By whichever worker comes first; the others find it done."""
    await measure_due(look(house))
    house.clock.offset += timedelta(minutes=6)
    await measure_due(look(house))
    await measure_due(look(house))
    soon, hourly = await shown(house), await shown(house, "account-details-only")
    assert (soon["history"][-1]["checks"], hourly["history"][-1]["checks"]) == (2, 1)
    house.clock.offset -= timedelta(hours=5)
    await measure_due(look(house))
    assert (await shown(house))["checked_at"] < hourly["checked_at"]


async def test_a_check_that_does_not_run_says_nothing(house: House) -> None:
    """After some rounds without one, the last figure is shown, and nobody claims that it holds."""
    await measure_due(look(house))
    house.clock.offset += timedelta(minutes=30)
    found = await shown(house)
    assert (found["holding"], found["state"], found["figure"]) == (False, "not_measured", 0)
    hourly = await shown(house, "account-details-only")
    assert (hourly["holding"], hourly["state"]) == (True, "holding")


async def test_a_check_that_fails_does_not_hold(house: House) -> None:
    """What cannot be measured is not known to hold: a document that the check does not understand."""
    await house.db.raw["support_grants"].insert_one({"_id": "sup_1", "label_id": "lbl_1", "reason": "x"})
    await measure(look(house), BY_ID["support-with-a-reason"])
    found = await shown(house, "support-with-a-reason")
    assert (found["holding"], found["state"], found["detail"]) == (False, "broken", "check_failed")
    assert found["history"][-1] == {"day": found["history"][-1]["day"], "holding": False, "figure": None, "checks": 1}


async def test_a_promise_that_stops_holding_is_told_once(house: House) -> None:
    """A mail to the privacy desk and a yellow `/readyz`; a second look tells nothing new; then it holds again."""
    await measure(look(house), MESSAGES)
    await plant_overdue(house)
    for _ in range(3):
        await measure(look(house), MESSAGES)
    found = await shown(house)
    assert (found["holding"], found["state"], round(found["figure"], 2)) == (False, "broken", 30.04)
    ready = await house.http.get("/readyz")
    assert (ready.status_code, ready.json()["detail"], ready.json()["promises"]) == (503, "red", "broken")
    await house.work()
    subject = f"A promise of the privacy policy does not hold any more: {MESSAGES.id}"
    [mail] = await house.mails("privacy@soundops.io")
    assert mail["subject"] == subject
    assert "30.04" in mail["text"] and MESSAGES.plain.split(" (")[0] in " ".join(mail["text"].split())
    await house.db.raw["messages"].delete_many({}, comment="all-labels: a test")
    await measure(look(house), MESSAGES)
    await house.work()
    assert len(await house.mails("privacy@soundops.io")) == 2
    assert [day["holding"] for day in (await shown(house))["history"]] == [False]


async def test_many_who_see_it_at_once_tell_it_once(house: House) -> None:
    """Workers, and an operator who measures at the same moment: one mail that it is broken, one that it holds again."""
    await measure(look(house), MESSAGES)
    await plant_overdue(house)
    for told in (1, 2):
        sent = await asyncio.gather(*(measure(look(house), MESSAGES) for _ in range(6)))
        assert sum(len(some) for some in sent) == 1
        assert await house.db.open("mails").count_documents({"label_id": None, "template": "promise_changed"}) == told
        await house.db.raw["messages"].delete_many({}, comment="all-labels: a test")


async def test_what_was_found_is_looked_at_until_it_is_well(house: House) -> None:
    """Though no sample would have it again: hundreds of newer ones have come. And nobody is shown which it is."""
    promise = BY_ID["mails-with-a-reason"]
    mail: Doc = {"label_id": None, "user_id": "usr_1", "state": "sent", "expires_at": house.clock() + DAY}
    await house.db.open("mails").insert_one(mail | {"_id": "mai_b", "template": "summer_sale"})
    await measure(look(house), promise)
    others = [mail | {"_id": f"mai_{where}{n:04}", "template": "none"} for where in "ac" for n in range(2000)]
    await house.db.open("mails").insert_many(others)
    for _ in range(3):
        await measure(look(house), promise)
        found = await shown(house, promise.id)
        assert (found["state"], found["figure"], found["detail"]) == ("broken", 1, "mails")
    assert "mai_b" not in str(found)
    await house.db.open("mails").update_one({"_id": "mai_b", "label_id": None}, {"$set": {"template": "none"}})
    await measure(look(house), promise)
    assert (await shown(house, promise.id))["state"] == "holding"


async def test_what_was_being_written_breaks_nothing(house: House) -> None:
    """A membership that was seen, and whose account was gone a moment later, with it."""
    membership = {"_id": "mbr_1", "label_id": "lbl_1", "user_id": "usr_gone", "role": "agent"}
    await house.db.open("memberships").insert_one(membership)
    promise = BY_ID["access-by-one-table"]

    async def check(at: Look) -> Measured:
        found = await promise.check(at)
        await house.db.open("memberships").delete_one({"_id": "mbr_1", "label_id": "lbl_1"})
        return found

    await measure(look(house), replace(promise, check=check))
    found = await shown(house, promise.id)
    assert (found["state"], found["figure"], found["detail"]) == ("holding", 0, "")


async def test_every_workers_figures_are_of_the_last_look(house: House) -> None:
    """Also those of a worker that has not measured it, and of what nobody measures any more."""
    await measure_due(look(house))
    query, broken = {"_id": MESSAGES.id}, {"$set": {"holding": False, "figure": 31}}  # as another worker would
    for update, holding in ((broken, 0), ({"$set": {"holding": True}}, 1)):
        await house.db.open("promise_checks").update_one(query, update)
        await measure_due(look(house))
        assert REGISTRY.get_sample_value("promise_holding", {"promise": MESSAGES.id}) == holding
    assert REGISTRY.get_sample_value("promise_figure", {"promise": MESSAGES.id}) == 31


async def test_the_worst_of_each_day_is_kept(house: House) -> None:
    """For thirteen months."""
    for _ in range(3):
        await measure(look(house), MESSAGES)
        house.clock.offset += DAY
    found = (await shown(house))["history"]
    assert [day["checks"] for day in found] == [1, 1, 1]
    row = await house.db.open("promise_days").find_one({"_id": f"{MESSAGES.id}/{found[0]['day']}"})
    assert row is not None and (row["expires_at"] - house.clock()) > 390 * DAY
    listed = (await house.http.get("/v1/privacy/promises")).json()["data"]
    assert [one["history"] for one in listed if one["id"] == MESSAGES.id] == [found]


async def test_public_reads_can_be_cached(house: House) -> None:
    """With an ETag, and `304` to who has it. Nothing is measured for the asking."""
    await measure_due(look(house))
    for path in ("promises", f"promises/{MESSAGES.id}", "retention", "record-of-processing"):
        first = await house.http.get(f"/v1/privacy/{path}")
        assert first.headers["cache-control"] == "public, max-age=60"
        again = await house.http.get(f"/v1/privacy/{path}", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert (await shown(house))["history"][-1]["checks"] == 1


async def test_the_page(house: House) -> None:
    """For people: what holds and what does not, in words; no script, nothing from elsewhere, nothing unescaped."""
    await measure_due(look(house))
    await plant_overdue(house)
    await measure(look(house), MESSAGES)
    answer = await house.http.get("/privacy/promises")
    page = answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert f"{len(PROMISES) - 1} of {len(PROMISES)} promises hold. Broken: 1." in page
    assert page.count("<article") == page.count('<svg role="img"') == len(PROMISES)
    assert page.count("Does not hold.") == 1
    assert "<script" not in page and "http://" not in page and "https://" not in page
    assert all(f'id="promise-{promise.id}"' in page for promise in PROMISES)
    assert page.count('class="broken"') == 1


async def test_attestations_are_a_chain(house: House) -> None:
    """One a day, each with the state of all promises and the hash of the one before; anybody can check it."""
    signer = house.api.signer
    for _ in range(3):
        await measure_due(look(house))
        assert await attest(house.db, signer, now=house.clock())
        assert await attest(house.db, signer, now=house.clock()) is None
        house.clock.offset += DAY
    newest = (await house.http.get("/v1/privacy/attestations", params={"limit": 2})).json()
    rest = (await house.http.get("/v1/privacy/attestations", params={"cursor": newest["next_cursor"]})).json()
    rows = [*newest["data"], *rest["data"]]
    assert [row["seq"] for row in rows] == [3, 2, 1] and rest["next_cursor"] is None
    assert [row["broken"] for row in rows] == [[], [], []]
    jwks = (await house.http.get("/.well-known/jwks.json")).json()
    chain = [row["jws"] for row in reversed(rows)]
    told = verify(chain, jwks)
    assert [one["seq"] for one in told] == [1, 2, 3]
    assert told[1]["previous"] == rows[2]["sha256"] == hash_of(chain[0])
    assert {one["id"]: one["holding"] for one in told[0]["promises"]} == {one.id: True for one in PROMISES}
    with pytest.raises(BrokenChain):
        verify(chain, {"keys": []})


async def test_a_clock_ahead_of_time_ends_no_chain(house: House) -> None:
    """A year ahead, for one round: that attestation shows nothing of today, and the next days have theirs."""
    signer, review = house.api.signer, BY_ID["reviewed-every-day"]
    await measure_due(look(house))
    house.clock.offset += 365 * DAY
    assert await attest(house.db, signer, now=house.clock())
    house.clock.offset -= 365 * DAY
    await measure(look(house), review)
    assert (await shown(house, review.id))["state"] == "broken"
    for _ in range(2):
        assert await attest(house.db, signer, now=house.clock())
        await measure(look(house), review)
        assert (await shown(house, review.id))["state"] == "holding"
        house.clock.offset += DAY
    rows = (await house.http.get("/v1/privacy/attestations")).json()["data"]
    assert [row["seq"] for row in rows] == [3, 2, 1]
    assert len(verify([row["jws"] for row in rows][::-1], {"keys": signer.public_jwks})) == 3


async def test_a_new_key_attests_at_once(house: House, tmp_path: Path) -> None:
    """So that the old one may go soon: the newest is always one of a key that is in the set. Of a key, one a day."""
    keys.create(tmp_path)
    old, new = house.api.signer, load_signer(tmp_path / "jwt.pem", issuer="http://127.0.0.1:8000")
    await measure_due(look(house))
    made = [await attest(house.db, signer, now=house.clock()) for signer in (old, new, old, new)]
    assert [one and one["_id"] for one in made] == [1, 2, None, None]
    told = verify([one["jws"] for one in made if one], {"keys": new.public_jwks})
    assert [one["key"]["kid"] for one in told] == [old.key_id, new.key_id]


async def test_two_workers_attest_once(house: House) -> None:
    """At the same moment: one row, whoever comes first."""
    await measure_due(look(house))
    made = await asyncio.gather(*(attest(house.db, house.api.signer, now=house.clock()) for _ in range(8)))
    assert len([one for one in made if one]) == 1
    assert await house.db.open("attestations").count_documents({}) == 1


async def test_days_ahead_are_not_shown(house: House) -> None:
    """What a wrong clock has measured for next month is no part of the last 30 days."""
    await measure(look(house), MESSAGES)
    house.clock.offset += 40 * DAY
    await measure(look(house), MESSAGES)
    house.clock.offset -= 40 * DAY
    assert len((await shown(house))["history"]) == 1
    assert "Measured on 1 of the last 30 days; held on 1 of them." in (await house.http.get("/privacy/promises")).text


async def test_a_broken_chain_is_found(house: House) -> None:
    """One left out, one changed, one of another day put in its place, the order changed: whatever somebody tries."""
    signer, jwks = house.api.signer, {"keys": house.api.signer.public_jwks}
    await measure_due(look(house))
    chain = []
    for _ in range(4):
        row = await attest(house.db, signer, now=house.clock())
        assert row is not None
        chain.append(row["jws"])
        house.clock.offset += DAY
    assert len(verify(chain, jwks)) == 4
    other = signer.sign_attestation(verify(chain[:2], jwks)[1] | {"promises": []})
    head, body, signature = chain[1].split(".")
    for bad in (
        [chain[0], *chain[2:]],
        [chain[0], other, *chain[2:]],
        [chain[1], chain[0], *chain[2:]],
        [chain[0], f"{head}.{body}.{signature[:-4]}AAAA", *chain[2:]],
        [*chain, signer.sign_receipt({"seq": 5})],
        [*chain, "no.attestation.atall"],
    ):
        with pytest.raises(BrokenChain):
            verify(bad, jwks)


async def test_retention_and_record(house: House) -> None:
    """As JSON and as CSV, by `Accept` or by asking; every collection is in both."""
    rows = (await house.http.get("/v1/privacy/retention")).json()["data"]
    assert {row["store"] for row in rows} == {"database", "redis", "files", "logs"}
    record = (await house.http.get("/v1/privacy/record-of-processing")).json()
    kept = {name for one in record["activities"] for name in one["stores"]}
    assert kept == {row["name"] for row in rows if row["store"] == "database"}
    for path in ("retention", "record-of-processing"):
        by_accept = await house.http.get(f"/v1/privacy/{path}", headers={"Accept": "text/csv"})
        asked = await house.http.get(f"/v1/privacy/{path}", params={"format": "csv"})
        assert by_accept.text == asked.text and asked.headers["content-type"].startswith("text/csv")
        assert len(asked.text.splitlines()) > 5
        assert (await house.http.get(f"/v1/privacy/{path}", params={"format": "xml"})).status_code == 422
    page = (await house.http.get("/privacy/retention")).text
    assert "<script" not in page and all(row["name"] in page for row in rows if row["store"] == "files")
