"""Facebook Login: the dialog, codes, tokens, Pages."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.facebook_harness import (
    HARBOUR,
    LOW_TIDE,
    MARKET,
    NIGHTJAR,
    NIGHTJAR_IG,
    OLD_MILL,
    ROBIN,
    Facebook,
    debug,
    decide,
    exchange_code,
    facebook_code,
    facebook_dialog,
    facebook_login,
    lengthen,
    proof,
)
from tests.sandbox.sandbox_harness import OLD_META_SECRET, REDIRECT, Graph, Sandbox, refusal

HOUR_S = 3600
DAY_S = 24 * HOUR_S


def test_the_facebook_dialog_shows_people_pages_and_permissions_and_escapes_what_it_is_given(sandbox: Sandbox) -> None:
    params = facebook_dialog(state='"><script>alert(1)</script>')
    answer = sandbox.http.get("/www.facebook.com/v26.0/dialog/oauth", params=params)
    assert answer.status_code == 200 and "<script" not in answer.text
    assert all(shown in answer.text for shown in ("Robin Vale", "Night Market", "pages_manage_metadata"))
    assert sandbox.http.get("/www.facebook.com/dialog/oauth", params=params).status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"client_id": "1"}, {"redirect_uri": "javascript:1"}, {"response_type": "token"}, {"scope": "a_b"}]
)
def test_a_wrong_facebook_dialog_does_not_open(sandbox: Sandbox, wrong: dict[str, str]) -> None:
    url = "/www.facebook.com/v26.0/dialog/oauth"
    assert sandbox.http.get(url, params=facebook_dialog(**wrong)).status_code == 400
    assert decide(sandbox, {"person": "robin", "allow": "1"}, **wrong).status_code == 400


def test_allowing_and_denying_on_facebook_return_with_the_state(sandbox: Sandbox) -> None:
    back = urlsplit(decide(sandbox, {"person": "robin", "allow": "1"}).headers["location"])
    assert (back.fragment, f"{back.scheme}://{back.netloc}{back.path}") == ("_=_", REDIRECT)
    assert parse_qs(back.query)["state"] == ["st=1&x"] and parse_qs(back.query)["code"]
    denied = parse_qs(urlsplit(decide(sandbox, {"person": "robin", "allow": "0"}).headers["location"]).query)
    assert (denied["error"], denied["error_code"], denied["state"]) == (["access_denied"], ["200"], ["st=1&x"])
    assert "code" not in denied


def test_a_facebook_code_works_once_for_an_hour_with_its_redirect_uri(sandbox: Sandbox) -> None:
    code = facebook_code(sandbox)
    assert refusal(exchange_code(sandbox, code, redirect_uri=REDIRECT + "/")) == (100, 36008)
    assert refusal(exchange_code(sandbox, code, client_secret="wrong"))[0] == 101
    sandbox.control("PUT", "/clock", {"offset_s": HOUR_S + 1})
    assert refusal(exchange_code(sandbox, code)) == (100, 36007)
    sandbox.control("PUT", "/clock", {"offset_s": 0})
    assert exchange_code(sandbox, code, client_secret=OLD_META_SECRET).json()["token_type"] == "bearer"
    assert refusal(exchange_code(sandbox, code)) == (100, 36009)
    assert sandbox.exchange(facebook_code(sandbox)).status_code == 400, "a code of one family is nothing to the other"
    assert refusal(exchange_code(sandbox, sandbox.code()))[0] == 100


def test_a_short_token_becomes_a_long_one_whose_lifetime_may_go_unsaid(sandbox: Sandbox) -> None:
    short = exchange_code(sandbox, facebook_code(sandbox)).json()
    assert short["expires_in"] < 3 * HOUR_S and short["access_token"].startswith("EAA")
    long = lengthen(sandbox, short["access_token"]).json()
    assert long["expires_in"] > 59 * DAY_S
    sandbox.control("PUT", "/options", {"facebook_expires_in": "missing"})
    assert "expires_in" not in lengthen(sandbox, short["access_token"]).json()
    sandbox.control("PUT", "/clock", {"offset_s": 3 * HOUR_S})
    assert refusal(Facebook(sandbox.http, short["access_token"]).get("/me")) == (190, 463)
    robin = Facebook(sandbox.http, long["access_token"])
    assert robin.get("/me", fields="id,name").json() == {"id": ROBIN, "name": "Robin Vale"}


def test_a_page_token_of_a_long_lived_token_has_no_end(sandbox: Sandbox) -> None:
    robin = facebook_login(sandbox)
    page, again = robin.page(NIGHTJAR), robin.page(NIGHTJAR)
    assert page.token == again.token != robin.token
    assert debug(sandbox, page.token)["expires_at"] == 0
    sandbox.control("PUT", "/clock", {"offset_s": 61 * DAY_S})
    assert refusal(robin.get("/me")) == (190, 463)
    assert page.get("/me").json() == {"id": NIGHTJAR, "name": "Nightjar Records"}


def test_a_page_token_of_a_short_token_ends_with_it(sandbox: Sandbox) -> None:
    short = exchange_code(sandbox, facebook_code(sandbox)).json()["access_token"]
    page = Facebook(sandbox.http, short).page(NIGHTJAR)
    sandbox.control("PUT", "/clock", {"offset_s": 3 * HOUR_S})
    assert refusal(page.get("/me")) == (190, 463)


def test_pages_come_with_tasks_instagram_and_cursors(sandbox: Sandbox) -> None:
    robin = facebook_login(sandbox)
    fields = "id,name,tasks,instagram_business_account{id,username,profile_picture_url}"
    pages = robin.get("/me/accounts", fields=fields).json()["data"]
    assert [page["id"] for page in pages] == [NIGHTJAR, LOW_TIDE, MARKET]
    instagram = pages[0]["instagram_business_account"]
    assert (instagram["id"], instagram["username"]) == (NIGHTJAR_IG, "nightjar.records")
    assert "instagram_business_account" not in pages[2] and "access_token" not in pages[0]
    first = robin.get("/me/accounts", fields="id,access_token", limit=2).json()
    assert robin.token in first["paging"]["next"]
    rest = robin.get("/me/accounts", fields="id", limit=2, after=first["paging"]["cursors"]["after"]).json()
    assert [page["id"] for page in rest["data"]] == [MARKET] and "next" not in rest["paging"]


def test_what_a_page_list_leaves_out(sandbox: Sandbox) -> None:
    """Tasks may be few, a Page of a business hides, and two people may manage one Page."""
    kim = facebook_login(sandbox, "kim")
    assert kim.get("/me/accounts", fields="tasks").json()["data"] == [{"id": OLD_MILL, "tasks": ["ANALYZE"]}]
    kim = facebook_login(sandbox, "kim", scope="pages_show_list,business_management")
    pages = kim.get("/me/accounts", fields="tasks").json()["data"]
    assert pages[1]["id"] == HARBOUR and "PROFILE_PLUS_MESSAGING" in pages[1]["tasks"]
    sasha = facebook_login(sandbox, "sasha")
    assert [page["id"] for page in sasha.get("/me/accounts", fields="id").json()["data"]] == [LOW_TIDE, OLD_MILL]


def test_a_person_may_grant_less_and_choose_pages(sandbox: Sandbox) -> None:
    form = {"boxes": "1", "scope": ["pages_show_list", "instagram_basic"], "page_boxes": "1", "page": [LOW_TIDE]}
    robin = facebook_login(sandbox, form=form)
    status = {row["permission"]: row["status"] for row in robin.get("/me/permissions").json()["data"]}
    assert status["pages_show_list"] == status["public_profile"] == "granted"
    assert status["pages_messaging"] == "declined"
    assert [page["id"] for page in robin.get("/me/accounts", fields="id").json()["data"]] == [LOW_TIDE]
    assert {"scope": "instagram_basic", "target_ids": ["17841400000000002"]} in debug(sandbox, robin.token)[
        "granular_scopes"
    ]


def test_what_was_declined_is_asked_again_only_on_rerequest(sandbox: Sandbox) -> None:
    def status(facebook: Facebook) -> str:
        rows = facebook.get("/me/permissions").json()["data"]
        return str(next(row["status"] for row in rows if row["permission"] == "pages_messaging"))

    some = {"boxes": "1", "scope": "pages_show_list"}
    assert status(facebook_login(sandbox, form=some)) == "declined"
    assert status(facebook_login(sandbox)) == "declined"
    assert status(facebook_login(sandbox, auth_type="rerequest")) == "granted"
    facebook_login(sandbox, form=some, auth_type="rerequest")
    assert status(facebook_login(sandbox, config_id="1", scope="")) == "granted"


def test_a_token_of_one_host_is_nothing_to_the_other(sandbox: Sandbox) -> None:
    robin, nightjar = facebook_login(sandbox), sandbox.login()
    assert refusal(Graph(sandbox.http, robin.token).get("/me")) == (190, None)
    assert refusal(Facebook(sandbox.http, nightjar.token).get("/me")) == (190, None)
    assert debug(sandbox, nightjar.token)["is_valid"] is False


def test_proofs_are_checked_when_sent_and_can_be_required(sandbox: Sandbox) -> None:
    robin = facebook_login(sandbox)
    now = sandbox.control("GET", "/clock")["now_ms"] // 1000
    good = [
        {"appsecret_proof": proof(robin.token)},
        {"appsecret_proof": proof(robin.token, secret=OLD_META_SECRET)},
        {"appsecret_proof": proof(robin.token, now), "appsecret_time": now},
    ]
    bad = [
        {"appsecret_proof": proof(robin.token).upper()},
        {"appsecret_proof": proof(robin.token, secret="other")},
        {"appsecret_proof": proof(robin.token, now - 301), "appsecret_time": now - 301},
        {"appsecret_proof": proof(robin.token), "appsecret_time": now},
    ]
    assert [robin.get("/me", **params).status_code for params in good] == [200] * len(good)
    assert [refusal(robin.get("/me", **params))[0] for params in bad] == [100] * len(bad)
    sandbox.control("PUT", "/options", {"require_proof": True})
    assert refusal(robin.get("/me"))[0] == 100
    assert robin.get("/me", **good[0]).status_code == 200
