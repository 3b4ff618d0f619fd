"""Insights over HTTP: periods, metrics, sheets and charts; every query walks an index; what came of a plan."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from app.charts import wants_svg
from app.clients.graph_insights import Figure, Part, Remote, today
from app.db import Doc
from app.models.base import rfc3339
from app.services.insights import store
from app.services.insights.merging import known, lacking
from tests.api.test_api_inbox_plans import BAD, Finds, stages
from tests.house import ACCOUNT as OUR_ACCOUNT
from tests.house import House, open_house, settings_env

DAY = timedelta(days=1)
ACCOUNT: Any = {"source": "instagram_account_insights", "api_version": "v26.0"}
MEDIA: Any = {"source": "instagram_media_insights", "api_version": "v26.0"}
WATCHED = {"account_days", "media", "media_days"}


async def figures_of(
    house: House, label_id: str, *, count: int = 3, reach: int = 100, account: str = OUR_ACCOUNT
) -> tuple[Doc, list[Doc]]:
    """A connected account with figures of three days, and `count` media, the newest of yesterday."""
    connection = await house.connection(label_id, account)
    now = house.clock()
    for n in range(1, 4):
        told = {"reach": known(Figure(reach * n), as_of=now, **ACCOUNT, settled=n > 2)}
        told["views"] = known(Figure(7), as_of=now, **ACCOUNT, settled=True)
        parts = (Part("media_product_type", "=1+1", 3), Part("media_product_type", "REELS", 4))
        told["views_by_media_product_type"] = known(Figure(7, parts), as_of=now, **ACCOUNT, settled=True)
        told["likes"] = lacking("refused", as_of=now, **ACCOUNT)
        await store.record_day(house.db, connection, today(now) - n * DAY, told, settled=True, now=now)
    posted = [Remote(f"18{n}", "FEED", "IMAGE", None, now - (n + 1) * DAY) for n in range(count)]
    await store.record_media(house.db, connection, posted, now=now)
    media = await store.due_media(house.db, connection, product=None, now=now, limit=500)
    for one in media:
        told = {"reach": known(Figure(int(one["provider_id"][2:])), as_of=now, **MEDIA, settled=True)}
        await store.record_figures(house.db, one, today(now), told, due_at=now + DAY, now=now)
    return connection, media


async def ask(person: httpx.AsyncClient, label_id: str, path: str, status: int = 200, **params: Any) -> Any:
    """What the API answers below the label's insights."""
    answer = await person.get(f"/v1/labels/{label_id}/insights{path}", params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_what_is_asked_for_must_be(house: House) -> None:
    """Periods that are none, too long or of another age, metrics and accounts that there are not."""
    owner = await house.person()
    label_id = await house.label(owner)
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        (path, pointer, params)
        for path in ("/account", "/export.csv")
        for pointer, params in (
            ("/query/from", {"from": "2026-11-02", "to": "2026-11-01"}),
            ("/query/from", {"from": "2025-01-01", "to": "2026-11-01"}),
            ("/query/from", {"from": "0001-01-01", "to": "0001-01-02"}),
            ("/query/from", {"to": "9999-12-31"}),
            ("/query/metrics", {"metrics": "reach,money"}),
        )
    ]
    wrong += [
        ("/export.csv", "/query/from", {"of": "media", "from": "2026-10-01", "to": "2026-11-01"}),
        ("/media", "/query/from", {"from": "0001-01-01"}),
        ("/media", "/query/from", {"to": "9999-12-31"}),
        ("/media", "/query/from", {"from": "2026-11-02", "to": "2026-11-01"}),
        ("/account", "/query/from", {"from": "yesterday"}),
        ("/account", "/query/compare", {"compare": "last_year"}),
        ("/media", "/query/sort", {"sort": "money"}),
        ("/best-times", "/query/metric", {"metric": "money"}),
    ]
    for path, pointer, params in wrong:
        found = await ask(owner, label_id, path, 422, **params)
        assert [error["pointer"] for error in found["errors"]] == [pointer], (path, params, found)
    for path in ("/account", "/export.csv", "/best-times"):
        assert (await ask(owner, label_id, path, 404, connection_id="con_none"))["code"] == "not_found"
    assert (await ask(owner, label_id, "/media/med_none", 404))["code"] == "not_found"
    assert (await ask(owner, label_id, "/media", 400, cursor="none"))["code"] == "invalid_cursor"
    assert await ask(owner, label_id, "/media") == {"data": [], "next_cursor": None}
    times = await ask(owner, label_id, "/best-times")
    assert (times["status"], times["posts"], times["posts_needed"], times["slots"]) == ("not_enough_data", 0, 20, [])


