"""Every example payload of meta-platform.md, sections 2.3 to 2.6: its exact bytes in, the whole state out."""

from pathlib import Path

import pytest

from app.db import Doc
from app.models.base import rfc3339
from tests.flows.flows_harness import (
    PAYLOADS,
    PAYLOADS_AT,
    Desk,
    example,
    expected,
    moment,
    move_to,
    only_the_clock_decides,
    sit_down,
)
from tests.house import ACCOUNT, open_house, settings_env, signature

CDN = "https://lookaside.fbsbx.com/ig_messaging_cdn/"
VECTOR_SECRET = "soundops-test-secret-0001"
VECTOR = "sha256=0bd8d96ee49a00ad5972528c27d06b51acd899d18b249f8f44354ab92c71ae74"


def attached(kind: str, asset: str, title: str | None = None, provider_id: str | None = None) -> Doc:
    url = f"{CDN}?asset_id={asset[:-3]}&signature={asset[-3:]}"
    return {"type": kind, "url": url, "title": title, "provider_id": provider_id, "asset_id": None}


STORY = {
    "provider_id": "18100000000000006",
    "url": f"{CDN}?asset_id=181000006&signature=AbU",
    "link": "https://shop.example.test/lp",
}
ECHO = expected("aWdfZAout01", 1795420808900, direction="out", text="Friday!")
INLINE = expected(
    "aWdfZAm007", 1795420805900, text="Yes please", reply_to={"provider_id": "aWdfZAout01", "story": None}
)
AD = {"ref": "autumn", "ad_id": "120000000000009", "source": "ADS", "type": "OPEN_THREAD"}
LOVE = {"by": "fan", "emoji": "\u2764\ufe0f", "name": "love"}
CASES: list[tuple[list[str], list[Doc]]] = [
    (["text"], [expected("aWdfZAm001", 1795420799900, text="When is the vinyl back?")]),
    (
        ["images"],
        [
            expected(
                "aWdfZAm002",
                1795420800900,
                attachments=[attached("image", "181000001AbX"), attached("image", "181000002AbY")],
            )
        ],
    ),
    (
        ["ig_post"],
        [
            expected(
                "aWdfZAm003",
                1795420801900,
                attachments=[attached("ig_post", "181000003AbZ", "Out Friday", "18100000000000003")],
            )
        ],
    ),
    (
        ["ig_reel"],
        [
            expected(
                "aWdfZAm004",
                1795420802900,
                attachments=[attached("ig_reel", "181000004AbW", "Studio day", "18100000000000004")],
            )
        ],
    ),
    (
        ["story_mention"],
        [expected("aWdfZAm005", 1795420803900, attachments=[attached("story_mention", "181000005AbV")])],
    ),
    (
        ["story_reply"],
        [expected("aWdfZAm006", 1795420804900, text="Need this", reply_to={"provider_id": None, "story": STORY})],
    ),
    (["inline_reply"], [INLINE]),
    (["quick_reply"], [expected("aWdfZAm008", 1795420806900, text="Tour dates", quick_reply="TOUR_DATES")]),
    (["ad_referral"], [expected("aWdfZAm009", 1795420807900, text="Hi", referral=AD)]),
    (["echo"], [ECHO]),
    (["self_message"], [expected("aWdfZAself1", 1795420809900, direction="out", text="test")]),
    (["text", "unsend"], [expected("aWdfZAm001", 1795420799900, deleted_at=moment(1795420810900))]),
    (["unsupported"], [expected("aWdfZAm010", 1795420811900, unsupported=True)]),
    (["echo", "react"], [ECHO | {"reactions": [LOVE]}]),
    (["echo", "react", "unreact"], [ECHO]),
    (
        ["postback"],
        [expected("aWdfZApb01", 1795420814900, kind="postback", text="Where can I buy merch?", postback="MERCH")],
    ),
    (["echo", "seen"], [ECHO | {"read_at": moment(1795420816900)}]),
    (["inline_reply", "edit"], [INLINE | {"text": "Yes please, two", "edited_at": moment(1795420817900)}]),
    (["edit_zero"], []),
    (["standby"], [expected("aWdfZAm012", 1795420818999, text="hello?", standby=True)]),
    (["referral"], []),
    (["handover"], []),
    (["unsend"], []),
    (["react"], []),
    (["seen"], []),
    (["test_button"], []),
]


