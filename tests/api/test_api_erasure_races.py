"""What goes on around an erasure: it is called off and asked again, people are invited, labels made, clocks go back."""

from datetime import timedelta

import pytest

from app.errors import Unauthenticated
from app.services import operations
from app.services.audit import By
from app.services.backups.journal import Kind
from app.services.labels import deletion, labels, members
from app.services.marketing import permits
from app.services.privacy import erasure, requests, whose
from tests.api.people import join, link, member_id, user_of, verified
from tests.api.test_api_erasure import MARA, OWNER, PATH, SETTLED, begin, log_in, places_of, status, stored, to_the_end
from tests.house import PASSWORD, House

A_MINUTE = timedelta(minutes=1)
SPANS = "all-labels: a test"


async def kept(house: House, email: str) -> None:
    """The person takes the link of the newest mail, and keeps the account."""
    token = await link(house, "cancel_erasure", (await user_of(house, email))["_id"])
    (await house.http.request("DELETE", PATH, json={"token": token})).raise_for_status()


async def noted(house: House, who: str) -> set[Kind]:
    """What the journal tells of this id."""
    book, now = house.worker.hands.journal, house.clock()
    entries = await book.read(since=now - timedelta(days=1), now=now)
    return {entry.kind for entry in entries if entry.who == book.hash_of(who)}


async def test_called_off_and_asked_again(house: House) -> None:
    """A request that was called off keeps nothing of the person, not even when they are erased later."""
    mara = await house.person(MARA)
    for _ in range(2):
        await begin(mara)
        await kept(house, MARA)
        [*found] = await stored(house, "privacy_requests", state="cancelled")
        assert MARA not in repr(found) and not {"labels", "address_key"} & found[-1].keys()
        mara.headers["Authorization"] = f"Bearer {(await log_in(house, MARA)).json()['access_token']}"
    await to_the_end(house, await begin(mara))
    assert await places_of(house, MARA) == set()


async def test_an_account_that_is_gone_already(house: House) -> None:
    """The journal of a restored backup has erased it: the request that the backup held is met, and has its receipt."""
    mara = await house.person(MARA)
    user = await user_of(house, MARA)
    begun = await begin(mara)
    await whose.erase(house.db, await whose.subject_of(house.db, user, now=house.clock()))
    shown = await to_the_end(house, begun)
    assert shown["receipt"]["receipt"]["erased"] == [] and await places_of(house, MARA) == set()


async def test_who_joins_or_makes_a_label_meanwhile(house: House) -> None:
    """A request that was under way is refused; had it been first, its label would be looked through, too."""
    mara = await house.person(MARA)
    user_id = (await user_of(house, MARA))["_id"]
    begun = await begin(mara)
    told = {"name": "L", "slug": "late", "country": "GB", "timezone": "UTC", "branding": {}, "now": house.clock()}
    with pytest.raises(Unauthenticated):
        await labels.create_label(house.db, house.api.audit, By("person", user_id, None, None), **told)
    assert await stored(house, "labels") == []
    late = await house.label(await house.person("other@example.com"), "late")
    await house.db.open("memberships").insert_one(members.new_membership(late, user_id, "agent", now=house.clock()))
    await to_the_end(house, begun)
    assert await places_of(house, user_id) <= {"audit_log", "audit_heads", "privacy_requests", "events"}


async def test_who_is_invited_in_the_week(house: House) -> None:
    """The address is the person's as long as the account is there: what came to it until then goes."""
    mara = await house.person(MARA)
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    begun = await begin(mara)
    wish = {"email": MARA, "role": "agent"}
    house.clock.offset += timedelta(minutes=5)
    (await owner.post(f"/v1/labels/{label_id}/invitations", json=wish)).raise_for_status()
    assert {"mails", "invitations"} <= await places_of(house, MARA)
    await to_the_end(house, begun)
    assert await places_of(house, MARA) == set()


async def test_an_owner_who_is_leaving_counts_for_nothing(house: House) -> None:
    """The other can take them out, or make them something else, and is the last."""
    owner = await house.person(OWNER)
    label_id = await house.label(owner)
    mara = await join(house, MARA, label_id, "owner")
    place = f"/v1/labels/{label_id}/members/{await member_id(house, label_id, MARA)}"
    await begin(mara)
    assert (await owner.patch(place, json={"role": "admin"})).status_code == 200
    assert (await owner.patch(place, json={"role": "owner"})).status_code == 200
    assert (await owner.delete(place)).status_code == 204
    own = f"/v1/labels/{label_id}/members/{await member_id(house, label_id, OWNER)}"
    assert (await owner.delete(own)).json()["code"] == "last_owner"


async def test_the_clock_goes_back(house: House) -> None:
    """An erasure that a worker has begun too early waits for its time; it is not given up."""
    mara = await house.person(MARA)
    user_id = (await user_of(house, MARA))["_id"]
    begun = await begin(mara)
    request = await requests.need(house.db, begun["request_id"])
    now = {"$set": {"due_at": house.clock()}}
    await house.db.raw["operations"].update_one({"_id": request["operation_id"]}, now, comment=SPANS)
    await house.work()
    waits = await operations.find_anywhere(house.db, request["operation_id"])
    assert waits is not None and (waits["state"], waits["problem"]) == ("queued", None)
    assert (await status(house, begun)).json()["state"] == "waiting"
    await to_the_end(house, begun)
    assert await stored(house, "users", _id=user_id) == []


