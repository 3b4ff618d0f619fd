"""What providers answer, whatever they answer: what is not as documented is never taken, and nothing else is raised."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients import answers, facebook, graph, graph_checks, spotify
from app.clients.credentials import Opened
from app.clients.facebook import Facebook
from app.clients.graph import Graph
from app.clients.graph_call import LONGEST_PAUSE_S
from app.clients.graph_errors import GraphError, Malformed, RateLimited
from app.clients.spotify import Spotify
from app.clients.spotify_errors import SpotifyError

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
APP = {"version": "v26.0", "app_id": "1", "app_secret": "secret", "graph_url": "https://graph.example"}
Call = Callable[[httpx.AsyncClient], Awaitable[Any]]


def opened() -> Opened:
    return Opened("token", "check")


def connecting() -> Opened:
    return Opened("token", "connect")


def instagram_at(http: httpx.AsyncClient) -> Graph:
    return Graph(**APP, http=http, www_url="", api_url="https://api.example")  # type: ignore[arg-type]


def facebook_at(http: httpx.AsyncClient) -> Facebook:
    return Facebook(**APP, http=http, www_url="")  # type: ignore[arg-type]


def spotify_at(http: httpx.AsyncClient) -> Spotify:
    return Spotify(http, "https://accounts.example", "https://api.example", "id", "secret")


ANSWERED: dict[str, tuple[dict[str, Any], Call]] = {
    "a code at Instagram": (
        {"access_token": "t", "user_id": 1, "permissions": "a,b"},
        lambda http: graph.exchange_code(instagram_at(http), connecting(), redirect_uri=""),
    ),
    "a long token at Instagram": (
        {"access_token": "t", "expires_in": 5},
        lambda http: graph.exchange_for_long(instagram_at(http), connecting()),
    ),
    "an account at Instagram": (
        {"id": "1", "user_id": "2", "username": "n", "name": "N", "account_type": "BUSINESS"}
        | {"profile_picture_url": "https://a.example"},
        lambda http: graph.get_account(instagram_at(http), opened()),
    ),
    "what is subscribed": (
        {"data": [{"app_id": "1", "subscribed_fields": ["messages"]}]},
        lambda http: graph.subscribed_fields(instagram_at(http), opened()),
    ),
    "a quota": (
        {"data": [{"quota_usage": 1, "config": {"quota_total": 50}}]},
        lambda http: graph_checks.publishing_quota(instagram_at(http), opened(), account_id=""),
    ),
    "a person's token": (
        {"access_token": "t", "expires_in": 5},
        lambda http: facebook.lengthen(facebook_at(http), connecting()),
    ),
    "a token's worth": (
        {"data": {"app_id": 1, "is_valid": True, "scopes": ["a"], "user_id": "1", "expires_at": 0, "error": {}}},
        lambda http: facebook.debug_token(facebook_at(http), opened()),
    ),
    "what a person has granted": (
        {"data": [{"permission": "a", "status": "granted"}]},
        lambda http: facebook.permissions(facebook_at(http), opened(), person_id="1"),
    ),
    "Pages": (
        {"data": [{"id": "1", "name": "N", "picture": {"data": {"url": "x"}}, "tasks": ["A"]}], "paging": {}},
        lambda http: facebook.pages(facebook_at(http), opened(), with_instagram=True),
    ),
    "a Page's token": (
        {"access_token": "t"},
        lambda http: facebook.page_token(facebook_at(http), opened(), page_id="1"),
    ),
    "tokens of Spotify's": (
        {"access_token": "t", "refresh_token": "r", "expires_in": 3600, "scope": "a b"},
        lambda http: spotify.refresh(spotify_at(http), "r"),
    ),
    "an account at Spotify": (
        {"account_id": "1", "id": "2", "display_name": "N", "images": [{"url": "https://a.example"}]},
        lambda http: spotify.me(spotify_at(http), "t"),
    ),
}


def places(answer: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something else may stand in this answer."""
    inner = answer.items() if isinstance(answer, dict) else enumerate(answer) if isinstance(answer, list) else ()
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


def replaced(answer: Any, at: tuple[Any, ...], value: Any) -> Any:
    """The answer with something else in one place."""
    if not at:
        return value
    copy = answer.copy()
    copy[at[0]] = replaced(answer[at[0]], at[1:], value)
    return copy


@pytest.mark.parametrize("what", ANSWERED)
@given(data=st.data())
async def test_nothing_but_typed_errors(what: str, data: st.DataObject) -> None:
    """Anything in any place of an answer: it is read, or the client's own error is raised."""
    good, call = ANSWERED[what]
    odd = replaced(good, data.draw(st.sampled_from(places(good))), data.draw(ANYTHING))
    if not isinstance(odd, dict):
        return  # the call itself refuses it
    async with httpx.AsyncClient(transport=at_the_other_end(good)) as http:
        await call(http)
    async with httpx.AsyncClient(transport=at_the_other_end(odd)) as http:
        try:
            found = await call(http)
        except (GraphError, SpotifyError):
            return
    assert "\ud800" not in repr(found)


def at_the_other_end(body: Any, status: int = 200, **headers: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda request: httpx.Response(status, headers=headers, content=json.dumps(body)))


@pytest.mark.parametrize("lasts", [0, -1, 10**30, [1], None, True, "soon", 1e400])
async def test_a_life_that_is_none(lasts: Any) -> None:
    """A long token lives for a time that can be: no clock is led astray."""
    async with httpx.AsyncClient(transport=at_the_other_end({"access_token": "t", "expires_in": lasts})) as http:
        with pytest.raises(Malformed):
            await graph.refresh_token(instagram_at(http), Opened("token", "refresh"))


@pytest.mark.parametrize(
    "data", [None, [], {}, {"is_valid": True}, {"is_valid": "yes", "scopes": []}, {"is_valid": True, "scopes": "a"}]
)
async def test_a_tokens_worth_that_is_not_told(data: Any) -> None:
    """Facebook does not say whether it is valid, or what was granted: then neither follows."""
    async with httpx.AsyncClient(transport=at_the_other_end({"data": data})) as http:
        with pytest.raises(Malformed):
            await facebook.debug_token(facebook_at(http), opened())


@pytest.mark.parametrize("minutes", ["1e400", "100000000000", "1" + "0" * 400, "-5", "NaN", "true", '"long"'])
async def test_nobody_waits_for_ever(minutes: str) -> None:
    """However long Meta wants us to wait: a day at most, and then it is asked again."""
    header = {"x-app-usage": f'{{"estimated_time_to_regain_access": {minutes}}}'}
    async with httpx.AsyncClient(transport=at_the_other_end({"error": {"code": 4}}, 400, **header)) as http:
        with pytest.raises(RateLimited) as limited:
            await graph.get_account(instagram_at(http), opened())
    assert timedelta() < limited.value.wait <= timedelta(seconds=LONGEST_PAUSE_S)


def test_what_is_shown_is_a_line() -> None:
    """Names are cut and cleaned, and a picture is at an address that a browser may load."""
    assert answers.name("n" * 3_000_000) == "n" * answers.LONGEST_NAME
    assert answers.name(" Night\n\tjar\ud800\x00 ") == "Night jar"
    assert [answers.name(odd) for odd in (7, {"a": 1}, "", "\ud800", None)] == [None] * 5
    assert answers.https_address("https://a.example/b.jpg") == "https://a.example/b.jpg"
    odd_addresses = ("javascript:alert(1)", "http://a.example", "https://a\nb", {"a": 1}, "https://" + "a" * 3000)
    assert [answers.https_address(odd) for odd in odd_addresses] == [None] * 5
