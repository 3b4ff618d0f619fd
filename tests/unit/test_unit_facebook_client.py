"""The client of Facebook's Graph against answers of its documented forms."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from app.clients import facebook as meta
from app.clients.credentials import Opened, WrongUse
from app.clients.facebook import Facebook
from app.clients.graph_call import proof_of
from app.clients.graph_errors import Refused, TokenDead
from app.models.features import missing_scopes, missing_tasks

APP_ID, SECRET, TOKEN = "1000000000000001", "soundops-test-secret-0001", "EAATESTTOKEN123"
Answer = Callable[[httpx.Request], Any]


class Wire:
    """What was called, and what is answered to it."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.calls = answer, list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer with a body, or with an error's code."""
        self.calls.append(request)
        found = self.answer(request)
        if isinstance(found, int) and not isinstance(found, bool):
            return httpx.Response(400, json={"error": {"code": found}})
        return httpx.Response(200, content=json.dumps(found))


def facebook_of(wire: Wire) -> Facebook:
    http = httpx.AsyncClient(transport=httpx.MockTransport(wire))
    return Facebook(
        http=http,
        graph_url="https://graph.facebook.com",
        www_url="https://www.facebook.com",
        version="v26.0",
        app_id=APP_ID,
        app_secret=SECRET,
    )


def opened() -> Opened:
    return Opened(TOKEN, "choose")


async def test_pages_are_read_by_cursors_alone() -> None:
    """An empty page is not the end, a missing `next` is; `next` itself, which holds the token, is never followed."""

    def answer(request: httpx.Request) -> Any:
        after = request.url.params.get("after")
        page = {None: ["1"], "a": [], "b": ["2"]}[after]
        following = {None: "a", "a": "b", "b": "c"}[after]
        paging: dict[str, Any] = {"cursors": {"after": following}}
        if after != "b":
            paging["next"] = f"https://elsewhere.example/?access_token={TOKEN}&after={following}"
        return {"data": [{"id": int(one), "name": "Page"} for one in page], "paging": paging}

    wire = Wire(answer)
    found = await meta.pages(facebook_of(wire), opened(), with_instagram=True)
    assert [page.provider_id for page in found] == ["1", "2"]
    assert len(wire.calls) == 3
    for call in wire.calls:
        assert call.url.host == "graph.facebook.com" and TOKEN not in str(call.url)
        assert "access_token" not in call.url.params["fields"]
        assert call.url.params["appsecret_proof"] == proof_of(SECRET, TOKEN)


async def test_pages_without_an_end_are_capped() -> None:
    """A list that goes on for ever is broken off."""
    paging = {"cursors": {"after": "x"}, "next": "https://graph.facebook.com/x"}
    wire = Wire(lambda request: {"data": [{"id": "1"}], "paging": paging})
    await meta.pages(facebook_of(wire), opened(), with_instagram=False)
    assert len(wire.calls) == meta.MOST_PAGES // meta.AT_ONCE
    assert "instagram_business_account" not in wire.calls[0].url.params["fields"]


async def test_secrets_of_the_log_in_travel_in_bodies() -> None:
    """The code, the short token and our secret stand in no address; a missing lifetime is none."""
    wire = Wire(lambda request: {"access_token": "long", "token_type": "bearer"})
    facebook = facebook_of(wire)
    redirect = "https://api.example.com/v1/oauth/callback/facebook"
    short = await meta.exchange_code(facebook, Opened("the-code", "connect"), redirect_uri=redirect)
    long = await meta.lengthen(facebook, Opened(short.token, "connect"))
    assert (long.token, long.lifetime) == ("long", None) and "long" not in repr(long)
    for call in wire.calls:
        assert (call.method, call.url.query) == ("POST", b"")
        assert parse_qs(call.content.decode())["client_secret"] == [SECRET]