async def test_who_asks_to_be_erased_gets_no_advertising(house: House) -> None:
    """From that moment on; when they keep the account, they stand as before."""
    mara = await verified(house, MARA)
    (await mara.put("/v1/me/consents", json={"marketing_mail": True})).raise_for_status()
    how = permits.campaigning(house.worker.settings)

    async def allows() -> bool:
        return await permits.consent_of(house.db, how, await user_of(house, MARA), now=house.clock()) is not None

    assert await allows()
    await begin(mara)
    assert not await allows()
    await kept(house, MARA)
    assert await allows()


async def test_the_journal_knows_who_kept_the_account(house: House) -> None:
    """By the link, or by undoing what a thief did: a restored backup begins neither erasure anew."""
    mara = await house.person(MARA)
    user_id = (await user_of(house, MARA))["_id"]
    await begin(mara)
    await kept(house, MARA)
    assert await noted(house, user_id) == {"erasure_asked", "erasure_cancelled"}
    owner = await house.person(OWNER)
    owner_id = (await user_of(house, OWNER))["_id"]
    moved = await link(house, "change_email", owner_id, email="thief@example.com")
    (await house.http.post("/v1/users/email-change/confirm", json={"token": moved})).raise_for_status()
    owner.headers["Authorization"] = f"Bearer {(await log_in(house, 'thief@example.com')).json()['access_token']}"
    await begin(owner)
    undo = await link(house, "undo_email_change", owner_id, email=OWNER)
    (await house.http.post("/v1/users/email-change/undo", json={"token": undo})).raise_for_status()
    assert await noted(house, owner_id) == {"erasure_asked", "erasure_cancelled", "password_changed"}


async def test_the_link_that_was_lost_can_be_had_again(house: House) -> None:
    """By asking for a new password, or registering: the mail says until when, and its link keeps the account."""
    mara = await house.person(MARA)
    begun = await begin(mara)
    await house.work()
    for ask in ("/v1/password-resets", "/v1/users/verify-email"):
        (await house.http.post(ask, json={"email": MARA})).raise_for_status()
    again = {"name": "A Person", "email": MARA, "password": PASSWORD, "date_of_birth": "1990-05-17"}
    (await house.http.post("/v1/users", json=again | {"policy_version": "2026-03-13"})).raise_for_status()
    await house.work()
    sent = (await house.mails(MARA))[:3]
    assert all(begun["erases_at"][:10] in one["text"] and "keep-account" in one["text"] for one in sent)
    kept_by = {"token": sent[0]["token"]}
    (await house.http.request("DELETE", PATH, json=kept_by)).raise_for_status()
    gone = await house.http.request("DELETE", PATH, json={"token": sent[1]["token"]})
    assert gone.json()["code"] == "invalid_token"
    assert (await log_in(house, MARA)).status_code == 200


async def test_a_label_that_is_gone_is_told_nothing(house: House) -> None:
    """The person has worked for it; nothing is written there again."""
    mara = await house.person(MARA)
    label_ids = [await house.label(mara, "gone"), await house.label(mara, "stays")]
    await join(house, OWNER, label_ids[1], "owner")
    (await mara.delete(f"/v1/labels/{label_ids[0]}")).raise_for_status()
    house.clock.offset += deletion.GRACE + A_MINUTE
    for _ in range(3):
        await house.work()
        house.clock.offset += A_MINUTE
    assert await stored(house, "labels", _id=label_ids[0]) == []
    mara.headers["Authorization"] = f"Bearer {(await log_in(house, MARA)).json()['access_token']}"
    shown = await to_the_end(house, await begin(mara))
    told = await stored(house, "events", type="person.erased")
    assert [one["label_id"] for one in told] == label_ids[1:]
    assert shown["receipt"]["receipt"]["told"][0].startswith("1 labels")


async def test_their_own_exports_are_told_of(house: House) -> None:
    """What has no label is shown before, and goes: the record, its operation's work, and the file."""
    mara = await house.person(MARA)
    files = f"exports/{(await user_of(house, MARA))['_id']}/"
    (await mara.post("/v1/me/exports", json={})).raise_for_status()
    await house.work()
    assert await house.worker.objects.keys_below(files) != []
    shown = {one["what"]: one["documents"] for one in (await mara.get(PATH)).json()["erases"]}
    assert shown["exports"] == 1
    await to_the_end(house, await begin(mara))
    assert await stored(house, "exports") == [] and await house.worker.objects.keys_below(files) == []


async def test_killed_between_its_end_and_its_last_look(house: House) -> None:
    """The last look is an operation of its own: asked twice, it finds nothing more, and forgets the labels."""
    mara = await house.person(MARA)
    begun = await begin(mara)
    await to_the_end(house, begun)
    house.clock.offset += timedelta(days=1) + SETTLED
    for _ in range(2):
        again = {"$set": {"state": "queued", "due_at": house.clock() - A_MINUTE}}
        await house.db.raw["operations"].update_one({"kind": "look_for_erased"}, again, comment=SPANS)
        await house.work()
    [look] = await stored(house, "operations", kind="look_for_erased")
    assert look["state"] == "succeeded" and look["result"] == {"documents": 0}
    assert "labels" not in await requests.need(house.db, begun["request_id"])
    assert erasure.hash_of(begun["confirmation_code"]) == (await requests.need(house.db, begun["request_id"]))["code"]
