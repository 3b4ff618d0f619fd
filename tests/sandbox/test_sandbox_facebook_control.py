"""What people do in Facebook itself, drift, faults, and callbacks."""

import hmac
import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from tests.sandbox.facebook_harness import (
    LOW_TIDE,
    MARKET,
    NIGHTJAR,
    NIGHTJAR_IG,
    ROBIN,
    Facebook,
    debug,
    facebook_login,
)
from tests.sandbox.sandbox_harness import META_SECRET, SECRET, Receiver, Sandbox, refusal


def payload_of(text: str, secret: str) -> dict[str, Any] | None:
    """What a `signed_request` says, if this secret signed it."""
    signature, _, payload = text.partition(".")
    good = hmac.digest(secret.encode(), payload.encode(), "sha256")
    if urlsafe_b64decode(signature + "=") != good:
        return None
    found: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def test_a_permission_withdrawn_in_the_settings_leaves_the_token(sandbox: Sandbox) -> None:
    sandbox.control("PUT", "/people/permissions", {"person": "robin", "permissions": {"email": None}}, 409)
    page = facebook_login(sandbox).page(NIGHTJAR)
    order = {"person": "robin", "permissions": {"pages_messaging": "declined", "read_insights": None}}
    sandbox.control("PUT", "/people/permissions", order)
    assert (
        refusal(page.get("/me/conversations"))[0] == refusal(page.get("/me/insights", metric="page_follows"))[0] == 200
    )
    assert page.get("/me").status_code == 200
    assert "pages_messaging" not in debug(sandbox, page.token)["scopes"]
    sandbox.control("PUT", "/people/permissions", order | {"permissions": {"made_up": "granted"}}, 422)


@pytest.mark.parametrize(
    ("path", "subcode"), [("/people/password", 460), ("/people/remove-app", 458), ("/people/checkpoint", 459)]
)
def test_how_a_person_ends_all_tokens(sandbox: Sandbox, path: str, subcode: int) -> None:
    robin, sasha = facebook_login(sandbox), facebook_login(sandbox, "sasha")
    page, other = robin.page(LOW_TIDE), sasha.page(LOW_TIDE)
    sandbox.control("PUT" if "checkpoint" in path else "POST", path, {"person": "robin"})
    assert refusal(robin.get("/me")) == refusal(page.get("/me")) == (190, subcode)
    assert debug(sandbox, page.token)["error"]["subcode"] == subcode
    assert other.get("/me").status_code == 200
    assert sandbox.ledger("permissions_revoked") == [], "it was not the product's doing"


def test_a_checkpoint_passes(sandbox: Sandbox) -> None:
    robin = facebook_login(sandbox)
    sandbox.control("PUT", "/people/checkpoint", {"person": ROBIN})
    sandbox.control("PUT", "/people/checkpoint", {"person": ROBIN, "active": False})
    assert robin.get("/me").status_code == 200


def test_a_lost_role_kills_the_page_token_for_good(sandbox: Sandbox) -> None:
    robin = facebook_login(sandbox)
    page = robin.page(NIGHTJAR)
    sandbox.control("PUT", "/pages/role", {"person": "robin", "page": "Nightjar Records", "tasks": ["ANALYZE"]})
    assert refusal(page.get("/me/conversations")) == (200, None)
    sandbox.control("PUT", "/pages/role", {"person": "robin", "page": NIGHTJAR, "tasks": []})
    assert refusal(page.get("/me")) == (190, 492)
    assert NIGHTJAR not in [row["id"] for row in robin.get("/me/accounts").json()["data"]]
    sandbox.control("PUT", "/pages/role", {"person": "robin", "page": NIGHTJAR, "tasks": ["MANAGE"]})
    assert refusal(page.get("/me")) == (190, 492)
    assert robin.page(NIGHTJAR).get("/me").status_code == 200


def test_an_unlinked_instagram_account_is_gone(sandbox: Sandbox) -> None:
    page = facebook_login(sandbox).page(NIGHTJAR)
    sandbox.control("PUT", "/pages/link", {"page": NIGHTJAR, "account": None})
    assert refusal(page.get(f"/{NIGHTJAR_IG}/media")) == (100, 33)
    assert "instagram_business_account" not in page.get("/me", fields="instagram_business_account").json()
    sandbox.control("PUT", "/pages/link", {"page": MARKET, "account": "nightjar.records"})
    assert refusal(page.get(f"/{NIGHTJAR_IG}")) == (100, 33)


def test_tokens_end_by_whom_they_speak_for_and_by_kind(sandbox: Sandbox) -> None:
    robin, nightjar = facebook_login(sandbox), sandbox.login()
    page, other = robin.page(NIGHTJAR), robin.page(LOW_TIDE)
    sandbox.control("POST", "/tokens/expire", {"account": NIGHTJAR})
    assert refusal(page.get("/me")) == (190, 463) and other.get("/me").status_code == 200
    sandbox.control("POST", "/tokens/expire", {"account": "robin", "kind": "user"})
    assert refusal(robin.get("/me")) == (190, 463) and other.get("/me").status_code == 200
    sandbox.control("POST", "/tokens/revoke", {"account": "robin", "subcode": 460})
    assert refusal(other.get("/me")) == (190, 460) and nightjar.get("/me").status_code == 200
    kinds = {token["value"]: (token["host"], token["kind"]) for token in sandbox.control("GET", "/tokens")["tokens"]}
    assert kinds[page.token] == ("graph.facebook.com", "page") and kinds[robin.token][1] == "user"
    assert kinds[nightjar.token] == ("graph.instagram.com", "instagram_user")
    assert "EAA" not in json.dumps(sandbox.control("GET", "/ledger"))


