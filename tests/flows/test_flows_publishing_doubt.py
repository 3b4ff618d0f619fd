"""After a call whose answer nobody has: no second post, and no word that it is not there, unless Meta refused it."""

import asyncio
import json
from datetime import timedelta

import pytest

from app.db import Doc
from tests.flows.publishing_harness import Press
from tests.house import PASSWORD

MINUTE = timedelta(minutes=1)
LATER_S = 5.0
"""So long after the call Meta executes it; a worker waits for a second."""
WORDS = r"/\d+_\d+$"


async def in_doubt(press: Press, publication: Doc, path: str = "/media_publish$") -> Doc:
    """Have the call executed later than a worker waits: what is prepared is not shown yet; the target then."""
    match = {"path": path, "method": "POST"}
    await press.meta.control("POST", "/faults", match=match, fault="slow", seconds=LATER_S)
    await press.until(publication, lambda target: target.get("calling"))
    await press.pass_by(timedelta(seconds=15))
    await press.house.work()
    target = await press.target(publication)
    assert target["state"] == "publishing" and target["calling"], target
    return target


async def refuses_all(press: Press, publication: Doc) -> None:
    """Whatever a person asks for that would say, or make it so, that it does not go out."""
    path = f"/publications/{publication['_id']}"
    for step in ("cancel", "publish-now", "retry", "validate"):
        await press.post(f"{path}/{step}", 200 if step == "validate" else 409)
    address = f"/v1/labels/{press.desk.label_id}{path}"
    assert (await press.desk.owner.patch(address, json={"caption": "Corrected."})).status_code == 409
    assert (await press.desk.owner.delete(address)).status_code == 409


async def decides_not_published(press: Press, publication: Doc) -> None:
    """A person has looked, and says that it is not there."""
    target = await press.target(publication)
    path = f"/publications/{publication['_id']}/targets/{target['_id']}/decide"
    assert (await press.post(path, outcome="not_published"))["state"] == "failed"


async def disconnects(press: Press) -> None:
    """The account is disconnected, as by its label."""
    await press.desk.get("/connections")
    path = f"/v1/labels/{press.desk.label_id}/connections/{press.desk.connection_id}"
    (await press.desk.owner.delete(path)).raise_for_status()


async def test_a_call_that_is_executed_later(press: Press) -> None:
    """Nothing takes it back meanwhile; the same container is called again, and is shown once."""
    publication = await press.schedule()
    await in_doubt(press, publication)
    await refuses_all(press, publication)
    assert not await press.shown()
    await asyncio.sleep(LATER_S)
    assert (await press.settle(publication))["state"] == "published"
    assert len(await press.shown()) == 1 and len(await press.meta.ledger("container_created")) == 1
    await refuses_all(press, publication)


async def test_the_same_on_a_page(page: Press) -> None:
    """Of a hidden post."""
    publication = await page.schedule("page_post", caption="First words.")
    await in_doubt(page, publication, WORDS)
    await refuses_all(page, publication)
    await asyncio.sleep(LATER_S)
    assert (await page.settle(publication))["state"] == "published"
    assert len(await page.shown()) == 1 and len(await page.meta.ledger("page_item_created")) == 1


async def test_two_calls_that_are_executed_later(press: Press) -> None:
    """They meet at the same container."""
    publication = await press.schedule()
    await press.fault("slow", seconds=LATER_S)
    await press.fault("slow", seconds=LATER_S)
    target = await press.until(publication, lambda one: one.get("calls") == 3)
    assert target["unanswered"]
    assert (await press.settle(publication))["state"] == "published"
    await asyncio.sleep(LATER_S)
    assert len(await press.shown()) == 1


@pytest.mark.parametrize("fault", [{"fault": "html"}, {"fault": "error", "code": 2}, {"fault": "http", "code": 504}])
async def test_without_an_answer_it_never_has_failed(press: Press, fault: Doc) -> None:
    """Until it is too late the same container is called; then a person says what became of it, and no earlier than
    nothing of a call can be under way. Tried again, it is that container that is asked, and called."""
    publication = await press.schedule(late_policy={"publish_within_min": 20})
    await press.fault(**fault, times=None)
    target = await press.settle(publication)
    assert (target["state"], target["problem"]["code"]) == ("unknown", "outcome_unknown")
    assert target["calls"] > 5 and "decide" in target["problem"]["detail"]
    calls = [step["at"] for step in target["steps"] if (step["step"], step["outcome"]) == ("call", "begun")]
    assert press.house.clock() - calls[-1] >= 5 * MINUTE
    await press.meta.control("DELETE", "/faults")
    await refuses_all(press, publication)
    await decides_not_published(press, publication)
    await press.post(f"/publications/{publication['_id']}/retry", 202)
    assert (await press.settle(publication))["state"] == "published"
    assert len(await press.shown()) == 1 and len(await press.meta.ledger("container_created")) == 1


