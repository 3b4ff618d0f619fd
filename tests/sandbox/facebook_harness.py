"""Logging in with Facebook, and calls on graph.facebook.com."""

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.sandbox.sandbox_harness import META_APP_ID, META_SECRET, REDIRECT, Sandbox

ROBIN, SASHA, KIM = "700000000000101", "700000000000102", "700000000000103"
NIGHTJAR, LOW_TIDE, MARKET, OLD_MILL, HARBOUR = (f"10000000000000{n}" for n in range(1, 6))
NIGHTJAR_IG = "17841400000000001"
APP_TOKEN = f"{META_APP_ID}|{META_SECRET}"
PERMISSIONS = (
    "pages_show_list,pages_read_engagement,pages_manage_metadata,pages_messaging,read_insights,instagram_basic,"
    "instagram_manage_comments,instagram_manage_messages,instagram_manage_insights,instagram_content_publish"
)


def facebook_dialog(**more: str) -> dict[str, str]:
    """The parameters of a Facebook dialog."""
    good = {"client_id": META_APP_ID, "redirect_uri": REDIRECT, "response_type": "code", "scope": PERMISSIONS}
    return good | {"state": "st=1&x"} | more


def decide(sandbox: Sandbox, form: dict[str, Any], **asked: str) -> httpx.Response:
    """Press a button in the dialog."""
    url = "/www.facebook.com/v26.0/dialog/oauth"
    return sandbox.http.post(url, params=facebook_dialog(**asked), data=form)


def facebook_code(sandbox: Sandbox, person: str = "robin", form: dict[str, Any] | None = None, **asked: str) -> str:
    """A fresh code of this person."""
    answer = decide(sandbox, {"person": person, "allow": "1"} | (form or {}), **asked)
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def exchange_code(sandbox: Sandbox, code: str, **more: str) -> httpx.Response:
    """Exchange a code for a token."""
    good = {"client_id": META_APP_ID, "client_secret": META_SECRET, "redirect_uri": REDIRECT, "code": code}
    return sandbox.http.post("/graph.facebook.com/v26.0/oauth/access_token", data=good | more)


def lengthen(sandbox: Sandbox, short: str) -> httpx.Response:
    """Exchange a short token for a long one."""
    params = {"client_id": META_APP_ID, "client_secret": META_SECRET, "grant_type": "fb_exchange_token"}
    return sandbox.http.get("/graph.facebook.com/oauth/access_token", params=params | {"fb_exchange_token": short})


class Facebook:
    """Calls with one token."""

    def __init__(self, http: httpx.Client, token: str) -> None:
        self.http, self.token = http, token

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, f"/graph.facebook.com/v26.0{path}", headers=headers, **kwargs)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.call("GET", path, params=params)

    def page(self, page_id: str) -> "Facebook":
        """The same with the token of a Page."""
        rows = self.get("/me/accounts", fields="id,access_token").json()["data"]
        return Facebook(self.http, next(row["access_token"] for row in rows if row["id"] == page_id))


def facebook_login(
    sandbox: Sandbox, person: str = "robin", form: dict[str, Any] | None = None, **asked: str
) -> Facebook:
    """Log a person in; calls with their long-lived token."""
    short = exchange_code(sandbox, facebook_code(sandbox, person, form, **asked)).json()["access_token"]
    return Facebook(sandbox.http, lengthen(sandbox, short).json()["access_token"])


def debug(sandbox: Sandbox, token: str) -> dict[str, Any]:
    """What `debug_token` says about a token."""
    params = {"input_token": token, "access_token": APP_TOKEN}
    answer = sandbox.http.get("/graph.facebook.com/v26.0/debug_token", params=params)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def proof(token: str, at: int | None = None, secret: str = META_SECRET) -> str:
    """The `appsecret_proof` of a token, in its timed form when a time is given."""
    message = token if at is None else f"{token}|{at}"
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
