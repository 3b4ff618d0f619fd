"""Connecting an account, as far as the browser sees it: who may begin, who may come back, and where they are sent."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import bson
import httpx
import pytest

from app.deps import REFRESH_COOKIE
from app.models.data_map import DATA_MAP
from tests.house import PASSWORD, House

WISH = {"provider": "instagram", "features": ["messages"], "return_to": "https://app.example.com/done?tab=1"}
CALLBACK = "/v1/oauth/callback/instagram"
CODE = "AQD-this-code-is-a-canary-0123456789"


async def begin(house: House) -> tuple[httpx.AsyncClient, str, dict[str, Any], str]:
    """An owner, the path of the connections, a pending connection, and its `state`."""
    owner = await house.person()
    path = f"/v1/labels/{await house.label(owner)}/connections"
    answer = await owner.post(path, json=WISH)
    assert answer.status_code == 201, answer.text
    state = parse_qs(urlsplit(answer.json()["authorize_url"]).query)["state"][0]
    return owner, path, answer.json(), state


async def test_beginning_asks_only_for_what_is_needed(house: House) -> None:
    """The scopes of the chosen features, our registered address, and a state that is not stored in the clear."""
    _, _, connection, state = await begin(house)
    url = urlsplit(connection["authorize_url"])
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert url.path.endswith("/oauth/authorize")
    assert query["scope"].split(",") == ["instagram_business_basic", "instagram_business_manage_messages"]
    assert query["redirect_uri"] == f"{house.api.settings.public_url}{CALLBACK}"
    assert (connection["status"], connection["account"]) == ("pending", None)
    assert len(state) >= 43
    async for document in house.db.open("oauth_states").find({}, comment="all-labels: a test"):
        assert state.encode() not in bson.encode(document)


async def test_coming_back_leads_home_and_seals_the_code(house: House) -> None:
    """A redirect with the connection and its state; the code is nowhere in the clear; an operation waits."""
    owner, path, connection, state = await begin(house)
    back = await owner.get(CALLBACK, params={"code": CODE + "#_", "state": state})
    assert back.status_code == 302
    home = urlsplit(back.headers["location"])
    assert (home.scheme, home.netloc, home.path) == ("https", "app.example.com", "/done")
    assert parse_qs(home.query) == {"tab": ["1"], "connection_id": [connection["id"]], "status": ["pending"]}
    waiting = (await owner.get(path.replace("connections", "operations"))).json()["data"]
    assert [(one["kind"], one["state"], one["target"]) for one in waiting] == [
        ("exchange_code", "queued", connection["id"])
    ]
    for name in DATA_MAP:
        async for document in house.db.open(name).find({}, comment="all-labels: a test"):
            assert CODE.encode() not in bson.encode(document), name


async def test_a_state_works_once(house: House) -> None:
    """The second use, an unknown one and an old one look alike."""
    owner, path, _, state = await begin(house)
    assert (await owner.get(CALLBACK, params={"code": CODE, "state": state})).status_code == 302
    old = (await owner.post(path, json=WISH)).json()["authorize_url"]
    late = parse_qs(urlsplit(old).query)["state"][0]
    house.clock.offset = timedelta(minutes=10, seconds=1)
    for wrong in (state, late, "never-given"):
        answer = await owner.get(CALLBACK, params={"code": CODE, "state": wrong})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_state")


async def test_only_the_session_that_began_may_finish(house: House) -> None:
    """Another's session is refused, by token and by cookie, and does not use the state up; the own cookie will do."""
    owner, _, _, state = await begin(house)
    other = await house.person("other@example.com")
    login = await house.http.post("/v1/sessions", json={"email": "other@example.com", "password": PASSWORD})
    foreign = login.headers["set-cookie"].split(";")[0]
    params = {"code": CODE, "state": state}
    assert (await other.get(CALLBACK, params=params)).status_code == 400
    for cookie in (foreign, f"{REFRESH_COOKIE}=sor_made-up-by-somebody-else"):
        assert (await house.http.get(CALLBACK, params=params, headers={"Cookie": cookie})).status_code == 400
    assert (await owner.get(CALLBACK, params=params)).status_code == 302


async def test_in_production_a_browser_without_a_session_is_refused(house: House) -> None:
    """On a laptop it may finish what curl began."""
    _, _, _, state = await begin(house)
    params = {"code": CODE, "state": state}
    house.api.settings = house.api.settings.model_copy(update={"environment": "production"})
    assert (await house.http.get(CALLBACK, params=params)).status_code == 400
    house.api.settings = house.api.settings.model_copy(update={"environment": "development"})
    assert (await house.http.get(CALLBACK, params=params)).status_code == 302