@pytest.mark.parametrize("about", ["nightjar.records", NIGHTJAR])
def test_subscribed_fields_drift_without_a_trace_in_the_ledger(sandbox: Sandbox, about: str) -> None:
    graph: Any = sandbox.login() if about == "nightjar.records" else facebook_login(sandbox).page(NIGHTJAR)
    graph.call("POST", "/me/subscribed_apps", params={"subscribed_fields": "messages"})
    before = sandbox.ledger("subscription_changed")
    for fields in (["live_videos"], []):
        sandbox.control("PUT", "/subscriptions", {"account": about, "fields": fields})
        shown = graph.get("/me/subscribed_apps").json()["data"]
        assert [row["subscribed_fields"] for row in shown] == ([fields] if fields else [])
    assert sandbox.ledger("subscription_changed") == before


@pytest.mark.parametrize("about", ["robin", NIGHTJAR, "Nightjar Records", "nightjar.records"])
def test_faults_and_usage_reach_the_facebook_hosts(sandbox: Sandbox, about: str) -> None:
    robin, sasha = facebook_login(sandbox), facebook_login(sandbox, "sasha")
    page = robin.page(NIGHTJAR)
    sandbox.control("POST", "/faults", {"fault": "error", "code": 4, "match": {"account": about}})
    assert sasha.page(LOW_TIDE).get("/me").status_code == 200
    path = f"/{NIGHTJAR_IG}/media" if about == "nightjar.records" else f"/{NIGHTJAR}"
    assert refusal(page.get(path)) == (4, None) and page.get(path).status_code == 200
    sandbox.control(
        "POST", "/faults", {"fault": "http", "code": 503, "match": {"path": "^/graph.facebook.com/v26.0/debug"}}
    )
    assert sandbox.http.get("/graph.facebook.com/v26.0/debug_token").status_code == 503
    sandbox.control("PUT", "/usage", {"app": {"call_count": 96}})
    answer = page.get("/me")
    assert json.loads(answer.headers["x-app-usage"]) == {"call_count": 96}
    assert answer.headers["facebook-api-version"] == "v26.0"


def test_a_callback_about_a_person_is_signed_by_the_meta_app(sandbox: Sandbox, receiver: Receiver) -> None:
    robin = facebook_login(sandbox)
    sent = sandbox.control("POST", "/callback", {"person": "robin", "kind": "deauthorize"})
    payload = payload_of(sent["signed_request"], META_SECRET)
    assert payload and payload["user_id"] == ROBIN and payload["algorithm"] == "HMAC-SHA256" and sent["status"] == 200
    assert refusal(robin.get("/me")) == (190, 458)
    sent = sandbox.control("POST", "/callback", {"account": "nightjar.records", "kind": "data-deletion"})
    assert payload_of(sent["signed_request"], SECRET)
    assert receiver.posts[-1][1].decode().startswith("signed_request=")
    sandbox.control("POST", "/callback", {"kind": "deauthorize"}, 422)
    sandbox.control("POST", "/callback", {"person": "nobody", "kind": "deauthorize"}, 404)


def test_forged_callbacks_change_nothing(sandbox: Sandbox, receiver: Receiver) -> None:
    robin = facebook_login(sandbox)
    order = {"person": "robin", "kind": "deauthorize"}

    def sent(**more: Any) -> str:
        return str(sandbox.control("POST", "/callback", order | more)["signed_request"])

    assert payload_of(sent(signature="other_app"), SECRET)
    assert payload_of(sent(signature="bad"), META_SECRET) is None
    old = payload_of(sent(issued_at=1_000), META_SECRET)
    none = payload_of(sent(algorithm="none"), META_SECRET)
    stranger = payload_of(sent(user_id="31337"), META_SECRET)
    assert old and none and stranger
    assert (old["issued_at"], none["algorithm"], stranger["user_id"]) == (1_000, "none", "31337")
    assert robin.get("/me").status_code == 200


def test_a_callback_can_be_sent_twice_alike(sandbox: Sandbox, receiver: Receiver) -> None:
    facebook_login(sandbox)
    sent = sandbox.control("POST", "/callback", {"person": "robin", "kind": "data-deletion", "times": 2})
    assert [answer["status"] for answer in sent["answers"]] == [200, 200]
    assert receiver.posts[-1][1] == receiver.posts[-2][1]


def test_the_journal_brings_back_what_people_did(own_sandbox: Sandbox) -> None:
    robin, kim = facebook_login(own_sandbox), facebook_login(own_sandbox, "kim")
    page = robin.page(NIGHTJAR)
    own_sandbox.control("PUT", "/pages/role", {"person": "robin", "page": NIGHTJAR, "tasks": []})
    own_sandbox.control("PUT", "/pages/link", {"page": MARKET, "account": "nightjar.records"})
    own_sandbox.control("PUT", "/people/permissions", {"person": "robin", "permissions": {"read_insights": "expired"}})
    own_sandbox.control("PUT", "/people/checkpoint", {"person": "robin"})
    own_sandbox.control("POST", "/people/remove-app", {"person": "kim"})
    before = own_sandbox.control("GET", "/state")
    own_sandbox.stop()
    own_sandbox.start()
    after = own_sandbox.control("GET", "/state")
    assert (after["pages"], after["people"]) == (before["pages"], before["people"])
    again = [Facebook(own_sandbox.http, token) for token in (page.token, robin.token, kim.token)]
    assert [refusal(one.get("/me"))[1] for one in again] == [492, 459, 458]


def test_the_front_page_lists_pages_and_people(sandbox: Sandbox) -> None:
    facebook_login(sandbox, scope="pages_show_list")
    page = sandbox.http.get("/").text
    assert all(shown in page for shown in ("Night Market", "Robin Vale", "pages_show_list", "Sasha Okafor"))
