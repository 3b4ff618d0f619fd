"""Spotify's dialog, codes and tokens, and how its answers are made to go wrong."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.sandbox.sandbox_harness import Sandbox
from tests.sandbox.spotify_harness import (
    CLIENT,
    VERIFIER,
    call,
    decide,
    exchange,
    grant,
    refresh,
    spotify_dialog,
    token_call,
)
from tools.child import running
from tools.embedded import sandbox_child, spotify_urls

DAY_S = 86_400
AUTHORIZE = "/accounts.spotify.com/authorize"


def refused(answer: httpx.Response) -> str:
    """The error of a token call that was refused."""
    assert answer.status_code == 400 and set(answer.json()) == {"error", "error_description"}
    return str(answer.json()["error"])


def test_the_dialog_shows_users_and_scopes_and_escapes_what_it_is_given(sandbox: Sandbox) -> None:
    page = sandbox.http.get(AUTHORIZE, params=spotify_dialog(state='"><script>alert(1)</script>')).text
    assert "Nightjar Records" in page and "playlist-read-private" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "1"},
        {"redirect_uri": "http://label.example.test/spotify"},
        {"redirect_uri": "http://localhost:8000/spotify"},
        {"response_type": "token"},
        {"scope": "streaming"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
    ],
)
def test_a_wrong_dialog_does_not_open(sandbox: Sandbox, wrong: dict[str, str]) -> None:
    assert sandbox.http.get(AUTHORIZE, params=spotify_dialog(**wrong)).status_code == 400
    assert sandbox.http.post(AUTHORIZE, params=spotify_dialog(**wrong), data={"allow": "1"}).status_code == 400


def test_a_loopback_address_may_go_without_tls(sandbox: Sandbox) -> None:
    assert "code" in decide(sandbox, redirect_uri="http://127.0.0.1:8000/v1/oauth/callback/spotify")


def test_denying_says_so(sandbox: Sandbox) -> None:
    assert decide(sandbox, allow="0") == {"error": "access_denied", "state": "st=1&x"}


def test_a_code_gives_a_pair_once_and_to_the_holder_of_the_verifier(sandbox: Sandbox) -> None:
    back = decide(sandbox)
    assert back["state"] == "st=1&x"
    assert refused(exchange(sandbox, back["code"], code_verifier="w" * 64)) == "invalid_grant"
    assert refused(exchange(sandbox, back["code"], redirect_uri="https://other.example.test/")) == "invalid_grant"
    wrong = ("x", "y")
    stranger = token_call(sandbox, "authorization_code", wrong, code=back["code"], code_verifier=VERIFIER)
    assert refused(stranger) == "invalid_client"
    pair = exchange(sandbox, back["code"]).json()
    assert (pair["token_type"], pair["expires_in"], pair["scope"]) == ("Bearer", 3600, "playlist-read-private")
    assert call(sandbox, "/me", pair["access_token"]).json()["display_name"] == "Nightjar Records"
    assert refused(exchange(sandbox, back["code"])) == "invalid_grant"


def test_a_code_without_a_challenge_takes_no_verifier_and_dies_after_ten_minutes(sandbox: Sandbox) -> None:
    plain = spotify_dialog()
    del plain["code_challenge"], plain["code_challenge_method"]
    answer = sandbox.http.post(AUTHORIZE, params=plain, data={"user": "user7", "allow": "1"})
    code = httpx.URL(answer.headers["location"]).params["code"]
    assert refused(exchange(sandbox, code)) == "invalid_grant"
    late = decide(sandbox)["code"]
    sandbox.control("PUT", "/clock", {"offset_s": 601})
    assert refused(exchange(sandbox, late)) == "invalid_grant"


def test_an_unknown_grant_is_named(sandbox: Sandbox) -> None:
    assert refused(token_call(sandbox, "password")) == "unsupported_grant_type"


def test_a_refresh_keeps_the_token_unless_tokens_rotate(sandbox: Sandbox) -> None:
    pair = grant(sandbox)
    kept = refresh(sandbox, pair["refresh_token"]).json()
    assert "refresh_token" not in kept and kept["access_token"] != pair["access_token"]
    sandbox.control("PUT", "/spotify", {"rotate": True})
    fresh = refresh(sandbox, pair["refresh_token"]).json()
    assert fresh["refresh_token"] != pair["refresh_token"]
    assert refused(refresh(sandbox, pair["refresh_token"])) == "invalid_grant"
    assert refresh(sandbox, fresh["refresh_token"]).status_code == 200
    assert [(row["old"], row["new"]) for row in sandbox.ledger("spotify_token_refreshed")] == [(2, 2), (2, 5), (5, 7)]


def test_within_the_grace_a_rotated_token_gives_the_same_pair_again(sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/spotify", {"rotate": True, "rotation_grace_s": 30})
    old = grant(sandbox)["refresh_token"]
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.json() for answer in pool.map(lambda _: refresh(sandbox, old), range(4))]
    assert len({(a["access_token"], a["refresh_token"]) for a in answers}) == 1
    assert len(sandbox.ledger("spotify_token_refreshed")) == 1 and len(sandbox.ledger("spotify_token_repeated")) == 3
    sandbox.control("PUT", "/clock", {"offset_s": 31})
    assert refused(refresh(sandbox, old)) == "invalid_grant"


def test_refreshing_does_not_put_off_the_end_after_six_months(sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/spotify", {"rotate": True})
    token = grant(sandbox)["refresh_token"]
    for day in (60, 120, 180):
        sandbox.control("PUT", "/clock", {"offset_s": day * DAY_S})
        token = refresh(sandbox, token).json()["refresh_token"]
    sandbox.control("PUT", "/clock", {"offset_s": 185 * DAY_S})
    assert refused(refresh(sandbox, token)) == "invalid_grant"
    assert sandbox.ledger("spotify_token_refused")[-1]["reason"] == "expired"


def test_lies_change_nothing_and_never_come_twice_in_a_row(sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/spotify", {"rotate": True, "lie_share": 1})
    token = grant(sandbox)["refresh_token"]
    for _ in range(3):
        assert refused(refresh(sandbox, token)) == "invalid_grant"
        token = refresh(sandbox, token).json()["refresh_token"]
    assert {row["reason"] for row in sandbox.ledger("spotify_token_refused")} == {"lie"}


def test_a_lost_answer_was_executed(sandbox: Sandbox) -> None:
    token = grant(sandbox)["refresh_token"]
    sandbox.control("PUT", "/spotify", {"rotate": True, "rotation_grace_s": 60, "lost_share": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        refresh(sandbox, token)
    sandbox.control("PUT", "/spotify", {"rotate": True, "rotation_grace_s": 60})
    assert refresh(sandbox, token).status_code == 200
    assert len(sandbox.ledger("spotify_token_refreshed")) == 1


def test_shares_are_about_what_they_say_and_the_same_for_the_same_seed(sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/spotify", {"lie_share": 0.3, "seed": 7})
    tokens = [grant(sandbox, f"user{n}")["refresh_token"] for n in range(1, 101)]
    first = [refresh(sandbox, token).status_code for token in tokens]
    assert 15 <= first.count(400) <= 45
    sandbox.control("POST", "/reset")
    sandbox.control("PUT", "/spotify", {"lie_share": 0.3, "seed": 7})
    tokens = [grant(sandbox, f"user{n}")["refresh_token"] for n in range(1, 101)]
    assert [refresh(sandbox, token).status_code for token in tokens] == first


def test_a_slow_answer_was_executed_at_once(sandbox: Sandbox) -> None:
    token = grant(sandbox)["refresh_token"]
    sandbox.control("PUT", "/spotify", {"slow_share": 1, "slow_s": 5})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{sandbox.url}/accounts.spotify.com/api/token",
            data={"grant_type": "refresh_token", "refresh_token": token},
            auth=CLIENT,
            timeout=0.5,
            trust_env=False,
        )
    assert len(sandbox.ledger("spotify_token_refreshed")) == 1


def test_who_removes_the_app_has_no_good_token_left(sandbox: Sandbox) -> None:
    pair, other = grant(sandbox), grant(sandbox, "lowtide")
    sandbox.control("POST", "/spotify/remove", {"user": "nightjar"})
    assert refused(refresh(sandbox, pair["refresh_token"])) == "invalid_grant"
    assert call(sandbox, "/me", pair["access_token"]).status_code == 401
    assert call(sandbox, "/me", other["access_token"]).status_code == 200


def test_no_ledger_row_holds_a_token_and_the_list_of_tokens_holds_all(sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/spotify", {"rotate": True, "rotation_grace_s": 60})
    code = decide(sandbox)["code"]
    pair = exchange(sandbox, code).json()
    fresh = refresh(sandbox, pair["refresh_token"]).json()
    refresh(sandbox, pair["refresh_token"])
    call(sandbox, "/me", fresh["access_token"])
    shop = token_call(sandbox, "client_credentials").json()
    secrets = [code, *(p[k] for p in (pair, fresh) for k in ("access_token", "refresh_token")), shop["access_token"]]
    rows = sandbox.control("GET", "/ledger")["rows"]
    kinds = {row["kind"] for row in rows}
    assert {"spotify_authorized", "spotify_token_issued", "spotify_token_refreshed", "spotify_called"} <= kinds
    shown = sandbox.http.get("/_sandbox/ledger").text + sandbox.http.get("/").text
    assert not [secret for secret in secrets if secret in shown]
    listed = sandbox.control("GET", "/tokens")
    assert set(secrets) <= set(listed["ever_issued"])
    assert {one["value"] for one in listed["spotify"]} == set(secrets)


def test_everything_survives_a_kill(own_sandbox: Sandbox) -> None:
    own_sandbox.control("PUT", "/spotify", {"rotate": True, "rotation_grace_s": 600, "allow_list": ["user9"]})
    code, pair = decide(own_sandbox, "user9")["code"], grant(own_sandbox, "user9")
    fresh = refresh(own_sandbox, pair["refresh_token"]).json()
    before = own_sandbox.control("GET", "/tokens")
    own_sandbox.stop(signal.SIGKILL)
    own_sandbox.start()
    assert own_sandbox.control("GET", "/tokens") == before
    assert refresh(own_sandbox, pair["refresh_token"]).json()["refresh_token"] == fresh["refresh_token"]
    assert exchange(own_sandbox, code).status_code == 200
    assert call(own_sandbox, "/me", grant(own_sandbox, "user10")["access_token"]).status_code == 403


def test_orders_about_nobody_are_refused(sandbox: Sandbox) -> None:
    for name in ("user0", "user1000", "user01", "nobody"):
        sandbox.control("POST", "/spotify/grant", {"user": name}, 404)
    sandbox.control("PUT", "/spotify", {"allow_list": ["nobody"]}, 404)


def test_the_embedded_sandbox_knows_the_app_it_was_told_of(tmp_path: Path) -> None:
    child = sandbox_child(
        tmp_path,
        "http://127.0.0.1:9/",
        app_id="1",
        app_secret="x",
        verify_token="v",
        spotify_client_id="ours",
        spotify_client_secret="secret",
    )
    with running(child):
        url = spotify_urls(child.url)["SOUNDOPS_SPOTIFY_ACCOUNTS_URL"] + "/api/token"
        form = {"grant_type": "client_credentials"}
        for client, status in ((("ours", "secret"), 200), (CLIENT, 400)):
            assert httpx.post(url, data=form, auth=client, trust_env=False).status_code == status
