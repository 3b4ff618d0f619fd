"""Publishing against the sandbox: every kind, and once whatever Meta's answers are."""

from datetime import timedelta

import pytest

from tests.flows.publishing_harness import Press

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("kind", ["image", "carousel", "reel", "story"])
async def test_each_kind_of_instagrams(press: Press, kind: str) -> None:
    """It goes out at its time and not before, once, with its words, its address and its first comment."""
    more = {} if kind == "story" else {"first_comment": "Pre-save it now."}
    publication = await press.schedule(kind, after=20 * MINUTE, **more)
    await press.house.work()
    assert not await press.shown() and (await press.target(publication))["state"] == "waiting"
    target = await press.settle(publication)
    (shown,) = await press.meta.ledger("media_published")
    assert (target["state"], target["provider_id"]) == ("published", shown["media_id"])
    assert target["permalink"] == f"https://www.instagram.com/p/{shown['media_id']}/"
    assert shown["caption"] == publication["caption"] and await press.state(publication) == "published"
    assert timedelta() <= target["started_at"] - publication["scheduled_at"] < timedelta(seconds=2)
    comments = [row["text"] for row in await press.meta.ledger("comment_created")]
    assert comments == list(more.values()) and target["first_comment"]["state"] == ("done" if more else "none")
    types = [event["type"] for event in await press.desk.stored("events", target=publication["_id"])]
    assert set(types) == {"publication.changed"}
    [connection] = await press.desk.stored("connections", _id=press.desk.connection_id)
    assert connection["insights_at"] <= press.house.clock() + MINUTE


@pytest.mark.parametrize(
    "more",
    [
        {"caption": "Words alone."},
        {"caption": "A link.", "link": "https://example.com/album"},
        {"files": ["image"]},
        {"files": ["image", "image", "image"]},
        {"files": ["video"]},
    ],
    ids=["words", "link", "photo", "photos", "video"],
)
async def test_each_kind_of_a_pages(page: Press, more: dict[str, object]) -> None:
    """Hidden first, and shown at its time."""
    publication = await page.schedule("page_post", after=20 * MINUTE, first_comment="And a comment.", **more)
    target = await page.settle(publication)
    (shown,) = await page.meta.ledger("page_item_published")
    assert target["state"] == "published" and target["provider_id"] == shown["post_id"], target
    assert target["permalink"] and shown["text"] == publication["caption"]
    assert shown["at"] >= publication["scheduled_at"].timestamp() * 1000
    assert target["first_comment"]["state"] == "done"


FAULTS = {
    "lost": {"fault": "lost"},
    "500 but executed": {"fault": "500-executed"},
    "spam but executed": {"fault": "error-executed", "code": 4, "subcode": 2207051},
    "not ready but executed": {"fault": "error-executed", "code": 9007, "subcode": 2207027},
    "quota but executed": {"fault": "error-executed", "code": 9, "subcode": 2207042},
    "permission but executed": {"fault": "error-executed", "code": 10},
    "200 but not executed": {"fault": "200-not-executed"},
    "transient before": {"fault": "error", "code": 2},
    "input transient before": {"fault": "error", "code": -1, "subcode": 2207001},
    "http 500 before": {"fault": "http", "code": 500},
    "html before": {"fault": "html"},
    "nothing before": {"fault": "empty"},
    "rate limited before": {"fault": "error", "code": 4},
    "gone before": {"fault": "error", "code": 24, "subcode": 2207008},
    "slower than we wait": {"fault": "slow", "seconds": 1.4},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_an_answer_that_tells_nothing(press: Press, fault: dict[str, object]) -> None:
    """It is asked what became of the container; it is shown once, and never said to have failed."""
    publication = await press.schedule(first_comment="Hello.")
    await press.fault(**fault)  # type: ignore[arg-type]
    target = await press.settle(publication)
    assert target["state"] == "published", target
    (shown,) = await press.meta.ledger("media_published")
    assert target["provider_id"] == shown["media_id"] and await press.state(publication) == "published"
    assert len(await press.meta.ledger("comment_created")) == 1


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_the_same_on_a_page(page: Press, fault: dict[str, object]) -> None:
    """A Page's post is shown by its own id, once."""
    publication = await page.schedule("page_post", after=MINUTE, caption="Once.")
    while (await page.target(publication))["state"] != "ready":
        await page.house.work()
    (made,) = await page.meta.ledger("page_item_created")
    match = {"path": f"/{made['item_id']}$", "method": "POST"}
    await page.meta.control("POST", "/faults", **(fault | {"match": match}))
    target = await page.settle(publication)
    assert target["state"] == "published", target
    assert [row["item_id"] for row in await page.meta.ledger("page_item_published")] == [made["item_id"]]
    assert target["provider_id"] == made["item_id"]