async def test_a_series_and_its_comparison(house: House) -> None:
    """Every day, also the unread ones; what was refused says so; a comparison without a base is none."""
    owner = await house.person()
    label_id = await house.label(owner)
    await figures_of(house, label_id)
    last = today(house.clock()) - DAY
    period: Any = {"from": str(last - 2 * DAY), "to": str(last), "compare": "previous_period"}
    found = await ask(owner, label_id, "/account", metrics="reach,views,likes", **period)
    assert (found["from"], found["to"], found["timezone"]) == (period["from"], period["to"], "America/Los_Angeles")
    [account] = found["data"]
    told = {one["metric"]: one for one in account["series"]}
    assert [point["value"] for point in told["reach"]["points"]] == [300, 200, 100]
    assert [point["status"] for point in told["reach"]["points"]] == ["ok", "partial", "partial"]
    assert (told["views"]["total"]["value"], told["views"]["comparison"]["reason"]) == (21, "base_days_missing")
    assert told["views"]["comparison"]["ratio"] is None
    assert {point["reason"] for point in told["likes"]["points"]} == {"refused"}
    await house.db.open("connections").update_one(
        {"_id": account["connection_id"], "label_id": label_id}, {"$set": {"status": "revoked"}}
    )
    assert (await ask(owner, label_id, "/account"))["data"] == []


