"""The client of insights against a golden set of answers: exactly these numbers come of them, and no others."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients import graph_insights as meta
from app.clients.credentials import Opened
from app.clients.graph import Graph
from app.clients.graph_call import At
from app.clients.graph_errors import GraphError, RateLimited, Refused, TokenDead, Unavailable
from app.clients.graph_insights import Told
from app.models import insight_metrics
from app.models.insight_metrics import MEDIA, Table
from tests.unit.test_unit_answers import ANYTHING, places, replaced

GOLDEN = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "golden_insights").glob("*.json"))
}
TOKEN = "IGAATESTTOKEN"


class Wire:
    """Answers a call with the answer whose parameters it has; a call that none has fails."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        self.answers, self.calls = answers, list[dict[str, str]]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        params = dict(request.url.params)
        assert TOKEN not in str(request.url) and "access_token" not in params
        self.calls.append(params)
        for answer in self.answers:
            if params | answer["params"] == params:
                return httpx.Response(answer["status"], content=json.dumps(answer["body"]))
        raise AssertionError(params)


def at_of(answer: Any) -> At:
    """An account at a wire."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    hosts: Any = {"graph_url": "https://graph.example", "www_url": "", "api_url": ""}
    graph = Graph(http=http, version="v26.0", app_id="1", app_secret="x", **hosts)
    return At(host=graph, token=Opened(TOKEN, "insights"), network="instagram", account_id="17841400000000001")


def table_of(golden: dict[str, Any]) -> Table:
    """The table that an example is about, or those of its metrics that it names."""
    name = golden["table"]
    whole: Table = MEDIA[name] if name in MEDIA else getattr(insight_metrics, name)
    only = golden.get("only") or [one.name for one in whole.metrics]
    return Table(whole.subject, whole.source, tuple(one for one in whole.metrics if one.name in only))


def plain(told: Told) -> dict[str, Any]:
    """What was told, as the examples have it."""
    figures = [
        {
            "value": one.value,
            "parts": [list(asdict(part).values()) for part in one.parts],
            "day": one.day and one.day.isoformat(),
        }
        for one in told.figures
    ]
    return {"figures": figures, "lack": told.lack}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated calls follow at once."""

    async def at_once(seconds: float) -> None:
        return None

    monkeypatch.setattr("app.clients.graph_call.asyncio.sleep", at_once)


@pytest.mark.parametrize("name", GOLDEN)
async def test_the_golden_set(name: str) -> None:
    """Each metric has exactly the figures, parts and days of the example, or the reason why it has none."""
    golden = GOLDEN[name]
    table, wire = table_of(golden), Wire(golden["answers"])
    first, last = [date.fromisoformat(day) for day in golden.get("days", ())] or (None, None)
    told = await meta.read(at_of(wire), "17841400000000001", table.metrics, first=first, last=last)
    assert {name: plain(one) for name, one in told.items()} == golden["expected"]
    assert "TOKEN" not in repr(told)


def test_the_golden_set_is_whole() -> None:
    """Every table, and every reason, is in it."""
    found = list(GOLDEN.values())
    assert {one["table"] for one in found} >= {"INSTAGRAM_ACCOUNT", "INSTAGRAM_SERIES", "INSTAGRAM_NOW", "PAGE", *MEDIA}
    lacks = {told["lack"] for one in found for told in one["expected"].values()}
    reasons = ("no_data", "refused", "too_few_viewers", "before_professional", "malformed", "provider_error")
    assert lacks == {None, *reasons}


@pytest.mark.parametrize(
    ("code", "subcode", "status", "kind"),
    [
        (190, 463, 401, TokenDead),
        (4, None, 403, RateLimited),
        (80002, None, 400, RateLimited),
        (2, None, 500, Unavailable),
        (200, None, 403, Refused),
        (100, 33, 400, Refused),
    ],
)
async def test_what_is_about_all(code: int, subcode: int | None, status: int, kind: type[GraphError]) -> None:
    """A dead token, a limit, an outage, a lost permission, an object that is gone: no metric is marked for it."""
    error = {"code": code, "message": "…", "type": "OAuthException"} | ({"error_subcode": subcode} if subcode else {})
    wire = Wire([{"params": {}, "status": status, "body": {"error": error}}])
    with pytest.raises(kind):
        await meta.read(at_of(wire), "1", insight_metrics.INSTAGRAM_ACCOUNT.metrics)
    assert len(wire.calls) <= 12, "an outage is not tried with each metric"


@given(data=st.data())
async def test_anything_in_an_answer(data: st.DataObject) -> None:
    """Whatever stands in any place of an answer: a metric is read or marked, or the client's own error is raised."""
    golden = GOLDEN[data.draw(st.sampled_from(sorted(GOLDEN)))]
    table = table_of(golden)
    body = data.draw(st.sampled_from([one["body"] for one in golden["answers"]]))
    odd = replaced(body, data.draw(st.sampled_from(places(body))), data.draw(ANYTHING))
    wire = Wire([{"params": {}, "status": 200, "body": odd}])
    try:
        told = await meta.read(at_of(wire), "1", table.metrics)
    except GraphError:
        return
    assert told.keys() == {one.name for one in table.metrics}
    for one in told.values():
        assert (one.lack is None) == bool(one.figures)
        assert all(figure.value is None or figure.value >= 0 for figure in one.figures)
    assert "\ud800" not in repr(told)


async def test_lists_are_read_by_cursors_alone() -> None:
    """`next` holds the token and is not followed; what has no id or time is left out; no caption is asked for."""
    rows = [
        {"id": "1", "timestamp": "2026-11-20T10:00:00+0000", "media_product_type": "REELS", "media_type": "VIDEO"}
        | {"permalink": "https://www.instagram.com/reel/x/", "caption": "canary"},
        {"id": "2"},
        "nonsense",
    ]
    paging = {"cursors": {"after": "abc"}, "next": f"https://graph.example?access_token={TOKEN}"}
    wire = Wire([{"params": {}, "status": 200, "body": {"data": rows, "paging": paging}}])
    listed = await meta.media_of(at_of(wire), after=None)
    assert [one.provider_id for one in listed.media] == ["1"] and listed.after == "abc"
    assert listed.media[0].permalink == "https://www.instagram.com/reel/x/"
    assert "caption" not in wire.calls[0]["fields"] and "canary" not in repr(listed) and TOKEN not in repr(listed)
    assert (await meta.stories_of(at_of(wire))).media[0].product == "STORY"
