"""What a label publishes, and the figures of it, one of everything: makers as those of `matrix_makers.py`."""

from datetime import timedelta

from app.clients.graph_insights import Figure, Remote, today
from app.db import Doc
from app.ids import new_id
from app.services.insights import store as insights
from app.services.insights.merging import known
from tests.api.matrix_side import Side
from tests.api.matrix_targets import make_targets
from tests.house import House


async def make_insight_media(house: House, side: Side) -> list[str]:
    """Two media with figures of a day."""
    connection = await house.db.open("connections").find_one(
        {"_id": side.ids["connection_id"][0], "label_id": side.label_id}
    )
    assert connection is not None
    now = house.clock()
    posted = [Remote(f"1810000000{side.name}{n}", "FEED", "IMAGE", None, now - timedelta(days=n + 1)) for n in range(2)]
    await insights.record_media(house.db, connection, posted, now=now)
    told = known(Figure(7), as_of=now, source="instagram_media_insights", api_version="v26.0", settled=True)
    due = await insights.due_media(house.db, connection, product=None, now=now, limit=9)
    for media in due:
        await insights.record_figures(house.db, media, today(now), {"reach": told}, due_at=now, now=now)
    await insights.record_day(house.db, connection, today(now), {"reach": told}, settled=True, now=now)
    return [media["_id"] for media in due]


async def make_press(house: House, side: Side) -> list[str]:
    """A Page on which the label may publish."""
    on: Doc = {"provider": "facebook", "network": "facebook", "_id": new_id("con")}
    on |= {"features": ["publishing"], "active_features": ["publishing"]}
    return [(await house.connection(side.label_id, f"3000000000000{side.account[-2:]}", **on))["_id"]]


def a_post(side: Side) -> Doc:
    """A text on that Page."""
    return {
        "kind": "page_post",
        "targets": side.ids["targets"],
        "caption": "On Friday.",
        "local_time": "2027-02-26T18:30",
    }


async def make_posts(house: House, side: Side) -> list[str]:
    """Two that are approved; one that is a draft, and one that waits to be approved."""
    made = [await side.owner.post(f"{side.path}/publications", json=a_post(side)) for _ in range(4)]
    approved, again, draft, asked = [answer.raise_for_status().json()["id"] for answer in made]
    (await side.owner.patch(f"{side.path}/publications/{approved}", json={"caption": "Friday!"})).raise_for_status()
    for one, steps in ((approved, ("submit", "approve")), (again, ("submit", "approve")), (asked, ("submit",))):
        for step in steps:
            (await side.owner.post(f"{side.path}/publications/{one}/{step}")).raise_for_status()
    side.ids["submitPublication.publication_id"] = [draft]
    side.ids["approvePublication.publication_id"] = side.ids["rejectPublication.publication_id"] = [asked]
    return [approved, again]


async def make_post_targets(house: House, side: Side) -> list[str]:
    """Of publications that have been scheduled."""
    return await make_targets(house, side, a_post(side))


async def make_post_comments(house: House, side: Side) -> list[str]:
    """Two of the team's comments on the first publication."""
    path = f"{side.path}/publications/{side.ids['publication_id'][0]}/comments"
    made = [await side.owner.post(path, json={"text": f"comment {n}"}) for n in range(2)]
    return [answer.raise_for_status().json()["id"] for answer in made]


async def make_slots(house: House, side: Side) -> list[str]:
    """Two times of the week."""
    wish = {"name": "Evening", "connection_ids": side.ids["targets"], "days": ["fri"], "time": "18:30"}
    made = [await side.owner.post(f"{side.path}/slots", json=wish) for _ in range(2)]
    return [answer.raise_for_status().json()["id"] for answer in made]


async def make_plans(house: House, side: Side) -> list[str]:
    """Two releases."""
    wish = {"title": "Night Swim", "release_date": "2027-02-26"}
    made = [await side.owner.post(f"{side.path}/release-plans", json=wish) for _ in range(2)]
    return [answer.raise_for_status().json()["id"] for answer in made]