async def test_a_sheet_over_http(house: House) -> None:
    """Accounts and media as CSV, with the parts, the gaps and their reasons, and no formula."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection, media = await figures_of(house, label_id)
    last = today(house.clock())
    path = f"/v1/labels/{label_id}/insights/export.csv"
    metrics = "views,views_by_media_product_type,likes"
    answer = await owner.get(path, params={"from": str(last - 4 * DAY), "to": str(last - DAY), "metrics": metrics})
    assert (
        answer.headers["content-type"].startswith("text/csv") and "attachment" in answer.headers["content-disposition"]
    )
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == 4 * 3 + 3 * 2 and {row["connection_id"] for row in rows} == {connection["_id"]}
    assert {row["part"] for row in rows} == {"", "'=1+1", "REELS"}
    assert [row["reason"] for row in rows if row["metric"] == "views"] == ["not_read", "", "", ""]
    answer = await owner.get(path, params={"of": "media", "from": str(last), "to": str(last)})
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert {row["media_id"] for row in rows} == {one["_id"] for one in media}
    assert sorted(int(row["value"]) for row in rows) == [0, 1, 2]
    shown = {(row["account"], row["product"], row["permalink"], row["posted_at"]) for row in rows}
    name = connection["account"]["username"]
    assert shown == {(name, "FEED", one["permalink"] or "", rfc3339(one["posted_at"])) for one in media}


async def test_a_chart_shows_every_account(house: House) -> None:
    """Of several accounts the first metrics of each, and not all of one."""
    owner = await house.person()
    label_id = await house.label(owner)
    for n in range(3):
        await figures_of(house, label_id, count=0, account=f"1784140000000004{n}")
    url = f"/v1/labels/{label_id}/insights/account"
    drawn = await owner.get(url, headers={"Accept": "image/svg+xml"})
    told = str(ElementTree.fromstring(drawn.content)[1].text)
    shown, _, left_out = told.partition("Not drawn")
    assert [shown.count(f": {name}:") for name in ("reach", "accounts_engaged", "views")] == [3, 3, 2], told
    assert left_out.count(": views") == 1 and "days that may still change" in shown


async def test_a_medias_chart_shows_its_gaps(house: House) -> None:
    """Days without a look are gaps, and a figure that is zero is drawn."""
    owner = await house.person()
    label_id = await house.label(owner)
    _, media = await figures_of(house, label_id, count=1)
    now = house.clock()
    for back, value in ((9, 0), (2, 0)):
        told = {"saved": known(Figure(value), as_of=now, **MEDIA, settled=True)}
        await store.record_figures(house.db, media[0], today(now) - back * DAY, told, due_at=None, now=now)
    url = f"/v1/labels/{label_id}/insights/media/{media[0]['_id']}"
    drawn = await owner.get(url, headers={"Accept": "image/svg+xml"}, params={"metrics": "saved"})
    assert "saved: at 0 on " in drawn.text and ", 26 days without a figure" in drawn.text


async def test_a_chart_over_http(house: House) -> None:
    """With `Accept: image/svg+xml` a series is a picture that can do nothing; whoever may not see it gets a problem."""
    owner = await house.person()
    label_id = await house.label(owner)
    _, media = await figures_of(house, label_id)
    for path in ("/account", f"/media/{media[0]['_id']}"):
        url = f"/v1/labels/{label_id}/insights{path}"
        drawn = [await owner.get(url, headers={"Accept": "image/svg+xml"}) for _ in range(2)]
        assert drawn[0].status_code == 200 and drawn[0].headers["content-type"] == "image/svg+xml"
        assert drawn[0].content == drawn[1].content and "Accept" in drawn[0].headers["vary"]
        assert drawn[0].headers["content-security-policy"].startswith("default-src 'none'")
        assert ElementTree.fromstring(drawn[0].content).attrib["role"] == "img"
        plain = await owner.get(url)
        assert plain.headers["content-type"] == "application/json" and "Accept" in plain.headers["vary"]
        refused = await house.http.get(url, headers={"Accept": "image/svg+xml"})
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")


@pytest.mark.parametrize(
    ("accept", "svg"),
    [
        ("image/svg+xml", True),
        ("image/avif,image/svg+xml,image/*,*/*;q=0.8", True),
        ("application/json", False),
        ("*/*", False),
        ("", False),
        ("image/svg+xml;q=0.5, application/json", False),
        ("image/svg+xml;q=0", False),
        ("image/svg+xml;q=x", False),
        ("IMAGE/SVG+XML", True),
    ],
)
def test_who_wants_a_chart(accept: str, svg: bool) -> None:
    """Whoever names SVG, and not JSON before it."""

    class Asked:
        headers = httpx.Headers({"accept": accept})

    assert wants_svg(Asked()) is svg  # type: ignore[arg-type]


async def test_best_times_over_http(house: House) -> None:
    """Posts of Friday evenings that reach ten times as many: the time is named in the label's zone, with its posts."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connection(label_id)
    now = house.clock()
    begin = (now - 60 * DAY).replace(hour=9, minute=0)
    fridays = [begin.replace(hour=19) + n * DAY for n in range(45) if (begin + n * DAY).weekday() == 4]
    posted = [Remote(f"1{n}", "FEED", None, None, begin + n * DAY) for n in range(45)]
    posted += [Remote(f"2{n}", "FEED", None, None, at) for n, at in enumerate(fridays)]
    posted += [Remote("3", "FEED", None, None, now - DAY), Remote("4", "STORY", None, None, fridays[0])]
    await store.record_media(house.db, connection, posted, now=now)
    for one in await store.due_media(house.db, connection, product=None, now=now, limit=500):
        value = 1000 if one["provider_id"][0] == "2" else 100 + int(one["provider_id"]) % 2
        told = {"reach": known(Figure(value), as_of=now, **MEDIA, settled=True)}
        await store.record_figures(house.db, one, today(now), told, due_at=None, now=now)
    found = await ask(owner, label_id, "/best-times")
    assert (found["status"], found["timezone"], found["left_out"]) == ("found", "UTC", 1)
    assert [(one["weekday"], one["from_hour"], one["to_hour"]) for one in found["slots"]] == [("fri", 18, 21)]
    assert found["posts"] == 45 + len(fridays) and len(found["slots"][0]["posts"]) == len(fridays)
    assert (await ask(owner, label_id, "/best-times", metric="views"))["status"] == "not_enough_data"


@pytest.fixture
async def watched_house(mongodb_url: str, redis_url: str, key_folder: Path) -> AsyncIterator[tuple[House, Finds]]:
    """The product, whose finds on insights are kept."""
    finds = Finds(WATCHED)
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url)
    async with open_house(env, listeners=(finds,)) as house:
        yield house, finds