BOTH_WAYS = CASES + [(names[::-1], messages) for names, messages in CASES if len(names) > 1]


@pytest.mark.parametrize(("names", "messages"), BOTH_WAYS, ids=["-".join(names) for names, _ in BOTH_WAYS])
async def test_a_message_ends_as_meta_says(example_desk: Desk, names: list[str], messages: list[Doc]) -> None:
    """Each example, after those that it is about, or before them: the same messages. Delivered again: no change."""
    for name in names:
        await example_desk.give(name)
    assert await example_desk.everything() == messages
    for name in names:
        await example_desk.give(name)
    assert await example_desk.everything() == messages
    assert await example_desk.stored("parked_changes") == []
    assert await example_desk.undrained() == []


async def test_the_signature_vector_arrives(mongodb_url: str, redis_url: str, key_folder: Path) -> None:
    """The documented bytes under the documented signature, by one of two apps' secrets."""
    body = (PAYLOADS / "signature_vector.json").read_bytes()
    assert len(body) == 286 and signature(body, VECTOR_SECRET) == VECTOR
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, SOUNDOPS_META_APP_SECRET=VECTOR_SECRET)
    async with open_house(env) as house:
        await only_the_clock_decides(house)
        move_to(house, PAYLOADS_AT)
        desk = await sit_down(house)
        assert (await house.deliver(body, signed=VECTOR.replace("0bd8", "0bd9"))).status_code == 401
        assert (await house.deliver(body, signed=VECTOR)).status_code == 200
        await house.work()
        text = "Café \U0001f3b5 https://example.test"
        assert await desk.everything() == [expected("aWdfZAexample01", 1795420799900, text=text)]


async def test_a_fans_message_makes_a_conversation(example_desk: Desk) -> None:
    """The conversation as a whole: whose it is, until when an answer may go out, when it ends."""
    await example_desk.give("text")
    [found] = await example_desk.conversations()
    assert found.pop("id").startswith("cnv_")
    nobody = {"provider_id": "900000000000011", "username": None, "name": None, "picture_url": None}
    assert found == {
        "connection_id": example_desk.connection_id,
        "provider": "instagram",
        "network": "instagram",
        "participant": nobody,
        "status": "open",
        "assignee": None,
        "tags": [],
        "snoozed_until": None,
        "unread_count": 1,
        "last_message_at": "2026-11-23T07:59:59.900Z",
        "reply_window": {
            "closes_at": "2026-11-24T07:59:59.900Z",
            "human_agent_until": "2026-11-30T07:59:59.900Z",
        },
        "expires_at": "2026-12-23T07:59:59.900Z",
        "fan_read_at": None,
    }


async def test_only_the_fan_opens_the_window(example_desk: Desk) -> None:
    """An echo, a reaction, a read and a referral open none; a button pressed does."""
    for name in ("echo", "react", "seen", "referral"):
        await example_desk.give(name)
    [found] = await example_desk.conversations()
    assert found["reply_window"] == {"closes_at": None, "human_agent_until": None}
    assert found["unread_count"] == 0
    await example_desk.give("postback")
    [found] = await example_desk.conversations()
    assert found["reply_window"]["closes_at"] == "2026-11-24T08:00:14.900Z"
    assert found["unread_count"] == 1


async def test_a_referral_and_a_handover_are_kept_with_the_conversation(example_desk: Desk) -> None:
    """They bring no message; the conversation is not shown before it has one."""
    await example_desk.give("referral")
    await example_desk.give("handover")
    [stored] = await example_desk.stored("conversations")
    referral = {name: stored["referral"][name] for name in ("ref", "source", "type")}
    assert referral == {"ref": "flyer-23", "source": "IGME-SOURCE-LINK", "type": "OPEN_THREAD"}
    assert stored["thread_owner"]["owner_app_id"] == "1000000000000001"
    assert await example_desk.conversations() == []
    assert [event["type"] for event in await example_desk.stored("events")] == ["conversation.changed"] * 2


