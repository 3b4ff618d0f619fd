"""What a person's and a Page's token may do, and how it ends."""

import pytest

from tests.sandbox.facebook_harness import (
    APP_TOKEN,
    LOW_TIDE,
    MARKET,
    NIGHTJAR,
    NIGHTJAR_IG,
    OLD_MILL,
    PERMISSIONS,
    ROBIN,
    Facebook,
    debug,
    facebook_login,
)
from tests.sandbox.sandbox_harness import META_APP_ID, SECRET, Sandbox, refusal

MEDIA = "18000000000000001"
CALLS = [
    (f"/{NIGHTJAR}/conversations", {}, "pages_messaging", 200),
    (f"/{NIGHTJAR}/conversations", {"platform": "instagram"}, "instagram_manage_messages", 10),
    (f"/{NIGHTJAR}/feed", {}, "pages_read_engagement", 10),
    (f"/{NIGHTJAR}/insights", {"metric": "page_follows"}, "read_insights", 200),
    (f"/{NIGHTJAR}/subscribed_apps", {}, "pages_manage_metadata", 200),
    (f"/{NIGHTJAR}", {"fields": "link"}, "pages_read_engagement", 10),
    (f"/{NIGHTJAR_IG}", {"fields": "username"}, "instagram_basic", 10),
    (f"/{NIGHTJAR_IG}/media", {}, "instagram_basic", 10),
    (f"/{NIGHTJAR_IG}/content_publishing_limit", {"fields": "config"}, "instagram_content_publish", 10),
    (f"/{NIGHTJAR_IG}/insights", {"metric": "reach"}, "instagram_manage_insights", 10),
    (f"/{MEDIA}/comments", {}, "instagram_manage_comments", 10),
]


@pytest.mark.parametrize(("path", "params", "permission", "code"), CALLS)
def test_every_call_wants_its_permission(
    sandbox: Sandbox, path: str, params: dict[str, str], permission: str, code: int
) -> None:
    page = facebook_login(sandbox).page(NIGHTJAR)
    assert page.get(path, **params).status_code == 200, page.get(path, **params).text
    assert Facebook(sandbox.http, page.token).call("GET", path.replace(NIGHTJAR, "me"), params=params).is_success
    sandbox.http.request("DELETE", f"/graph.facebook.com/{ROBIN}/permissions/{permission}?access_token={APP_TOKEN}")
    assert refusal(page.get(path, **params)) == (code, None)


@pytest.mark.parametrize(
    "path",
    [
        f"/{OLD_MILL}/conversations",
        "/17841400000000003/content_publishing_limit",
        "/18000000000000201/comments",
        f"/{OLD_MILL}/subscribed_apps",
    ],
)
def test_without_the_task_a_page_refuses(sandbox: Sandbox, path: str) -> None:
    """Kim may only look at Old Mill's figures."""
    page = facebook_login(sandbox, "kim").page(OLD_MILL)
    method = "POST" if path.endswith("subscribed_apps") else "GET"
    assert refusal(page.call(method, path, params={"subscribed_fields": "feed"})) == (200, None)
    assert page.get(f"/{OLD_MILL}/insights", metric="page_follows").status_code == 200


def test_the_publishing_limit_says_what_is_asked(sandbox: Sandbox) -> None:
    quota = {"quota_total": 50, "quota_duration": 86400}
    page, nightjar = facebook_login(sandbox).page(NIGHTJAR), sandbox.login()
    found = page.get(f"/{NIGHTJAR_IG}/content_publishing_limit", fields="quota_usage,config").json()
    assert found == {"data": [{"quota_usage": 0, "config": quota}]}
    assert nightjar.get("/me/content_publishing_limit").json() == {"data": [{"quota_usage": 0}]}
    assert refusal(nightjar.get("/me/insights", metric="reach"))[0] == 10, "not granted at this log-in"
    scope = "instagram_business_basic,instagram_business_manage_insights"
    graph = sandbox.login(scope=scope, subscribe="")
    totals = graph.get("/me/insights", metric="reach,views", metric_type="total_value", period="day").json()["data"]
    assert [row["name"] for row in totals] == ["reach", "views"] and totals[0]["total_value"]["value"] > 0
    assert refusal(graph.get("/me/insights", metric="impressions"))[0] == 100


def test_a_page_is_subscribed_with_its_own_token_and_its_own_fields(sandbox: Sandbox) -> None:
    robin = facebook_login(sandbox)
    page, path = robin.page(NIGHTJAR), f"/{NIGHTJAR}/subscribed_apps"
    assert refusal(robin.call("POST", path, params={"subscribed_fields": "feed"})) == (210, None)
    assert refusal(page.call("POST", path, params={"subscribed_fields": "messages,messaging_seen"})) == (100, None)
    assert page.call("POST", path, params={"subscribed_fields": "messages,feed"}).json() == {"success": True}
    app = page.get(path).json()["data"][0]
    assert (app["id"], app["subscribed_fields"]) == (META_APP_ID, ["messages", "feed"])
    assert refusal(robin.page(LOW_TIDE).get(path)) == (100, 33)
    assert page.call("DELETE", path).json() == {"success": True} and page.get(path).json() == {"data": []}
    rows = sandbox.ledger("subscription_changed")
    assert [(row["account_id"], row["fields"]) for row in rows] == [(NIGHTJAR, ["messages", "feed"]), (NIGHTJAR, [])]