async def test_who_has_left_the_label_may_not_finish(house: House) -> None:
    """The right is asked for when it is used."""
    owner, _, _, state = await begin(house)
    await house.db.open("memberships").delete_many({}, comment="all-labels: a test")
    assert (await owner.get(CALLBACK, params={"code": CODE, "state": state})).status_code == 400


async def test_saying_no_at_instagram(house: House) -> None:
    """The connection says so, and nothing is exchanged."""
    owner, path, connection, state = await begin(house)
    params = {"error": "access_denied", "error_reason": "user_denied", "error_description": "No", "state": state}
    back = await owner.get(CALLBACK, params=params)
    assert back.status_code == 302 and "status=error" in back.headers["location"]
    shown = (await owner.get(f"{path}/{connection['id']}")).json()
    assert (shown["status"], shown["problem"]) == ("error", "access_denied")
    assert (await owner.get(path.replace("connections", "operations"))).json()["data"] == []


@pytest.mark.parametrize("params", [{}, {"state": "x"}, {"code": "x"}, {"state": "x" * 201, "code": "x"}])
async def test_nonsense_at_the_callback(house: House, params: dict[str, str]) -> None:
    """A problem, without what was sent."""
    answer = await house.http.get(CALLBACK, params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (WISH | {"provider": "myspace"}, "/provider"),
        (WISH | {"features": []}, "/features"),
        (WISH | {"features": ["everything"]}, "/features/0"),
        (WISH | {"return_to": "javascript:alert(1)"}, "/return_to"),
        (WISH | {"return_to": "//evil.example"}, "/return_to"),
    ],
)
async def test_bad_wishes_are_refused(house: House, body: dict[str, object], pointer: str) -> None:
    """Nothing pending is left behind."""
    owner = await house.person()
    path = f"/v1/labels/{await house.label(owner)}/connections"
    answer = await owner.post(path, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await owner.get(path)).json()["data"] == []


async def test_with_origins_set_no_other_place_is_led_to(house: House) -> None:
    """Only to an origin of the app's, or to ourselves; a look-alike is none."""
    owner = await house.person()
    path = f"/v1/labels/{await house.label(owner)}/connections"
    house.api.settings = house.api.settings.model_copy(update={"app_origins": "https://app.example.com"})
    for return_to, status in (
        ("https://app.example.com/x", 201),
        (f"{house.api.settings.public_url}/docs", 201),
        ("https://app.example.com.evil.example/x", 422),
        ("https://app.example.com@evil.example/x", 422),
        ("http://app.example.com/x", 422),
    ):
        assert (await owner.post(path, json=WISH | {"return_to": return_to})).status_code == status, return_to


async def test_the_handshake(house: House) -> None:
    """Meta's challenge is answered to who knows the verify token, and to nobody else; it holds digits alone (R-42)."""
    path = "/v1/webhooks/meta"
    token = house.api.settings.meta_verify_token.get_secret_value()
    asked = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1158201444"}
    good = await house.http.get(path, params=asked)
    assert (good.status_code, good.text) == (200, "1158201444")
    assert good.headers["content-type"].startswith("text/plain")
    for changes, status in (
        ({"hub.verify_token": "wrong"}, 403),
        ({"hub.mode": "unsubscribe"}, 403),
        ({"hub.mode": ""}, 403),
        ({"hub.mode": "Subscribe"}, 403),
        ({"hub.verify_token": ""}, 403),
        ({"hub.verify_token": token[:-1]}, 403),
        ({"hub.verify_token": token + "é"}, 403),
        ({"hub.challenge": "1" * 64}, 200),
        ({"hub.challenge": "1" * 65}, 422),
        ({"hub.challenge": ""}, 422),
        ({"hub.challenge": "1\n"}, 422),
        ({"hub.challenge": "١٢"}, 422),
        ({"hub.challenge": "abc"}, 422),
        ({"hub.challenge": "<script>alert(1)</script>"}, 422),
    ):
        answer = await house.http.get(path, params=asked | changes)
        assert answer.status_code == status, changes
        assert "<script" not in answer.text and answer.headers["x-content-type-options"] == "nosniff"
    for missing in asked:
        rest = {name: value for name, value in asked.items() if name != missing}
        assert (await house.http.get(path, params=rest)).status_code == 422