async def test_every_query_walks_an_index(watched_house: tuple[House, Finds]) -> None:
    """Each list in each order, on each page, each series and sheet, and what the worker asks for."""
    house, finds = watched_house
    owner = await house.person()
    label_id = await house.label(owner)
    connection, media = await figures_of(house, label_id)
    finds.kept = []
    for name in ("posted_at", "reach", "views", "total_interactions"):
        for sort in (name, f"-{name}"):
            for narrowed in ({}, {"connection_id": connection["_id"]}, {"product": "FEED", "from": "2026-01-01"}):
                seen: list[str] = []
                params: dict[str, Any] = {"sort": sort, "limit": 2, **narrowed}
                while True:
                    page = await ask(owner, label_id, "/media", **params)
                    seen += [one["id"] for one in page["data"]]
                    if page["next_cursor"] is None:
                        break
                    params["cursor"] = page["next_cursor"]
                assert sorted(seen) == sorted(one["_id"] for one in media), (sort, narrowed)
    await ask(owner, label_id, "/account", compare="previous_period")
    await ask(owner, label_id, f"/media/{media[0]['_id']}")
    await ask(owner, label_id, "/best-times")
    (await owner.get(f"/v1/labels/{label_id}/insights/export.csv", params={"of": "account"})).raise_for_status()
    day = str(today(house.clock()))
    query = {"of": "media", "from": day, "to": day}
    (await owner.get(f"/v1/labels/{label_id}/insights/export.csv", params=query)).raise_for_status()
    await store.read_days(house.db, connection, since=today(house.clock()) - 90 * DAY)
    await store.of_provider(house.db, label_id, ["180"], now=house.clock())
    kept, finds.kept = finds.kept, None
    assert {found["find"] for found in kept} == WATCHED
    for command in kept:
        if set(command.get("sort", {})) > {"_id"}:  # an index is walked both ways, which the stand-in does not tell
            command["sort"] = dict.fromkeys(command["sort"], -1)
        told = await house.db.raw.command("explain", command, verbosity="queryPlanner")
        found = set(stages(told["queryPlanner"]["winningPlan"]))
        assert found and not found & BAD, (command, told["queryPlanner"]["winningPlan"])


async def campaign_of(house: House, label_id: str, connection: Doc, ids: list[str | None], now: datetime) -> str:
    """A release plan with a publication for each of these ids at Meta; none is one that is not out, and an empty one is
    not known."""
    place = {"label_id": label_id}
    await house.db.open("release_plans").insert_one(place | {"_id": "rpl_x"})
    for n, provider_id in enumerate(ids):
        publication = place | {"_id": f"pub_{n}", "plan_id": "rpl_x", "created_at": now}
        await house.db.open("publications").insert_one(publication)
        target = place | {"_id": f"pbt_{n}", "publication_id": f"pub_{n}", "publication_version": 1}
        target |= {"connection_id": connection["_id"], "provider_id": provider_id or None}
        target |= {"state": "waiting" if provider_id is None else "published", "created_at": now}
        await house.db.open("publication_targets").insert_one(target)
    return "rpl_x"


async def test_what_came_of_a_plan(house: House) -> None:
    """Each publication with what it became, and totals of what adds up: none of people, and what is missing is told."""
    owner = await house.person()
    label_id = await house.label(owner)
    connection, media = await figures_of(house, label_id)
    now = house.clock()
    for one in media[:2]:
        told = {"likes": known(Figure(5), as_of=now, **MEDIA, settled=True)}
        await store.record_figures(house.db, one, today(now), told, due_at=None, now=now)
    ids = [*(one["provider_id"] for one in media[:2]), "unseen", None, ""]
    plan_id = await campaign_of(house, label_id, connection, ids, now)
    found = await ask(owner, label_id, f"/campaigns/{plan_id}")
    assert found["publications"] == 5
    assert [one["reason"] for one in found["targets"]] == [None, None, "not_seen_yet", "not_published", "id_unknown"]
    assert [one["media"] and one["media"]["id"] for one in found["targets"]][:2] == [one["_id"] for one in media[:2]]
    totals = {one["metric"]: one for one in found["totals"]}
    assert totals["likes"] | {"metric": ""} == {
        "metric": "",
        "value": 10,
        "media": 2,
        "missing": 2,
        "reason": "media_missing",
    }
    assert (totals["reach"]["value"], totals["reach"]["reason"]) == (None, "not_additive")
    assert (await ask(owner, label_id, "/campaigns/rpl_none", 404))["code"] == "not_found"