def comment(number: int, fan: int, ms: int, text: str | None, media_id: str, **more: object) -> Doc:
    """A comment as the API shows it, with what all examples share."""
    place = {"provider_id": media_id, "product_type": "FEED", "ad_id": None, "original_media_id": None}
    names = {12: "fan.two", 13: "fan.three", 14: "fan.four"}
    found = {
        "provider": "instagram",
        "provider_id": f"179000000000000{number}",
        "kind": "comment",
        "parent_provider_id": None,
        "media": place,
        "author": {"provider_id": f"9000000000000{fan}", "username": names.get(fan)},
        "own": False,
        "live": False,
        "status": "visible",
        "text": text,
        "flagged": False,
        "unanswered": not more.get("own"),
        "can": ["reply", "private_reply", "hide", "delete"],
        "sent_at": moment(ms),
        "edited_at": None,
        "deleted_at": None,
        "expires_at": moment(ms + 30 * 86_400_000),
    }
    return found | more


MEDIA, AD_MEDIA, LIVE_MEDIA = "18000000000000002", "18000000000000003", "18000000000000004"
ON_AD = {"provider_id": AD_MEDIA, "product_type": "AD", "ad_id": "120000000000010", "original_media_id": MEDIA}
IN_LIVE = {"provider_id": LIVE_MEDIA, "product_type": None, "ad_id": None, "original_media_id": None}
ON_REEL = {"provider_id": MEDIA, "product_type": "REELS", "ad_id": None, "original_media_id": None}
BY_US = {"provider_id": ACCOUNT, "username": "label"}
COMMENTS: dict[str, Doc] = {
    "comment": comment(21, 12, 1795420830000, "@label love it", MEDIA, parent_provider_id="17900000000000020"),
    "comment_flat": comment(21, 12, 1795420830000, "@label love it", MEDIA, media=ON_REEL),
    "comment_on_ad": comment(22, 13, 1795420831000, "price?", AD_MEDIA, media=ON_AD),
    "own_comment": comment(
        23,
        0,
        1795420832000,
        "Thanks!",
        MEDIA,
        own=True,
        author=BY_US,
        parent_provider_id="17900000000000021",
        can=["reply", "delete"],
    ),
    "live_comment": comment(
        24, 14, 1795420833000, "hi from Oslo", LIVE_MEDIA, media=IN_LIVE, live=True, can=["private_reply", "delete"]
    ),
    "mentions": comment(
        25,
        0,
        1795420834000,
        None,
        "18000000000000099",
        kind="mention",
        author={"provider_id": None, "username": None},
        media=dict.fromkeys(("product_type", "ad_id", "original_media_id")) | {"provider_id": "18000000000000099"},
        can=["reply"],
    ),
}


@pytest.mark.parametrize("name", COMMENTS)
async def test_a_comment_ends_as_meta_says(example_desk: Desk, name: str) -> None:
    """In both forms that Meta sends, in the list and by itself; twice is once."""
    await example_desk.give(name)
    await example_desk.give(name)
    [listed] = await example_desk.all("/comments")
    assert example_desk.plain(listed) == COMMENTS[name]
    assert await example_desk.get(f"/comments/{listed['id']}") == listed
    assert [event["type"] for event in await example_desk.stored("events")] == ["comment.received"]
    assert await example_desk.conversations() == []


async def test_both_forms_of_a_comment_are_one(example_desk: Desk) -> None:
    """The same comment flat and in `changes` is stored once."""
    await example_desk.give("comment")
    await example_desk.give("comment_flat")
    [listed] = await example_desk.all("/comments")
    assert example_desk.plain(listed) == COMMENTS["comment"]


@pytest.mark.parametrize("name", ["story_insights"])
async def test_an_unknown_field_is_parked(example_desk: Desk, name: str) -> None:
    """It is kept a week for an engineer, as Meta sent it, and shown to nobody."""
    await example_desk.give(name)
    await example_desk.give(name)
    [parked] = await example_desk.stored("parked_changes")
    assert (parked["channel"], parked["reason"]) == (name, "unknown_field")
    assert b'"media_id":' in parked["change"]
    assert parked["label_id"] == example_desk.label_id
    left_s = (parked["expires_at"] - PAYLOADS_AT).total_seconds()
    assert 7 * 86_400 <= left_s < 7 * 86_400 + 120, rfc3339(parked["expires_at"])
    assert (await example_desk.all("/comments"), await example_desk.conversations()) == ([], [])


def test_every_example_is_used() -> None:
    """No example lies in the folder without a state that it ends in."""
    used = {name for names, _ in CASES for name in names} | set(COMMENTS)
    elsewhere = {"story_insights", "signature_vector", "messenger"}
    assert used | elsewhere == {path.stem for path in PAYLOADS.iterdir()}
    assert all(example(name).startswith(b'{"object":"instagram"') for name in used)
