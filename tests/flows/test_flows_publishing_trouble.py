"""What does not go as planned, and what people decide then."""

from datetime import timedelta
from functools import partial

import pytest

from app.clients import page_publishing
from app.db import Doc, Session
from app.publishing_errors import AlreadyPublishing
from app.services.connections.calling import open_at
from app.services.publishing import watching
from app.services.publishing.queueing import withdraw_targets
from tests.flows.publishing_harness import Press

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


async def withdraw(press: Press, publication: Doc) -> None:
    """Cancel it, as whoever plans it does."""
    db = press.house.db
    await db.in_transaction(partial(_withdraw, press, publication))


async def _withdraw(press: Press, publication: Doc, session: Session) -> None:
    await withdraw_targets(press.house.db, publication, now=press.house.clock(), session=session)


async def ready(press: Press, **more: object) -> Doc:
    """A publication that is prepared, and whose time comes in a minute."""
    publication = await press.schedule(after=MINUTE, **more)  # type: ignore[arg-type]
    for _ in range(10):
        await press.house.work()
        if (await press.target(publication))["state"] == "ready":
            return publication
    raise AssertionError(await press.target(publication))


@pytest.mark.parametrize("behaviour", ["error", "expired"])
async def test_a_container_that_ends_is_made_anew(press: Press, behaviour: str) -> None:
    """Nothing was published by it, and the next one is."""
    await press.meta.control("POST", "/publishing/orders", behaviour=behaviour)
    publication = await press.schedule("reel")
    assert (await press.settle(publication))["state"] == "published"
    assert len(await press.shown()) == 1 and len(await press.meta.ledger("container_created")) == 2


async def test_files_that_meta_cannot_use(press: Press) -> None:
    """After several containers it has failed, and says so; a person may try again."""
    await press.meta.control("POST", "/publishing/orders", behaviour="error", times=4)
    publication = await press.schedule()
    target = await press.settle(publication)
    assert (target["state"], target["problem"]["code"]) == ("failed", "media_refused")
    assert await press.state(publication) == "failed" and not await press.shown()
    (again,) = (await press.post(f"/publications/{publication['_id']}/retry", 202))["data"]
    assert (again["state"], again["attempt"]) == ("waiting", 2)
    assert (await press.settle(publication))["state"] == "published" and len(await press.shown()) == 1
    await press.post(f"/publications/{publication['_id']}/retry", 409)


async def test_a_container_that_never_ends(press: Press) -> None:
    """It is looked at less and less, no worker waits for it, and then somebody is asked."""
    await press.meta.control("POST", "/publishing/orders", behaviour="never")
    publication = await press.schedule("reel", late_policy={"publish_within_min": 30})
    target = await press.settle(publication)
    assert (target["state"], target["problem"]["code"]) == ("needs_decision", "too_late")
    assert await press.state(publication) == "needs_decision" and not await press.shown()
    assert 10 <= target["looks"] <= 20


async def test_a_file_that_cannot_be_fetched(press: Press) -> None:
    """Once it may be a hiccup; twice it has failed."""
    await press.fault("error", "/media$", code=9004, subcode=2207052)
    assert (await press.settle(await press.schedule()))["state"] == "published"
    await press.fault("error", "/media$", code=9004, subcode=2207052, times=2)
    target = await press.settle(await press.schedule())
    assert (target["state"], target["problem"]["code"]) == ("failed", "media_unfetchable")


@pytest.mark.parametrize(
    ("code", "subcode", "problem"),
    [
        (4, 2207051, "action_blocked"),
        (368, None, "action_blocked"),
        (25, 2207050, "account_restricted"),
        (36003, 2207009, "refused_by_provider"),
        (10, None, "permission_lost"),
    ],
)
@pytest.mark.parametrize("step", ["/media$", "/media_publish$"])
async def test_what_meta_will_not_publish(press: Press, step: str, code: int, subcode: int, problem: str) -> None:
    """It ends, with a reason, once Meta says of the container that it is not published."""
    await press.fault("error", step, code=code, subcode=subcode, times=None)
    target = await press.settle(await press.schedule())
    assert (target["state"], target["problem"]["code"]) == ("failed", problem) and not await press.shown()


