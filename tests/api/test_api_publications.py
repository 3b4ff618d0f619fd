"""Publications over HTTP: written, changed, approved, scheduled, taken back."""

import asyncio
from datetime import timedelta

import pytest

from app.db import Doc
from tests.api.people import join
from tests.api.publishing_harness import CAPTION, Desk, open_desk
from tests.house import House


@pytest.fixture
async def desk(house: House) -> Desk:
    """A label that publishes."""
    return await open_desk(house)


async def test_the_whole_way(desk: Desk) -> None:
    """An editor writes and asks, the owner approves, the editor schedules: targets wait for their time."""
    draft = await desk.draft(desk.editor, await desk.body(alt_text="A sleeve", first_comment="Hello"))
    assert (draft["state"], draft["version"], draft["deliveries"]) == ("draft", 1, [])
    early = await desk.step(draft, "schedule", by=desk.editor)
    assert (early.status_code, early.json()["code"]) == (409, "approval_needed")
    asked = (await desk.step(draft, "submit", by=desk.editor)).raise_for_status().json()
    assert (asked["state"], asked["submitted_by"]["kind"]) == ("in_review", "person")
    refused = await desk.step(draft, "approve", by=desk.editor)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    approved = (await desk.step(draft, "approve", {"comment": "Lovely."})).raise_for_status().json()
    assert (approved["state"], approved["approved_version"]) == ("approved", 1)
    answer = await desk.step(draft, "schedule", by=desk.editor)
    scheduled = answer.json()
    assert (answer.status_code, scheduled["state"], scheduled["warnings"]) == (202, "scheduled", [])
    assert answer.headers["Location"] == f"/v1/operations/{scheduled['operation_id']}"
    (delivery,) = scheduled["deliveries"]
    assert (delivery["state"], delivery["due_at"]) == ("waiting", scheduled["scheduled_at"])
    (said,) = (await desk.owner.get(f"{desk.path}/{draft['id']}/comments")).json()["data"]
    assert (said["about"], said["text"], said["version"]) == ("approved", "Lovely.", 1)


async def test_a_change_takes_back(desk: Desk) -> None:
    """What was scheduled is a draft again when it is changed: not approved, and nothing of it waits."""
    draft = await desk.draft()
    scheduled = (await desk.step(draft, "schedule")).raise_for_status().json()
    changed = await desk.editor.patch(f"{desk.path}/{draft['id']}", json={"caption": "Another text for this Friday."})
    assert changed.status_code == 200, changed.text
    found = changed.json()
    assert (found["state"], found["approved_by"], found["content_version"]) == ("draft", None, found["version"])
    operation = await desk.owner.get(f"/v1/operations/{scheduled['operation_id']}")
    assert operation.json()["state"] == "cancelled"
    assert [one["state"] for one in found["deliveries"]] == ["cancelled"]
    assert (await desk.step(draft, "schedule", by=desk.editor)).json()["code"] == "approval_needed"


async def test_rejected(desk: Desk) -> None:
    """It goes back to its writer with the reason, can be changed and asked for again."""
    draft = await desk.draft(desk.editor)
    await desk.step(draft, "submit", by=desk.editor)
    assert (await desk.step(draft, "reject")).status_code == 422
    back = (await desk.step(draft, "reject", {"comment": "The date is wrong."})).raise_for_status().json()
    assert back["state"] == "draft"
    again = await desk.step(draft, "reject", {"comment": "Twice."})
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    assert again.json()["detail"] == "The publication is draft, and must be in_review for this: submit it first"


async def test_four_eyes(desk: Desk) -> None:
    """Where the label wants them, nobody approves their own, and scheduling approves nothing."""
    setting = {"publishing_approval": "four_eyes"}
    (await desk.owner.patch(f"/v1/labels/{desk.label_id}", json=setting)).raise_for_status()
    draft = await desk.draft()
    assert (await desk.step(draft, "schedule")).json()["code"] == "approval_needed"
    await desk.step(draft, "submit")
    own = await desk.step(draft, "approve")
    assert (own.status_code, own.json()["code"]) == (403, "own_publication")
    admin = await join(desk.house, "admin@example.com", desk.label_id, "admin")
    (await desk.step(draft, "approve", by=admin)).raise_for_status()
    (await desk.step(draft, "schedule")).raise_for_status()