async def nobody_can_tell(press: Press) -> Doc:
    """A publication that is `unknown`, and of whose calls the last is still on its way: Meta executes it soon."""
    publication = await press.schedule(late_policy={"publish_within_min": 1})
    await press.fault("html")
    await press.until(publication, lambda target: target.get("calls"))
    await press.fault("slow", seconds=LATER_S)
    assert (await press.settle(publication))["state"] == "unknown"
    return publication


async def test_a_person_who_is_mistaken_tries_again(press: Press) -> None:
    """What was called is asked first: it is there by now, and that is said."""
    publication = await nobody_can_tell(press)
    await decides_not_published(press, publication)
    await asyncio.sleep(LATER_S)
    await press.post(f"/publications/{publication['_id']}/retry", 202)
    assert (await press.settle(publication))["state"] == "published"
    assert len(await press.shown()) == 1 and len(await press.meta.ledger("container_created")) == 1


async def test_a_person_who_is_mistaken_corrects_it(press: Press) -> None:
    """The new version is not shown beside the old one, which is there after all."""
    publication = await nobody_can_tell(press)
    await decides_not_published(press, publication)
    path = f"/publications/{publication['_id']}"
    address = f"/v1/labels/{press.desk.label_id}{path}"
    (await press.desk.owner.patch(address, json={"caption": "Corrected."})).raise_for_status()
    await asyncio.sleep(LATER_S)
    await press.post(f"{path}/publish-now", 202)
    target = await press.settle(publication)
    assert (target["state"], target["problem"]["code"]) == ("needs_decision", "published_before")
    assert len(await press.shown()) == 1
    assert (await press.post(f"{path}/cancel"))["state"] == "cancelled"


async def test_a_refusal_proves_nothing_of_an_earlier_call(press: Press) -> None:
    """The first call had no answer; that Meta blocks the second does not say that the first did nothing."""
    publication = await press.schedule()
    await press.fault("slow", seconds=LATER_S)
    await press.fault("error", code=4, subcode=2207051)
    target = await press.until(publication, lambda one: one.get("refused"))
    assert (target["state"], target["calls"]) == ("publishing", 2)
    await asyncio.sleep(LATER_S)
    assert (await press.settle(publication))["state"] == "published" and len(await press.shown()) == 1


async def test_a_container_that_ends_after_a_call(press: Press) -> None:
    """Of one that was called without an answer that proves nothing; of one that Meta refused it does."""
    await press.fault("http", code=504)
    silent = await press.schedule()
    await press.until(silent, lambda target: target.get("calling"))
    await press.pass_by(timedelta(hours=25))
    assert (await press.settle(silent))["state"] == "unknown"
    assert len(await press.meta.ledger("container_created")) == 1
    await press.fault("error", code=9, subcode=2207042)
    refused = await press.schedule(late_policy={"publish_within_min": 10_080})
    await press.until(refused, lambda target: target["state"] == "ready" and target.get("calls"))
    await press.pass_by(timedelta(hours=25))
    assert (await press.settle(refused))["state"] == "published"
    assert len(await press.meta.ledger("container_created")) == 3 and len(await press.shown()) == 1


async def test_what_is_blocked_is_never_ready_again(press: Press) -> None:
    """One write says that it is not there and that it has failed: no worker can die between the two."""
    publication = await press.schedule()
    await press.fault("error", code=4, subcode=2207051)
    target = await press.settle(publication)
    assert (target["state"], target["problem"]["code"]) == ("failed", "action_blocked")
    steps = [(step["step"], step["outcome"]) for step in target["steps"]]
    assert steps[-3:] == [("call", "begun"), ("call", "4/2207051"), ("call", "action_blocked")]
    assert not target.get("calling") and target["container"]["called_at"]