async def test_the_quota_is_read_and_waited_for(press: Press) -> None:
    """Not assumed: with nothing left it waits, and goes out when there is room."""
    await press.meta.control("PUT", "/publishing", quota_total=0)
    publication = await press.schedule()
    await press.house.work()
    operation = await press.operation(publication)
    assert (operation["state"], operation["problem"]["code"]) == ("queued", "publish_quota")
    (quota,) = (await press.desk.get("/publishing-quota"))["data"]
    assert (quota["used"], quota["total"], quota["window_s"]) == (0, 0, 86_400)
    await press.meta.control("PUT", "/publishing", quota_total=25)
    await press.pass_by(6 * MINUTE)
    await press.desk.get("/publishing-quota")
    await press.house.work()
    (quota,) = (await press.desk.get("/publishing-quota"))["data"]
    assert (quota["used"], quota["total"]) == (0, 25)
    assert (await press.settle(publication))["state"] == "published"


async def test_a_dead_token(press: Press) -> None:
    """Nothing is called again; the label is asked to log in."""
    publication = await press.schedule()
    await press.meta.control("POST", "/tokens/revoke", account="nightjar.records")
    target = await press.settle(publication)
    assert (target["state"], target["problem"]["code"]) == ("failed", "needs_reauth")
    connection = await press.desk.get(f"/connections/{press.desk.connection_id}")
    assert connection["status"] == "needs_reauth"


async def test_withdrawn_before_and_after_the_call(press: Press) -> None:
    """Before it, nothing goes out; after it, nobody is told that nothing would."""
    early = await ready(press)
    await withdraw(press, early)
    await press.pass_by(2 * MINUTE)
    await press.house.work()
    assert (await press.target(early))["state"] == "cancelled" and not await press.shown()
    late = await press.schedule()
    await press.fault("lost")
    await press.house.work()
    assert (await press.target(late))["state"] == "publishing"
    with pytest.raises(AlreadyPublishing):
        await withdraw(press, late)
    assert (await press.settle(late))["state"] == "published"
    with pytest.raises(AlreadyPublishing):
        await withdraw(press, late)


async def test_what_was_hidden_on_a_page_is_deleted(page: Press) -> None:
    """When it is withdrawn: the post and its photos; what somebody has shown by hand stays."""
    for shown in (False, True):
        publication = await page.schedule("page_post", after=MINUTE, files=["image", "image"])
        while (await page.target(publication))["state"] != "ready":
            await page.house.work()
        target = await page.target(publication)
        post_id = target["container"]["provider_id"].partition(":")[2]
        if shown:
            (connection,) = await page.desk.stored("connections")
            at = await open_at(page.house.worker.hands, connection, used_for="publishing", job="somebody at Facebook")
            await page_publishing.publish(at, target["container"]["provider_id"])
        await withdraw(page, publication)
        await page.house.work()
        gone = {row["media_id"] for row in await page.meta.ledger("page_item_deleted")}
        assert (post_id in gone) is not shown
        assert {item["provider_id"] for item in target["containers"]} <= gone or shown


async def test_what_changed_does_not_go_out(press: Press) -> None:
    """Whoever changes a publication withdraws it; were it not so, the last look would find it."""
    publication = await ready(press)
    key = {"_id": publication["_id"], "label_id": press.desk.label_id}
    await press.house.db.open("publications").update_one(key, {"$set": {"content_version": 2}})
    target = await press.settle(publication)
    assert (target["state"], target["problem"]["code"]) == ("failed", "changed") and not await press.shown()


async def test_nobody_can_tell_and_somebody_decides(press: Press) -> None:
    """The call was made, and its container ends before anybody could look: that proves nothing."""
    publication = await press.schedule()
    await press.fault("lost")
    await press.house.work()
    await press.fault("error", "/178[0-9]+$", code=2, times=None)
    target = await press.settle(publication)
    assert target["state"] == "unknown" and await press.state(publication) == "unknown"
    assert "decide: published" in target["problem"]["detail"]
    assert len(await press.shown()) == 1
    path = f"/publications/{publication['_id']}"
    await press.post(f"{path}/retry", 409)
    link = "https://www.instagram.com/p/abc/"
    told = await press.post(f"{path}/targets/{target['_id']}/decide", outcome="published", permalink=link)
    assert (told["state"], told["permalink"]) == ("published", link)
    assert await press.state(publication) == "published"
    assert (await press.operation(publication))["state"] == "succeeded"
    await press.post(f"{path}/targets/{target['_id']}/decide", 409, outcome="not_published")