async def test_four_eyes_of_all_who_wrote(desk: Desk) -> None:
    """Nobody approves what they have had a hand in since somebody else approved it, whoever came last; and who changes
    nothing has had none."""
    setting = {"publishing_approval": "four_eyes"}
    (await desk.owner.patch(f"/v1/labels/{desk.label_id}", json=setting)).raise_for_status()
    admin = await join(desk.house, "admin@example.com", desk.label_id, "admin")
    draft = await desk.draft()
    path = f"{desk.path}/{draft['id']}"
    await desk.step(draft, "submit")
    for nothing in ({"share_to_feed": None}, {"caption": CAPTION, "timezone": "UTC"}, {}):
        same = (await desk.editor.patch(path, json=nothing)).raise_for_status().json()
        assert (same["state"], same["version"]) == ("in_review", 2), nothing
    assert (await desk.step(draft, "approve")).json()["code"] == "own_publication"
    (await desk.editor.patch(path, json={"caption": "The editor's."})).raise_for_status()
    await desk.step(draft, "submit")
    assert (await desk.step(draft, "approve")).json()["code"] == "own_publication"
    (await desk.step(draft, "approve", by=admin)).raise_for_status()
    (await desk.editor.patch(path, json={"caption": "The editor's second."})).raise_for_status()
    await desk.step(draft, "submit", by=desk.editor)
    (await desk.step(draft, "approve")).raise_for_status()


async def test_no_approval_needed(desk: Desk) -> None:
    """Where the label wants none, an editor schedules what they have written."""
    setting = {"publishing_approval": "not_needed"}
    (await desk.owner.patch(f"/v1/labels/{desk.label_id}", json=setting)).raise_for_status()
    draft = await desk.draft(desk.editor)
    assert (await desk.step(draft, "schedule", by=desk.editor)).status_code == 202


async def test_an_approval_is_of_one_version(desk: Desk) -> None:
    """Who approves names what they saw; what was changed since is not approved by it."""
    draft = await desk.draft(desk.editor)
    asked = (await desk.step(draft, "submit", by=desk.editor)).raise_for_status()
    (
        await desk.editor.patch(f"{desk.path}/{draft['id']}", json={"caption": "Something else entirely."})
    ).raise_for_status()
    await desk.step(draft, "submit", by=desk.editor)
    stale = await desk.step(draft, "approve", seen=asked.headers["ETag"])
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    assert (await desk.get(draft))["approved_version"] is None


async def test_a_hundred_edits_of_one_version(desk: Desk) -> None:
    """One of them is written, the others are told that it has changed."""
    draft = await desk.draft()
    path, match = f"{desk.path}/{draft['id']}", {"If-Match": '"1"'}
    edits = [desk.owner.patch(path, json={"caption": f"Edit {n}"}, headers=match) for n in range(100)]
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*edits)])
    assert statuses == [200] + [412] * 99
    assert (await desk.get(draft))["version"] == 2
    rows = (await desk.owner.get(f"{path}/versions")).json()["data"]
    assert [row["version"] for row in rows] == [2, 1]


async def test_versions_and_restore(desk: Desk) -> None:
    """Each change of content is kept; an earlier one comes back as a new version."""
    draft = await desk.draft()
    path = f"{desk.path}/{draft['id']}"
    await desk.owner.patch(path, json={"caption": "Second"})
    await desk.owner.patch(path, json={"link": "https://example.com/album", "local_time": "2027-02-28T18:30"})
    newest, second, first = (await desk.owner.get(f"{path}/versions")).json()["data"]
    assert (first["changed"], second["changed"]) == ([], ["caption"])
    assert newest["changed"] == ["link", "scheduled_at", "local_time"]
    restored = (await desk.owner.post(f"{path}/versions/1/restore")).raise_for_status().json()
    assert (restored["caption"], restored["link"], restored["version"]) == (CAPTION, None, 4)
    assert restored["scheduled_at"] == draft["scheduled_at"]
    assert (await desk.owner.post(f"{path}/versions/99/restore")).status_code == 404