async def test_disconnected_while_a_call_is_in_doubt(press: Press) -> None:
    """Nobody says that it had failed; a person may say so, at once when nothing of the call can be under way."""
    publication = await press.schedule()
    target = await in_doubt(press, publication)
    await disconnects(press)
    there = await press.target(publication)
    assert (there["state"], await press.state(publication)) == ("unknown", "unknown")
    operation = await press.operation(publication)
    assert operation["due_at"] <= press.house.clock()
    path = f"/publications/{publication['_id']}"
    await press.post(f"{path}/targets/{target['_id']}/decide", 409, outcome="not_published")
    await asyncio.sleep(LATER_S)
    assert len(await press.shown()) == 1
    for _ in range(4):
        await press.house.work()
        await press.pass_by(2 * MINUTE)
    assert await press.state(publication) == "unknown" and not await press.desk.stored("publication_targets")
    await press.post(f"{path}/cancel", 409)
    address = f"/v1/labels/{press.desk.label_id}{path}"
    assert (await press.desk.owner.patch(address, json={"caption": "Again."})).status_code == 409
    assert (await press.desk.owner.delete(address)).status_code == 204


async def test_switched_off_while_a_call_is_in_doubt(press: Press) -> None:
    """Also where its worker had died, so that its operation waited to begin: it is `unknown`, and somebody decides."""
    publication = await press.schedule()
    target = await in_doubt(press, publication)
    key = {"_id": target["operation_id"], "label_id": press.desk.label_id}
    await press.house.db.open("operations").update_one(key, {"$set": {"state": "queued"}})
    path = f"/v1/labels/{press.desk.label_id}/connections/{press.desk.connection_id}"
    (await press.desk.owner.patch(path, json={"features": ["comments"]})).raise_for_status()
    assert (await press.target(publication))["state"] == "unknown"
    await decides_not_published(press, publication)
    assert await press.state(publication) == "failed"


async def test_an_error_of_ours_again_and_again(press: Press) -> None:
    """What broke off so often is given up: `unknown`, and a person can say what became of it."""
    publication = await press.schedule()
    target = await in_doubt(press, publication)
    db, place = press.house.db, {"label_id": press.desk.label_id}
    await db.open("publication_targets").update_one(place | {"_id": target["_id"]}, {"$unset": {"container": ""}})
    await db.open("operations").update_one(place | {"_id": target["operation_id"]}, {"$set": {"crashes": 19}})
    given_up = await press.settle(publication)
    assert (given_up["state"], await press.state(publication)) == ("unknown", "unknown")
    await decides_not_published(press, publication)


async def test_a_label_that_is_going_to_be_deleted(press: Press) -> None:
    """Nobody there could cancel anything: nothing of it goes out, and whoever restores it is asked."""
    publication = await press.schedule(after=timedelta(days=3))
    label = f"/v1/labels/{press.desk.label_id}"
    told = {"password": PASSWORD, "name": "Nightjar"}
    (await press.desk.owner.request("DELETE", label, json=told)).raise_for_status()
    await press.pass_by(timedelta(days=3))
    target = await press.settle(publication)
    assert (target["state"], target["problem"]["code"]) == ("needs_decision", "label_deleting")
    assert not await press.shown()


async def test_a_long_pause_does_not_outlast_the_policy(press: Press) -> None:
    """Meta wants no calls for ten hours; after the hour of the policy somebody is asked."""
    publication = await press.schedule()
    (connection,) = await press.desk.stored("connections")
    usage = {"call_count": 100, "estimated_time_to_regain_access": 600, "type": "instagram"}
    account_id = connection["account"]["provider_id"]
    told = {"x-business-use-case-usage": json.dumps({account_id: [usage]})}
    press.house.worker.graph.note_usage(account_id, told)
    await press.house.work()
    await press.pass_by(61 * MINUTE)
    await press.house.work()
    target = await press.target(publication)
    assert (target["state"], target["problem"]["code"]) == ("needs_decision", "too_late")


async def test_the_id_is_looked_for_by_whoever_comes_next(press: Press) -> None:
    """A worker died after it had learned that the post is there, and before it looked for its id."""
    publication = await press.schedule()
    await press.fault("lost")
    target = await press.settle(publication)
    place = {"label_id": press.desk.label_id}
    lost: Doc = {"provider_id": None, "permalink": None}
    await press.house.db.open("publication_targets").update_one(place | {"_id": target["_id"]}, {"$set": lost})
    waits = {"state": "running", "due_at": press.house.clock()}
    await press.house.db.open("operations").update_one(place | {"_id": target["operation_id"]}, {"$set": waits})
    found = await press.settle(publication)
    assert found["provider_id"] == target["provider_id"] and found["permalink"] == target["permalink"]
