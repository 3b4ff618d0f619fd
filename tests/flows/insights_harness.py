"""What the flows of insights share: an account that is connected for them, and what the sandbox's figures are."""

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.clients.graph_insights import today
from app.clock import to_ms
from app.db import Doc
from app.services.connections import tending
from tests.flows.flows_harness import Desk, Meta, pass_by
from tests.house import PASSWORD, House

DAY = timedelta(days=1)
ACCOUNT_ID = "17841400000000001"


async def sit_at_figures(house: House, account: str = "nightjar.records") -> Desk:
    """The owner of a label whose Instagram account is connected for its insights, which nobody has read yet."""
    owner = await house.person()
    label_id = await house.label(owner)
    path = f"/v1/labels/{label_id}/connections"
    begun = (await owner.post(path, json={"provider": "instagram", "features": ["insights"]})).raise_for_status().json()
    async with httpx.AsyncClient(trust_env=False) as browser:
        allowed = await browser.post(begun["authorize_url"], data={"account": account, "allow": "1"})
    back = urlsplit(allowed.headers["location"])
    (await owner.get(f"{back.path}?{back.query}")).raise_for_status()
    await house.work()
    return Desk(house, owner, label_id, begun["id"])


async def look(desk: Desk) -> Doc:
    """Have what is due be read, to its end; the newest look's operation."""
    house = desk.house
    await tending.tend(house.db, house.api.audit, clock=house.clock)
    for _ in range(12):
        await house.work()
        found = await desk.stored("operations", kind="read_insights", label_id=desk.label_id)
        newest = max(found, key=lambda one: str(one["_id"]))
        if newest["state"] not in ("queued", "running") or newest["problem"]:
            return newest
        pass_by(house, timedelta(seconds=3))
    raise AssertionError(newest)


async def look_later(desk: Desk, time: timedelta) -> Doc:
    """The same after so much time, which passes for the sandbox too."""
    await let_pass(desk, time)
    return await look(desk)


async def let_pass(desk: Desk, time: timedelta) -> None:
    """Let time pass, for the sandbox too; the owner logs in again."""
    house = desk.house
    pass_by(house, time)
    async with httpx.AsyncClient(base_url=house.sandbox_url, trust_env=False) as http:
        order = {"offset_s": house.clock.offset.total_seconds()}
        (await http.put("/_sandbox/clock", json=order)).raise_for_status()
    log_in = await house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    house.http.cookies.clear()
    desk.owner.headers["Authorization"] = f"Bearer {log_in.raise_for_status().json()['access_token']}"


async def figure(meta: Meta, metric: str, day: date, node: str = ACCOUNT_ID) -> int:
    """What the sandbox says that an account's figure of a day is."""
    found = await meta.control("GET", f"/insights/figure?node={node}&metric={metric}&day={day}")
    return int(found["value"])


async def post_by_hand(meta: Meta, at: datetime, *, product: str = "FEED", account: str = "nightjar.records") -> str:
    """Have an account post something in Instagram's own app; Meta's id of it."""
    made = await meta.control("POST", "/media", account=account, product_type=product, at=to_ms(at))
    return str(made["media_id"])


async def series(desk: Desk, metric: str, **params: Any) -> Doc:
    """One series of the label's one account."""
    found = await desk.get("/insights/account", metrics=metric, **params)
    [account] = found["data"]
    shown: Doc = account["series"][0]
    return shown


def yesterday(desk: Desk) -> date:
    """The last whole day at Meta."""
    return today(desk.house.clock()) - DAY