async def test_cancel_and_schedule_again(desk: Desk) -> None:
    """What was cancelled is not published, keeps its approval, and can be scheduled for another time."""
    draft = await desk.draft()
    await desk.step(draft, "schedule")
    cancelled = (await desk.step(draft, "cancel")).raise_for_status().json()
    assert (cancelled["state"], [one["state"] for one in cancelled["deliveries"]]) == ("cancelled", ["cancelled"])
    assert (await desk.step(draft, "cancel")).json()["code"] == "wrong_state"
    at = desk.soon(days=3)
    again = (await desk.step(draft, "schedule", {"scheduled_at": at}, by=desk.editor)).raise_for_status().json()
    assert (again["scheduled_at"], [one["state"] for one in again["deliveries"]]) == (at, ["waiting"])
    moved = (await desk.step(draft, "schedule", {"scheduled_at": desk.soon(days=4)})).raise_for_status().json()
    assert [one["due_at"] for one in moved["deliveries"]] == [desk.soon(days=4)]
    assert moved["operation_id"] != again["operation_id"]


async def test_publish_now(desk: Desk) -> None:
    """At once, whatever time it had."""
    draft = await desk.draft()
    await desk.step(draft, "schedule")
    answer = await desk.step(draft, "publish-now")
    assert answer.status_code == 202
    due = answer.json()["deliveries"][0]["due_at"]
    assert due == answer.json()["scheduled_at"] < desk.soon(minutes=1)


@pytest.mark.parametrize("name", ["schedule", "publish-now", "submit"])
async def test_what_meta_would_refuse_is_not_queued(desk: Desk, name: str) -> None:
    """Each broken limit is named with its pointer, and nothing is queued."""
    draft = await desk.draft(body=await desk.body(caption="#a" * 31 + "x" * 2200, collaborators=["a", "b", "c", "d"]))
    answer = await desk.step(draft, name)
    assert (answer.status_code, answer.json()["code"]) == (422, "publication_invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/caption", "/caption", "/collaborators"]
    assert (await desk.get(draft))["state"] == "draft"
    assert await desk.house.db.open("publication_targets").count_documents({"label_id": desk.label_id}) == 0


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"targets": ["con_unknown"]}, "/targets/0"),
        ({"assets": ["ast_unknown"]}, "/assets/0"),
        ({"plan_id": "rpl_unknown"}, "/plan_id"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"scheduled_at": None, "local_time": "2027-02-29T10:00"}, "/local_time"),
        ({"local_time": "2027-02-28T10:00"}, "/local_time"),
        ({"offset": {"days": 1, "time": "10:00"}}, "/offset"),
        ({"user_tags": [{"username": "a", "asset_id": "ast_other"}]}, "/user_tags/0/asset_id"),
        ({"user_tags": [{"username": "@"}]}, "/user_tags/0/username"),
        ({"collaborators": ["@"]}, "/collaborators/0"),
        ({"late_policy": {"publish_within_min": 0}}, "/late_policy/publish_within_min"),
        ({"cover": {}}, "/cover"),
        ({"caption": "a\u0000b"}, None),
        ({"surprise": 1}, ""),
        ({"link": "javascript:alert(1)"}, "/link"),
        ({"link": "http://169.254.169.254/latest"}, "/link"),
        ({"link": "https://mara:secret@example.com/"}, "/link"),
        ({"link": "https://printer.local/"}, "/link"),
        ({"timezone": "localtime"}, "/timezone"),
        ({"timezone": "Factory"}, "/timezone"),
        ({"scheduled_at": "9999-12-31T23:59:59Z"}, "/scheduled_at"),
        ({"scheduled_at": "2027-02-28T10:00:00"}, "/scheduled_at"),
        ({"scheduled_at": 1798700000}, "/scheduled_at"),
        ({"scheduled_at": "1798700000"}, "/scheduled_at"),
    ],
)
async def test_bad_input_stores_nothing(desk: Desk, changes: Doc, pointer: str | None) -> None:
    """The field is named."""
    answer = await desk.owner.post(desk.path, json=await desk.post(**changes))
    assert answer.status_code in (400, 422), answer.text
    if pointer is not None:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await desk.owner.get(desk.path)).json()["data"] == []


