"""Ending connections at the sandbox: an account connected by its log-in, or a Page as the log-in leaves it."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from app.db import Doc
from app.models.data_map import DATA_MAP
from app.services.vault.secrets import put_secret
from tests.flows.flows_harness import Desk, pass_by
from tests.house import META_APP_ID, META_APP_SECRET, PASSWORD, PUBLIC_URL, House

ROBIN, PAGE, OTHER_PAGE = "700000000000101", "100000000000001", "100000000000002"
SETTLED = timedelta(seconds=46)
"""Longer than the drain's lease and an operation's."""
LATE = "all-labels: a test looks"


async def leave(desk: Desk, **more: Any) -> Doc:
    """Ask for the end of the desk's connection; the operation."""
    answer = await desk.owner.delete(f"/v1/labels/{desk.label_id}/connections/{desk.connection_id}", **more)
    assert answer.status_code == 202, answer.text
    found: Doc = answer.json()
    return found


async def to_the_end(desk: Desk) -> Doc:
    """Have the worker do all of it, with time to settle in between; the receipt."""
    for _ in range(2):
        await desk.house.work()
        pass_by(desk.house, SETTLED)
    await desk.house.work()
    return await receipt(desk)


async def log_in_again(desk: Desk) -> None:
    """The owner, whose log-in has ended while time passed."""
    login = await desk.house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    desk.owner.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"


async def receipt(desk: Desk) -> Doc:
    """The receipt, which must be there."""
    found: Doc = await desk.get(f"/connections/{desk.connection_id}/receipt")
    return found


def results(shown: Doc) -> dict[str, str]:
    """What came of each step of a receipt."""
    return {step["name"]: step["result"] for step in shown["steps"]}


async def stored_of(house: House, connection_id: str) -> dict[str, int]:
    """How many documents of which collection name the connection."""
    found: dict[str, int] = {}
    for name in DATA_MAP:
        count = await house.db.raw[name].count_documents({"connection_id": connection_id}, comment=LATE)
        assert not count or DATA_MAP[name].of_connection, f"{name} must say what the end of a connection does to it"
        found |= {name: count} if count else {}
    return found


async def page_connection(house: House, label_id: str, page: str = PAGE) -> Doc:
    """An active connection of a Page of Robin's, with real tokens of the sandbox's, as the log-in leaves it."""
    tokens = await robins_tokens(house.sandbox_url, PUBLIC_URL, page)
    fields = {"_id": f"con_{label_id[4:]}{page[-2:]}"} | of_page(page)
    found = await house.connection(label_id, page, **fields)
    key = {"_id": found["_id"], "label_id": label_id}
    await house.db.open("connections").update_one(key, {"$set": {"account.kind": "page"}})
    for purpose, token in tokens.items():
        await put_secret(house.db, house.api.ring, token, connection=found, purpose=purpose, now=house.clock())
    return found


def of_page(page: str) -> Doc:
    """What a stored connection of a Page of Robin's has otherwise than one of an Instagram account."""
    return {
        "provider": "facebook",
        "network": "facebook",
        "person_ids": [ROBIN],
        "subscription_id": page,
        "subscribed_fields": ["messages"],
    }


async def robins_tokens(sandbox_url: str, public_url: str, page: str) -> dict[str, str]:
    """Robin's own long-lived token, and theirs for the Page, whose webhooks are on; by their purposes in the vault."""
    uri = f"{public_url}/v1/oauth/callback/facebook"
    app = {"client_id": META_APP_ID, "client_secret": META_APP_SECRET}
    graph = "/graph.facebook.com/v26.0"
    scope = "pages_show_list,pages_read_engagement,pages_manage_metadata,pages_messaging"
    asked = {"client_id": META_APP_ID, "redirect_uri": uri, "response_type": "code", "scope": scope}
    async with httpx.AsyncClient(base_url=sandbox_url, trust_env=False) as http:
        form = {"person": "robin", "allow": "1"}
        allowed = await http.post("/www.facebook.com/v26.0/dialog/oauth", params=asked, data=form)
        code = parse_qs(urlsplit(allowed.headers["location"]).query)["code"][0]
        exchange = app | {"redirect_uri": uri, "code": code}
        short = (await http.post(f"{graph}/oauth/access_token", data=exchange)).raise_for_status().json()
        lengthen = app | {"grant_type": "fb_exchange_token", "fb_exchange_token": short["access_token"]}
        long = (await http.get(f"{graph}/oauth/access_token", params=lengthen)).raise_for_status().json()
        http.headers["Authorization"] = f"Bearer {long['access_token']}"
        pages = (await http.get(f"{graph}/me/accounts", params={"fields": "id,access_token"})).json()["data"]
        token = next(str(one["access_token"]) for one in pages if one["id"] == page)
        http.headers["Authorization"] = f"Bearer {token}"
        path = f"{graph}/{page}/subscribed_apps"
        (await http.post(path, params={"subscribed_fields": "messages"})).raise_for_status()
    return {"user_token": str(long["access_token"]), "access_token": token}
