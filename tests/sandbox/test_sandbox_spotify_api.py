"""Spotify's Web API: the profile, the catalogue, and faults in front of both hosts."""

import httpx
import pytest

from tests.sandbox.sandbox_harness import Sandbox
from tests.sandbox.spotify_harness import call, decide, exchange, grant, refresh, token_call


def message(answer: httpx.Response) -> tuple[int, str]:
    """Status and message of a Web API refusal."""
    error = answer.json()["error"]
    assert error["status"] == answer.status_code
    return answer.status_code, error["message"]


@pytest.fixture
def shop(sandbox: Sandbox) -> str:
    """A token for the catalogue alone."""
    pair = token_call(sandbox, "client_credentials").json()
    assert "refresh_token" not in pair
    return str(pair["access_token"])


def test_me_has_an_account_id_and_nothing_that_is_withheld(sandbox: Sandbox, shop: str) -> None:
    me = call(sandbox, "/me", grant(sandbox, "user42")["access_token"]).json()
    assert (me["id"], me["display_name"], len(me["account_id"])) == ("user42.listens", "User 42", 22)
    assert me["images"][0]["url"] and not {"email", "country", "product", "followers"} & set(me)
    assert call(sandbox, "/me", shop).status_code == 403


def test_dead_and_unknown_tokens_are_refused_and_noted(sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/spotify", {"access_token_s": 60})
    pair = grant(sandbox)
    assert pair["expires_in"] == 60 and call(sandbox, "/me", pair["access_token"]).status_code == 200
    sandbox.control("PUT", "/clock", {"offset_s": 61})
    assert message(call(sandbox, "/me", pair["access_token"])) == (401, "The access token expired")
    assert message(call(sandbox, "/me", "made-up")) == (401, "Invalid access token")
    assert message(sandbox.http.get("/api.spotify.com/v1/me")) == (401, "No token provided")
    calls = sandbox.ledger("spotify_called")
    assert [(row["user"], row["dead"], row["status"]) for row in calls] == [
        ("nightjar", False, 200),
        ("nightjar", True, 401),
        (None, True, 401),
        (None, True, 401),
    ]


def test_who_is_not_on_the_allow_list_can_log_in_and_is_refused_every_call(sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/spotify", {"allow_list": ["nightjar"]})
    stranger = exchange(sandbox, decide(sandbox, "lowtide")["code"]).json()
    assert message(call(sandbox, "/me", stranger["access_token"]))[0] == 403
    assert refresh(sandbox, stranger["refresh_token"]).status_code == 200
    assert call(sandbox, "/me", grant(sandbox)["access_token"]).status_code == 200


def test_an_artists_albums_come_in_small_pages(sandbox: Sandbox, shop: str) -> None:
    found = call(sandbox, "/search", shop, q="upc:4006180000010", type="album").json()["albums"]["items"]
    artist = found[0]["artists"][0]["id"]
    shown = call(sandbox, f"/artists/{artist}", shop).json()
    assert shown["name"] == "Mara Lindqvist" and not {"followers", "popularity", "genres"} & set(shown)
    first = call(sandbox, f"/artists/{artist}/albums", shop, limit="1").json()
    assert (first["total"], len(first["items"]), first["previous"]) == (2, 1, None)
    assert first["next"].startswith(f"{sandbox.url}/api.spotify.com/v1/artists/")
    second = sandbox.http.get(first["next"], headers={"Authorization": f"Bearer {shop}"}).json()
    assert {a["release_date_precision"] for a in first["items"] + second["items"]} == {"day", "month"}
    assert (second["next"], second["items"][0]["id"] != first["items"][0]["id"]) == (None, True)
    assert call(sandbox, f"/artists/{artist}/albums", shop).json()["limit"] == 5
    assert message(call(sandbox, f"/artists/{artist}/albums", shop, limit="11")) == (400, "Invalid limit")


def test_albums_and_tracks_carry_their_codes(sandbox: Sandbox, shop: str) -> None:
    for upc in ("036000291452", "0036000291452"):
        (brief,) = call(sandbox, "/search", shop, q=f"upc:{upc}", type="album").json()["albums"]["items"]
    album = call(sandbox, f"/albums/{brief['id']}", shop).json()
    assert album["external_ids"]["upc"] == "036000291452" and album["tracks"]["total"] == 12
    assert not {"label", "popularity", "available_markets"} & set(album)
    tracks = call(sandbox, f"/albums/{brief['id']}/tracks", shop, limit="50").json()["items"]
    track = call(sandbox, f"/tracks/{tracks[0]['id']}", shop).json()
    assert track["external_ids"]["isrc"] == "DESND2600011" and "preview_url" not in track


def test_one_isrc_is_on_two_albums(sandbox: Sandbox, shop: str) -> None:
    items = call(sandbox, "/search", shop, q="isrc:DESND2600004", type="track").json()["tracks"]["items"]
    assert len({item["id"] for item in items}) == 2 and {item["name"] for item in items} == {"Windows"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/artists/short", 400),
        (f"/albums/{'0' * 22}", 404),
        ("/albums?ids=1", 403),
        (f"/artists/{'0' * 22}/top-tracks", 403),
        ("/player", 404),
        ("/search?q=night&type=playlist", 400),
    ],
)
def test_what_is_wrong_or_gone_is_refused(sandbox: Sandbox, shop: str, path: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {shop}"}
    assert message(sandbox.http.get(f"/api.spotify.com/v1{path}", headers=headers))[0] == status


def test_queued_faults_hit_both_hosts(sandbox: Sandbox) -> None:
    pair = grant(sandbox)
    limited = {"match": {"path": "^/api.spotify.com"}, "fault": "http", "code": 429, "retry_after_s": 7}
    sandbox.control("POST", "/faults", limited)
    answer = call(sandbox, "/me", pair["access_token"])
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    sandbox.control("POST", "/faults", limited | {"reason": "QUOTA_EXCEEDED"})
    assert call(sandbox, "/me", pair["access_token"]).json()["error"]["reason"] == "QUOTA_EXCEEDED"
    assert sandbox.ledger("spotify_called") == []
    sandbox.control("POST", "/faults", {"match": {"path": "spotify.*/api/token"}, "fault": "500-executed"})
    answer = refresh(sandbox, pair["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    sandbox.control("POST", "/faults", {"match": {"path": "spotify.*/api/token"}, "fault": "lost"})
    with pytest.raises(httpx.RemoteProtocolError):
        refresh(sandbox, pair["refresh_token"])
    assert len(sandbox.ledger("spotify_token_refreshed")) == 2
