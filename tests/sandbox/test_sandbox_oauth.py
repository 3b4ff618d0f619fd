"""Logging in: the dialog, codes, tokens."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.sandbox_harness import REDIRECT, SECRET, Graph, Sandbox, dialog, refusal

HOUR_S = 3600
DAY_S = 24 * HOUR_S


def test_the_dialog_shows_accounts_and_scopes_and_escapes_what_it_is_given(sandbox: Sandbox) -> None:
    answer = sandbox.http.get("/www.instagram.com/oauth/authorize", params=dialog(state='"><script>alert(1)</script>'))
    assert answer.status_code == 200
    assert "nightjar.records" in answer.text and "instagram_business_manage_messages" in answer.text
    assert "<script" not in answer.text and '"><' not in answer.text.split("<form", 1)[1].split("\n", 1)[0]


@pytest.mark.parametrize(
    "wrong", [{"client_id": "1"}, {"redirect_uri": "javascript:1"}, {"response_type": "token"}, {"scope": "a_b"}]
)
def test_a_wrong_dialog_does_not_open(sandbox: Sandbox, wrong: dict[str, str]) -> None:
    assert sandbox.http.get("/www.instagram.com/oauth/authorize", params=dialog(**wrong)).status_code == 400
    answer = sandbox.http.post("/www.instagram.com/oauth/authorize", params=dialog(**wrong), data={"allow": "1"})
    assert answer.status_code == 400


def test_allowing_returns_a_code_and_the_state_unchanged(sandbox: Sandbox) -> None:
    form = {"account": "nightjar.records", "allow": "1"}
    answer = sandbox.http.post("/www.instagram.com/oauth/authorize", params=dialog(), data=form)
    back = urlsplit(answer.headers["location"])
    assert (answer.status_code, back.fragment, f"{back.scheme}://{back.netloc}{back.path}") == (302, "_", REDIRECT)
    assert parse_qs(back.query)["state"] == ["st=1&x"]


def test_denying_says_so(sandbox: Sandbox) -> None:
    form = {"account": "nightjar.records", "allow": "0"}
    answer = sandbox.http.post("/www.instagram.com/oauth/authorize", params=dialog(), data=form)
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["error"] == ["access_denied"] and query["error_reason"] == ["user_denied"]
    assert query["state"] == ["st=1&x"] and "code" not in query


def test_a_code_works_once(sandbox: Sandbox) -> None:
    code = sandbox.code()
    assert sandbox.exchange(code).status_code == 200
    again = sandbox.exchange(code)
    assert (again.status_code, again.json()) == (
        400,
        {
            "error_type": "OAuthException",
            "code": 400,
            "error_message": "Matching code was not found or was already used",
        },
    )


def test_a_code_wants_the_same_redirect_uri_and_lives_an_hour(sandbox: Sandbox) -> None:
    code = sandbox.code()
    off_by_a_slash = sandbox.exchange(code, redirect_uri=REDIRECT + "/")
    assert off_by_a_slash.status_code == 400 and "redirect_uri" in off_by_a_slash.json()["error_message"]
    assert sandbox.exchange(code, client_secret="wrong").status_code == 400
    sandbox.control("PUT", "/clock", {"offset_s": HOUR_S + 1})
    assert sandbox.exchange(code).status_code == 400
    sandbox.control("PUT", "/clock", {"offset_s": 0})
    assert sandbox.exchange(code).status_code == 200


def test_the_exchange_answers_in_every_known_shape(sandbox: Sandbox) -> None:
    wrapped = sandbox.exchange(sandbox.code()).json()["data"][0]
    assert wrapped["user_id"] == "7000000000000011" and "manage_messages" in wrapped["permissions"]
    options = {"exchange_shape": "flat", "exchange_permissions": "list", "exchange_user_id": "number"}
    sandbox.control("PUT", "/options", options)
    flat = sandbox.exchange(sandbox.code()).json()
    assert flat["user_id"] == 7000000000000011 and "instagram_business_basic" in flat["permissions"]
    assert flat["access_token"].startswith("IGAA") and len(flat["access_token"]) > 104


def test_the_user_may_grant_less(sandbox: Sandbox) -> None:
    code = sandbox.code(scope="instagram_business_basic,instagram_business_manage_messages", boxes="1")
    assert sandbox.exchange(code).json()["data"][0]["permissions"] == "instagram_business_basic"


def test_a_token_is_refreshed_after_a_day_and_not_after_its_end(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    params = {"grant_type": "ig_refresh_token", "access_token": graph.token}
    url = "/graph.instagram.com/refresh_access_token"
    assert refusal(sandbox.http.get(url, params=params))[0] == 100
    sandbox.control("PUT", "/clock", {"offset_s": 25 * HOUR_S})
    fresh = sandbox.http.get(url, params=params).json()
    assert fresh["token_type"] == "bearer" and fresh["expires_in"] > 59 * DAY_S and fresh["access_token"] != graph.token
    assert len(sandbox.ledger("token_refreshed")) == 1
    sandbox.control("PUT", "/clock", {"offset_s": 60 * DAY_S + 60})
    assert refusal(sandbox.http.get(url, params=params)) == (190, 463)


def test_tokens_die_on_order(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    assert graph.get("/me", fields="id,user_id,username").json() == {
        "id": "7000000000000011",
        "user_id": "17841400000000001",
        "username": "nightjar.records",
    }
    sandbox.control("POST", "/tokens/expire", {"account": "nightjar.records"})
    dead = graph.get("/me", fields="id")
    assert refusal(dead) == (190, 463) and dead.headers["facebook-api-version"] == "v26.0"
    sandbox.control("POST", "/tokens/revoke", {"all": True, "subcode": 460})
    assert refusal(graph.get("/me")) == (190, 460)
    assert refusal(Graph(sandbox.http, "nonsense").get("/me")) == (190, None)


def test_the_ledger_tells_no_secret_and_the_token_list_tells_all(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    ledger = json.dumps(sandbox.control("GET", "/ledger"))
    assert "IGAA" not in ledger and SECRET not in ledger
    assert graph.token in [token["value"] for token in sandbox.control("GET", "/tokens")["tokens"]]
    sandbox.control("POST", "/reset")
    assert graph.token in sandbox.control("GET", "/tokens")["ever_issued"]
    assert refusal(graph.get("/me"))[0] == 190