async def test_somebody_says_that_it_is_not_there(press: Press) -> None:
    """Then it can be tried again, as something new."""
    publication = await press.schedule()
    await press.fault("error", code=2, times=1)
    await press.house.work()
    await press.fault("error", "/178[0-9]+$", code=2, times=None)
    target = await press.settle(publication)
    assert target["state"] == "unknown" and not await press.shown()
    await press.meta.control("DELETE", "/faults")
    path = f"/publications/{publication['_id']}"
    told = await press.post(f"{path}/targets/{target['_id']}/decide", outcome="not_published")
    assert (told["state"], told["problem"]["code"]) == ("failed", "not_published")
    await press.post(f"{path}/retry", 202)
    assert (await press.settle(publication))["state"] == "published" and len(await press.shown()) == 1
    shown = (await press.desk.get(f"{path}/attempts"))["data"]
    assert {step["attempt"] for step in shown[0]["steps"]} == {1, 2}


async def author(press: Press) -> Doc:
    """The label's owner, as whoever wrote a publication."""
    (member,) = await press.desk.stored("memberships", label_id=press.desk.label_id)
    return {"kind": "person", "id": member["user_id"]}


async def test_trouble_is_told(press: Press) -> None:
    """Nobody has to look for it: whoever wrote what is not published gets a mail, once."""
    await press.fault("error", "/media$", code=36003, subcode=2207009, times=None)
    publication = await press.schedule(created_by=await author(press), caption="Night Swim\nis out.")
    assert (await press.settle(publication))["state"] == "failed"
    await press.house.work()
    (mail,) = [one for one in await press.house.mails("owner@example.com") if "needs you" in one["subject"]]
    assert "(Night Swim): it was not published." in " ".join(mail["text"].split())


async def test_by_hand(press: Press) -> None:
    """At its time it is said, with a mail to whoever planned it; nothing is called."""
    publication = await press.schedule(after=20 * MINUTE, mode="remind", created_by=await author(press))
    await press.house.work()
    assert (await press.target(publication))["state"] == "waiting"
    target = await press.settle(publication)
    assert target["state"] == "to_do" and await press.state(publication) == "needs_decision"
    await press.house.work()
    mails = [one for one in await press.house.mails("owner@example.com") if "published" in one["subject"]]
    assert len(mails) == 1 and mails[0]["subject"] == "Now to be published on Instagram"
    assert not await press.meta.ledger("container_created")
    path = f"/publications/{publication['_id']}/targets/{target['_id']}"
    await press.post(f"{path}/decide", 409, outcome="published")
    assert (await press.post(f"{path}/done"))["state"] == "published"
    assert await press.state(publication) == "published"
    await press.post(f"{path}/done", 409)


@pytest.mark.parametrize(("minutes", "state"), [(30, "published"), (90, "needs_decision")])
async def test_after_an_outage(press: Press, minutes: int, state: str) -> None:
    """Of half an hour: late, and published. Of more than the policy says: somebody is asked, and may say yes."""
    publication = await press.schedule(after=5 * MINUTE)
    await press.pass_by(5 * MINUTE + timedelta(minutes=minutes))
    assert await watching.look_for_late(press.house.db, now=press.house.clock()) == 1
    assert await watching.look_for_late(press.house.db, now=press.house.clock()) == 0
    late = await press.desk.stored("events", type="publication.late")
    assert [event["target"] for event in late] == [publication["_id"]]
    target = await press.settle(publication)
    assert target["state"] == state and await press.state(publication) == state
    assert target["late_at"]
    if state == "needs_decision":
        assert not await press.shown()
        await press.post(f"/publications/{publication['_id']}/retry", 202)
        assert (await press.settle(publication))["state"] == "published"
    assert len(await press.shown()) == 1


async def test_disconnected_before_its_time(press: Press) -> None:
    """What waited has failed, and its publication says so when nothing of the account is left."""
    publication = await ready(press)
    answer = await press.desk.owner.delete(f"/v1/labels/{press.desk.label_id}/connections/{press.desk.connection_id}")
    assert answer.status_code in (200, 202), answer.text
    target = await press.target(publication)
    assert (target["state"], target["problem"]["code"]) == ("failed", "disconnected")
    for _ in range(5):
        await press.pass_by(MINUTE)
        await press.house.work()
    assert await press.state(publication) == "failed" and not await press.shown()
    assert not await press.desk.stored("publication_targets")


async def test_publishing_is_switched_off(press: Press) -> None:
    """At once: what waited has failed."""
    publication = await press.schedule(after=20 * MINUTE)
    path = f"/v1/labels/{press.desk.label_id}/connections/{press.desk.connection_id}"
    answer = await press.desk.owner.patch(path, json={"features": ["comments"]})
    assert answer.status_code in (200, 202), answer.text
    target = await press.target(publication)
    assert (target["state"], target["problem"]["code"]) == ("failed", "feature_off")
    assert await press.state(publication) == "failed"