async def test_what_is_changed_elsewhere(desk: Desk) -> None:
    """Who looks for it in a PATCH is told where."""
    draft = await desk.draft()
    answer = await desk.owner.patch(f"{desk.path}/{draft['id']}", json={"state": "scheduled"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["detail"].endswith(
        "state is changed by POST …/submit, /approve, /reject, /schedule, /publish-now, /cancel"
    )
    tagged = await desk.owner.patch(f"{desk.path}/{draft['id']}", json={"user_tags": [{"username": "a", "odd": 1}]})
    assert tagged.json()["errors"] == [
        {
            "pointer": "/user_tags/0",
            "detail": ("holds a field that this request does not have; there are username, asset_id, x, y"),
        }
    ]


async def test_times_that_cannot_be(desk: Desk) -> None:
    """Not in the past, and not more than a year ahead; a draft without a time needs one."""
    draft = await desk.draft()
    for at in (desk.soon(minutes=-1), desk.soon(days=367)):
        answer = await desk.step(draft, "schedule", {"scheduled_at": at})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/scheduled_at")
    past = await desk.draft(scheduled_at=desk.soon(minutes=-1))
    own = (await desk.step(past, "schedule")).json()["errors"]
    detail = "names no time, and the one that the publication has must be in the future"
    assert own == [{"pointer": "", "detail": detail}]
    timeless = await desk.draft(scheduled_at=None)
    assert (await desk.step(timeless, "schedule")).status_code == 422


async def test_the_odd_hours_are_told(desk: Desk) -> None:
    """A local time that is not there is later, of one that is there twice the first counts; the answer says so."""
    draft = await desk.draft(scheduled_at=None)
    for local, at, rule in (
        ("2027-03-28T02:30", "2027-03-28T01:30:00Z", "moved_forward"),
        ("2027-10-31T02:30", "2027-10-31T00:30:00Z", "first_of_two"),
        ("2027-10-31T03:30", "2027-10-31T02:30:00Z", None),
    ):
        order = {"local_time": local, "timezone": "Europe/Oslo"}
        found = (await desk.step(draft, "schedule", order)).raise_for_status().json()
        assert (found["scheduled_at"], found["time_rule"], found["local_time"]) == (at, rule, local)


async def test_alike_is_warned(desk: Desk) -> None:
    """The same words to the same account: told by the validation and at scheduling, and not refused."""
    first, second = await desk.draft(), await desk.draft(caption=CAPTION.upper() + "  ")
    assert (await desk.step(first, "schedule")).json()["warnings"] == []
    checked = (await desk.step(second, "validate")).raise_for_status().json()
    (warning,) = checked["targets"][0]["warnings"]
    assert (checked["valid"], warning["code"], warning["publication_id"]) == (True, "duplicate_content", first["id"])
    scheduled = await desk.step(second, "schedule")
    assert (scheduled.status_code, [one["code"] for one in scheduled.json()["warnings"]]) == (
        202,
        ["duplicate_content"],
    )


async def test_validation_stores_nothing(desk: Desk) -> None:
    """Per target: an image is nothing for a Page, a text is none for Instagram."""
    body = await desk.body(targets=[desk.account, desk.page], caption="#" + "x" * 2300)
    answer = (await desk.owner.post(f"{desk.path}/validate", json=body)).raise_for_status().json()
    instagram, page = answer["targets"]
    assert [(one["pointer"], one["code"], one["limit"]) for one in instagram["problems"]] == [
        ("/caption", "caption_too_long", 2200)
    ]
    assert [(one["code"], one["limit"]) for one in page["problems"]] == [("kind_not_supported", ["page_post"])]
    assert answer["counts"] == {"characters": 2301, "hashtags": 1, "mentions": 0}
    assert instagram["problems"][0]["version"] == "v26.0" and "IG User media" in instagram["problems"][0]["source"]
    assert (await desk.owner.get(desk.path)).json()["data"] == []


async def test_what_is_published_stays(desk: Desk) -> None:
    """As soon as a call has begun, nothing is changed, cancelled, moved or deleted any more."""
    draft = await desk.draft()
    await desk.step(draft, "schedule")
    of_it = {"label_id": desk.label_id, "publication_id": draft["id"]}
    await desk.house.db.open("publication_targets").update_one(of_it, {"$set": {"state": "publishing"}})
    before = await desk.get(draft)
    for name in ("cancel", "publish-now", "schedule"):
        answer = await desk.step(draft, name)
        assert (answer.status_code, answer.json()["code"]) == (409, "already_publishing"), name
    changed = await desk.owner.patch(f"{desk.path}/{draft['id']}", json={"caption": "Too late"})
    assert changed.json()["code"] == "already_publishing"
    assert (await desk.owner.delete(f"{desk.path}/{draft['id']}")).json()["code"] == "wrong_state"
    assert await desk.get(draft) == before


async def test_delete(desk: Desk) -> None:
    """With everything that hangs on it; what is scheduled must be cancelled first."""
    draft = await desk.draft()
    await desk.owner.post(f"{desk.path}/{draft['id']}/comments", json={"text": "Hm."})
    await desk.step(draft, "schedule")
    assert (await desk.owner.delete(f"{desk.path}/{draft['id']}")).json()["code"] == "wrong_state"
    await desk.step(draft, "cancel")
    assert (await desk.owner.delete(f"{desk.path}/{draft['id']}", headers={"If-Match": '"1"'})).status_code == 412
    assert (await desk.owner.delete(f"{desk.path}/{draft['id']}")).status_code == 204
    assert (await desk.owner.get(f"{desk.path}/{draft['id']}")).status_code == 404
    for name in ("publication_versions", "publication_comments", "publication_targets"):
        assert await desk.house.db.open(name).count_documents({"label_id": desk.label_id}) == 0, name


async def test_comments_are_the_teams(desk: Desk) -> None:
    """Whoever may write takes one away; what was said with a decision stays."""
    draft = await desk.draft()
    path = f"{desk.path}/{draft['id']}/comments"
    said = (await desk.editor.post(path, json={"text": "Is the date right?"})).raise_for_status().json()
    assert (await desk.owner.delete(f"{path}/{said['id']}")).status_code == 204
    await desk.step(draft, "submit")
    await desk.step(draft, "reject", {"comment": "No."})
    (decided,) = (await desk.owner.get(path)).json()["data"]
    assert (await desk.owner.delete(f"{path}/{decided['id']}")).status_code == 404
    assert (await desk.editor.post(path, json={"text": "  "})).status_code == 422


async def test_lists_and_filters(desk: Desk) -> None:
    """Newest first, in pages, by state and account."""
    made = [await desk.draft() for _ in range(3)]
    await desk.step(made[0], "schedule")
    page = (await desk.owner.get(desk.path, params={"limit": 2})).json()
    assert [one["id"] for one in page["data"]] == [made[2]["id"], made[1]["id"]]
    rest = (await desk.owner.get(desk.path, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert ([one["id"] for one in rest["data"]], rest["next_cursor"]) == ([made[0]["id"]], None)
    scheduled = (await desk.owner.get(desk.path, params={"state": "scheduled"})).json()["data"]
    assert [one["deliveries"][0]["state"] for one in scheduled] == ["waiting"]
    assert (await desk.owner.get(desk.path, params={"connection_id": desk.account})).json()["data"] == []


async def test_reminders(desk: Desk) -> None:
    """What somebody publishes by hand is due like everything else, and the calendar calls it a reminder."""
    draft = await desk.draft(mode="remind")
    scheduled = (await desk.step(draft, "schedule")).raise_for_status().json()
    operation = await desk.house.db.open("operations").find_one(
        {"_id": scheduled["operation_id"], "label_id": desk.label_id}
    )
    assert operation is not None
    due = desk.house.clock() + timedelta(days=1)
    assert abs(operation["due_at"] - due) < timedelta(minutes=2)
    (item,) = (await desk.owner.get(f"/v1/labels/{desk.label_id}/calendar")).json()["data"]
    assert (item["what"], item["publication_id"]) == ("reminder", draft["id"])