async def test_the_apps_own_token() -> None:
    """`debug_token` and `revoke` are the app's calls: its token in the header, and the proof over that."""
    said = {
        "app_id": int(APP_ID),
        "is_valid": True,
        "scopes": [],
        "user_id": 7,
        "expires_at": 0,
        "data_access_expires_at": 1802776000,
    }
    wire = Wire(lambda request: {"data": said} if request.method == "GET" else True)
    facebook = facebook_of(wire)
    facts = await meta.debug_token(facebook, opened())
    assert (facts.app_id, facts.person_id, facts.is_valid, facts.expires_at) == (APP_ID, "7", True, None)
    assert facts.access_ends_at is not None and facts.access_ends_at.year == 2027
    assert await meta.revoke(facebook, person_id="7")
    assert await meta.revoke_one(facebook, person_id="7", scope="pages_messaging")
    for call in wire.calls:
        assert call.headers["Authorization"] == f"Bearer {APP_ID}|{SECRET}"
        assert call.url.params["appsecret_proof"] == proof_of(SECRET, f"{APP_ID}|{SECRET}")
    paths = [call.url.path for call in wire.calls[1:]]
    assert paths == ["/v26.0/7/permissions", "/v26.0/7/permissions/pages_messaging"]


@pytest.mark.parametrize(("answer", "expected"), [(True, True), ({"success": True}, True), (190, False)])
async def test_revoking(answer: Any, expected: bool) -> None:
    """A bare `true` is documented, an object is what comes; 190 says that it had ended before."""
    assert await meta.revoke(facebook_of(Wire(lambda request: answer)), person_id="7") is expected


async def test_fields_that_meta_does_not_know() -> None:
    """One unknown field costs the whole call: the core set is tried then. What is forbidden is not tried again."""
    wire = Wire(lambda request: 100 if "standby" in request.url.params["subscribed_fields"] else {"success": True})
    wanted: set[meta.Wanted] = {("page", "messages"), ("instagram", "comments"), ("page", "comments")}
    fields = await meta.subscribe(facebook_of(wire), opened(), page_id="1", wanted=wanted)
    assert sorted(fields) == ["feed", "messages", "messaging_postbacks"] and len(wire.calls) == 2
    refusing = Wire(lambda request: 200)
    with pytest.raises(Refused):
        await meta.subscribe(facebook_of(refusing), opened(), page_id="1", wanted=wanted)
    assert len(refusing.calls) == 1


async def test_a_withheld_page_token_is_a_refusal() -> None:
    """Meta leaves the field out; an error of the person's token is another thing."""
    with pytest.raises(Refused) as refused:
        await meta.page_token(facebook_of(Wire(lambda request: {"id": "1"})), opened(), page_id="1")
    assert refused.value.reason == "permission_lost"
    with pytest.raises(TokenDead):
        await meta.page_token(facebook_of(Wire(lambda request: 190)), opened(), page_id="1")


async def test_a_token_of_a_feature_serves_no_duty() -> None:
    """What was opened for messages cannot list Pages."""
    wire = Wire(lambda request: {"data": []})
    with pytest.raises(WrongUse):
        await meta.pages(facebook_of(wire), Opened(TOKEN, "messages"), with_instagram=False)
    assert not wire.calls


def test_what_is_missing() -> None:
    """Scopes by kind of account, the basic ones among them; tasks under either of their names."""
    assert missing_scopes("facebook", "page", "insights", ["pages_show_list", "pages_read_engagement"]) == [
        "read_insights"
    ]
    assert "instagram_basic" in missing_scopes("facebook", "instagram", "insights", [])
    assert missing_tasks("messages", ["PROFILE_PLUS_MESSAGING", "PROFILE_PLUS_MODERATE"]) == []
    assert missing_tasks("messages", ["MESSAGING"]) == ["MODERATE"]
    assert missing_tasks("messages", ["MESSAGING", "CREATE_CONTENT"]) == []
    assert missing_tasks("comments", []) == ["MODERATE"]
    assert missing_tasks("publishing", ["PROFILE_PLUS_FULL_CONTROL"]) == []