@pytest.mark.parametrize("fault", ["lost", "500-executed"])
async def test_a_first_comment_is_written_once(press: Press, fault: str) -> None:
    """Its answer gets lost: it is looked for below the post, and not written again."""
    await press.fault(fault, "/comments$")
    target = await press.settle(await press.schedule(first_comment="Hello."))
    assert len(await press.meta.ledger("comment_created")) == 1
    assert target["state"] == "published" and target["first_comment"]["state"] == "done"


async def test_a_first_comment_that_fails(press: Press) -> None:
    """The post is there all the same, and is not made a second time."""
    await press.fault("error", "/comments$", code=10)
    target = await press.settle(await press.schedule(first_comment="Hello."))
    assert (target["state"], target["first_comment"]["state"]) == ("published", "failed")
    assert len(await press.shown()) == 1


async def test_a_first_comment_that_is_put_off(press: Press) -> None:
    """Meta takes no comments for a while: it is written later, once."""
    await press.fault("error", "/comments$", code=4, times=2)
    target = await press.settle(await press.schedule(first_comment="Hello."))
    assert (target["state"], target["first_comment"]["state"]) == ("published", "done")
    assert len(await press.meta.ledger("comment_created")) == 1 and len(await press.shown()) == 1


async def test_deleting_there(page: Press) -> None:
    """A Page's post is deleted at Facebook, however often that is asked."""
    publication = await page.schedule("page_post")
    target = await page.settle(publication)
    path = f"/v1/labels/{page.desk.label_id}/publications/{publication['_id']}/targets/{target['_id']}/post"
    first = (await page.desk.owner.delete(path)).raise_for_status().json()
    assert (await page.desk.owner.delete(path)).json()["id"] == first["id"]
    await page.house.work()
    (row,) = await page.meta.ledger("page_item_deleted")
    assert row["media_id"] == target["provider_id"] and (await page.target(publication))["deleted_at"]


async def asks_to_delete(page: Press, target: Doc) -> Doc:
    """Somebody asks for the post's deletion, and it is worked on once; the operation as it was answered."""
    path = f"/v1/labels/{page.desk.label_id}/publications/{target['publication_id']}/targets/{target['_id']}/post"
    asked: Doc = (await page.desk.owner.delete(path)).raise_for_status().json()
    await page.house.work()
    return asked


async def test_a_deletion_that_meta_does_not_know_of(page: Press) -> None:
    """ "No such post" may mean that we may not see it: while it is seen, it is not said to be deleted."""
    target = await page.settle(publication := await page.schedule("page_post"))
    match = {"path": f"{target['provider_id']}$", "method": "DELETE"}
    await page.meta.control("POST", "/faults", match=match, fault="error", code=100, subcode=33)
    asked = await asks_to_delete(page, target)
    assert not (await page.target(publication)).get("deleted_at")
    await page.pass_by(MINUTE)
    await page.house.work()
    assert (await page.target(publication))["deleted_at"] and len(await page.meta.ledger("page_item_deleted")) == 1
    (operation,) = await page.desk.stored("operations", _id=asked["id"])
    assert operation["state"] == "succeeded"


async def test_a_deletion_that_failed(page: Press) -> None:
    """It can be asked for again; the operation is the same."""
    target = await page.settle(publication := await page.schedule("page_post"))
    match = {"path": f"{target['provider_id']}$", "method": "DELETE"}
    await page.meta.control("POST", "/faults", match=match, fault="error", code=200)
    asked = await asks_to_delete(page, target)
    (operation,) = await page.desk.stored("operations", _id=asked["id"])
    assert operation["state"] == "failed" and not (await page.target(publication)).get("deleted_at")
    assert (await asks_to_delete(page, target))["id"] == asked["id"]
    assert (await page.target(publication))["deleted_at"] and len(await page.meta.ledger("page_item_deleted")) == 1


async def test_instagram_takes_no_deletion_by_its_own_login(press: Press) -> None:
    """Only behind a Page, with Meta's permission for it."""
    publication = await press.schedule()
    target = await press.settle(publication)
    path = f"/v1/labels/{press.desk.label_id}/publications/{publication['_id']}/targets/{target['_id']}/post"
    answer = await press.desk.owner.delete(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "cannot_be_deleted")
