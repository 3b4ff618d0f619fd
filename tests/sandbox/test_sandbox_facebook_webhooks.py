"""Webhooks of Pages, and of Instagram accounts behind Pages."""

import hashlib
import hmac
import json
from typing import Any

from tests.sandbox.facebook_harness import NIGHTJAR, NIGHTJAR_IG, PERMISSIONS, Facebook, facebook_login
from tests.sandbox.sandbox_harness import META_SECRET, SECRET, Receiver, Sandbox, refusal


def signed_by(post: tuple[dict[str, str], bytes]) -> list[str]:
    """The apps whose secret signed this POST."""
    headers, body = post
    apps = {"instagram": SECRET, "meta": META_SECRET}
    made = {app: hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for app, secret in apps.items()}
    return [app for app, digest in made.items() if headers["x-hub-signature-256"] == f"sha256={digest}"]


def delivered(receiver: Receiver) -> list[tuple[str, list[str]]]:
    """Object and signing app of every POST so far."""
    return [(json.loads(post[1])["object"], signed_by(post)) for post in receiver.posts]


def subscribed(sandbox: Sandbox, fields: str, scope: str = PERMISSIONS) -> Facebook:
    """Calls with the token of Robin's Page, which has the app."""
    page = facebook_login(sandbox, scope=scope).page(NIGHTJAR)
    assert page.call("POST", "/me/subscribed_apps", params={"subscribed_fields": fields}).status_code == 200
    return page


def test_a_fan_writes_to_a_page(sandbox: Sandbox, receiver: Receiver) -> None:
    page = subscribed(sandbox, "messages")
    made = sandbox.write("Hello 🎵", account=NIGHTJAR)
    sandbox.settle()
    assert delivered(receiver) == [("page", ["meta"])]
    [item] = receiver.items()
    assert (item["sender"]["id"], item["recipient"]["id"]) == (made["psid"], NIGHTJAR)
    assert item["message"] == {"mid": made["mid"], "text": "Hello 🎵"} and made["mid"].startswith("m_")
    threads = page.get("/me/conversations", fields="id,participants").json()["data"]
    assert threads[0]["participants"]["data"][0] == {"id": made["psid"], "name": "Mara"}


def test_a_fan_comments_on_a_page(sandbox: Sandbox, receiver: Receiver) -> None:
    subscribed(sandbox, "feed")
    made = sandbox.comment(account="Nightjar Records")
    sandbox.settle()
    assert delivered(receiver) == [("page", ["meta"])]
    [entry] = receiver.entries()
    [change] = entry["changes"]
    value = change["value"]
    assert (entry["id"], change["field"], value["item"], value["verb"]) == (NIGHTJAR, "feed", "comment", "add")
    assert (value["comment_id"], value["post_id"], value["message"]) == (made["comment_id"], made["post_id"], "Love it")
    assert value["created_time"] < 10_000_000_000, "seconds"


def test_an_instagram_account_behind_a_subscribed_page_is_heard(sandbox: Sandbox, receiver: Receiver) -> None:
    """Whichever fields the Page has; signed by the Meta app."""
    assert sandbox.write()["webhook"] is False
    page = subscribed(sandbox, "feed")
    made = sandbox.write()
    sandbox.comment()
    sandbox.settle()
    assert delivered(receiver) == [("instagram", ["meta"])] * 2
    assert {entry["id"] for entry in receiver.entries()} == {NIGHTJAR_IG}
    body = {"recipient": {"id": made["igsid"]}, "message": {"text": "Friday!"}}
    assert page.call("POST", "/me/messages", json=body).json()["recipient_id"] == made["igsid"]
    sandbox.settle()
    assert receiver.items()[-1]["message"]["is_echo"] is True
    page.call("DELETE", "/me/subscribed_apps")
    assert sandbox.write()["webhook"] is False


def test_both_apps_hear_an_account_connected_in_both_ways(sandbox: Sandbox, receiver: Receiver) -> None:
    subscribed(sandbox, "messages")
    sandbox.login()
    sandbox.control("PUT", "/delivery", {"rebatch": [20, 20]})
    made = sandbox.write()
    sandbox.write(account=NIGHTJAR)
    sandbox.settle()
    posts = sorted(delivered(receiver))
    assert posts == [("instagram", ["instagram"]), ("instagram", ["meta"]), ("page", ["meta"])]
    assert [item["message"]["mid"] for item in receiver.items()].count(made["mid"]) == 2


def test_what_was_not_allowed_is_not_heard(sandbox: Sandbox, receiver: Receiver) -> None:
    scope = "pages_show_list,pages_manage_metadata,instagram_basic,instagram_manage_comments"
    page = subscribed(sandbox, "feed", scope=scope)
    assert sandbox.write()["webhook"] is False and sandbox.comment()["webhook"] is True
    assert sandbox.write(account=NIGHTJAR)["webhook"] is False
    body: dict[str, Any] = {"recipient": {"id": "900000000000011"}, "message": {"text": "Friday!"}}
    assert refusal(page.call("POST", "/me/messages", json=body))[0] == 10


def test_raw_posts_can_be_signed_by_either_app(sandbox: Sandbox, receiver: Receiver) -> None:
    for app in ("instagram", "meta"):
        sandbox.control("POST", f"/webhook/raw?app={app}", {"object": "page", "entry": []})
    assert [signed_by(post) for post in receiver.posts] == [["instagram"], ["meta"]]