def test_messages_cannot_be_subscribed_without_pages_messaging(sandbox: Sandbox) -> None:
    page = facebook_login(sandbox, scope=PERMISSIONS.replace("pages_messaging,", "")).page(NIGHTJAR)
    path = f"/{NIGHTJAR}/subscribed_apps"
    assert refusal(page.call("POST", path, params={"subscribed_fields": "messages"})) == (200, None)
    assert page.call("POST", path, params={"subscribed_fields": "feed"}).status_code == 200


@pytest.mark.parametrize("with_app", [True, False])
def test_revoking_kills_every_token_of_the_person(sandbox: Sandbox, with_app: bool) -> None:
    robin, sasha = facebook_login(sandbox), facebook_login(sandbox, "sasha")
    pages = [robin.page(NIGHTJAR), robin.page(LOW_TIDE)]
    for page, page_id in zip([*pages, sasha.page(OLD_MILL)], [NIGHTJAR, LOW_TIDE, OLD_MILL], strict=True):
        page.call("POST", f"/{page_id}/subscribed_apps", params={"subscribed_fields": "feed"})
    assert refusal(pages[0].call("DELETE", f"/{ROBIN}/permissions")) == (100, 33), "never with a Page's token"
    caller = Facebook(sandbox.http, APP_TOKEN) if with_app else robin
    assert caller.call("DELETE", f"/{ROBIN}/permissions").json() == {"success": True}
    assert {refusal(one.get("/me")) for one in [robin, *pages]} == {(190, 458)}
    assert sasha.get("/me").status_code == 200
    assert len(sandbox.ledger("permissions_revoked")) == 1
    subscribed = {row["account_id"]: row["fields"] for row in sandbox.ledger("subscription_changed")}
    assert subscribed == {NIGHTJAR: [], LOW_TIDE: ["feed"], OLD_MILL: ["feed"]}, "Sasha still vouches for Low Tide"
    again = Facebook(sandbox.http, APP_TOKEN)
    assert again.call("DELETE", f"/{ROBIN}/permissions").json() == {"success": True}
    assert len(sandbox.ledger("permissions_revoked")) == 1
    assert again.get(f"/{ROBIN}/permissions").json() == {"data": []}


def test_revoking_one_permission_leaves_the_token(sandbox: Sandbox) -> None:
    robin = facebook_login(sandbox)
    sandbox.control("PUT", "/options", {"revoke_answer": "true"})
    assert robin.call("DELETE", "/me/permissions/pages_messaging").json() is True
    assert "pages_messaging" not in [row["permission"] for row in robin.get("/me/permissions").json()["data"]]
    assert refusal(robin.call("DELETE", "/me/permissions/made_up"))[0] == 100


def test_debug_token_tells_the_app_what_a_token_is_worth(sandbox: Sandbox) -> None:
    robin = facebook_login(sandbox)
    data = debug(sandbox, robin.token)
    assert (data["app_id"], data["type"], data["is_valid"], data["user_id"]) == (META_APP_ID, "USER", True, ROBIN)
    assert abs(data["data_access_expires_at"] - data["issued_at"] - 90 * 86400) < 60
    assert {"scope": "pages_show_list"} in data["granular_scopes"] and "pages_show_list" in data["scopes"]
    assert debug(sandbox, robin.page(MARKET).token)["profile_id"] == MARKET
    assert refusal(robin.get("/debug_token", input_token=robin.token))[0] == 100
    wrong = Facebook(sandbox.http, f"{META_APP_ID}|{SECRET}")
    assert refusal(wrong.get("/debug_token", input_token=robin.token))[0] == 100
    robin.call("DELETE", "/me/permissions")
    dead = debug(sandbox, robin.token)
    assert (dead["is_valid"], dead["error"]["code"], dead["error"]["subcode"]) == (False, 190, 458)
    assert debug(sandbox, "nonsense")["error"]["code"] == 190


def test_what_belongs_to_others_does_not_exist(sandbox: Sandbox) -> None:
    page = facebook_login(sandbox).page(NIGHTJAR)
    for path in (f"/{OLD_MILL}", "/17841400000000003", "/17841400000000002/media", "/18000000000000201", "/1", "/me/x"):
        assert refusal(page.get(path))[0] in (100, 2500), path
    assert refusal(sandbox.http.get("/graph.facebook.com/me"))[0] == 104


def test_the_journal_brings_everything_back(own_sandbox: Sandbox) -> None:
    robin = facebook_login(own_sandbox, form={"page": [NIGHTJAR, LOW_TIDE]})
    page = robin.page(NIGHTJAR)
    page.call("POST", f"/{NIGHTJAR}/subscribed_apps", params={"subscribed_fields": "feed"})
    robin.call("DELETE", "/me/permissions/pages_messaging")
    before = [robin.get(path).json() for path in ("/me/permissions", "/me/accounts")]
    own_sandbox.stop()
    own_sandbox.start()
    robin = Facebook(own_sandbox.http, robin.token)
    assert [robin.get(path).json() for path in ("/me/permissions", "/me/accounts")] == before
    assert robin.page(NIGHTJAR).token == page.token
    assert Facebook(own_sandbox.http, page.token).get("/me/subscribed_apps").json()["data"]
