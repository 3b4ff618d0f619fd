"""The single-page app on a subdomain of its own, in a real browser."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from app.deps import REFRESH_COOKIE
from tests.browser.front import API, APP
from tests.browser.web import Web, complaints_of, done
from tests.house import PASSWORD, eventually

pytestmark = pytest.mark.timeout(60)


async def kept_by_scripts(page: Page) -> Any:
    """What scripts of the page's origin can find of a session outside the app's own memory."""
    return await page.evaluate(
        """async () => ({
          cookie: document.cookie,
          storage: [...Object.entries(localStorage), ...Object.entries(sessionStorage)],
          databases: (await indexedDB.databases()).length + (await caches.keys()).length,
        })"""
    )


NOTHING = {"cookie": "", "storage": [], "databases": 0}


async def test_the_whole_story(web: Web, visitor: BrowserContext) -> None:
    """Log in, work, reload, go on, confirm, log out: from another origin of the site, under the strictest policies."""
    await web.register("mara@example.com")
    page = await web.log_in(visitor, "mara@example.com")
    complaints = complaints_of(page)
    await expect(page.locator("#name")).to_have_text("Mara Lind")
    assert await page.evaluate("[crossOriginIsolated, location.origin]") == [True, web.front.url(APP)]
    assert await kept_by_scripts(page) == NOTHING

    await page.fill("#label [name=name]", "Nightjar")
    await page.fill("#label [name=slug]", "nightjar")
    await done(page, "label")
    made = await shown(page)
    assert (made["label-name"], made["etag"], made["replayed"]) == ("Nightjar", '"1"', "")
    await done(page, "label")
    again = await shown(page)
    assert (again["label-name"], again["etag"], again["replayed"]) == ("Nightjar", '"1"', "true")
    assert made["request-id"].startswith("req_") and again["request-id"].startswith("req_")
    assert await web.db.open("labels").count_documents({}, comment="all-labels: a test") == 1
    await page.fill("#rename [name=name]", "Nightjar Records")
    await done(page, "rename")
    assert (await shown(page)).items() >= {"label-name": "Nightjar Records", "etag": '"2"'}.items()

    await page.reload()
    await expect(page.locator("#name")).to_have_text("Mara Lind")
    await page.fill("#confirm [name=password]", PASSWORD)
    async with page.expect_response(lambda answer: answer.url.endswith("/reauthenticate")) as confirmed:
        await done(page, "confirm")
    bearer = {"Authorization": f"Bearer {(await (await confirmed.value).json())['access_token']}"}
    cookie = await web.cookie(visitor)
    assert cookie and (await web.http.get("/v1/me", headers=bearer)).status_code == 200
    assert await kept_by_scripts(page) == NOTHING

    await done(page, "logout")
    assert (await web.http.get("/v1/me", headers=bearer)).status_code == 401
    old = {"Cookie": f"{REFRESH_COOKIE}={cookie['value']}"}
    assert (await web.http.post("/v1/sessions/refresh", headers=old)).status_code == 401
    assert await web.cookie(visitor) is None
    assert complaints == []
    await page.reload()
    await expect(page.locator("#login")).to_be_visible()
    assert web.front.seen[-1].path == "/v1/sessions/refresh" and web.front.seen[-1].status == 401


async def shown(page: Page) -> dict[str, str]:
    """What the app shows of the last answers."""
    ids = ("label-name", "etag", "replayed", "request-id")
    return {id_: await page.inner_text(f"#{id_}") for id_ in ids}


async def test_the_cookie_is_out_of_reach(web: Web, visitor: BrowserContext) -> None:
    """The browser keeps it for the API's host alone, over TLS, away from scripts, and not for other sites."""
    await web.register("cookie@example.com")
    page = await web.log_in(visitor, "cookie@example.com")
    cookie = await web.cookie(visitor)
    assert cookie is not None
    assert (cookie["name"], cookie["domain"], cookie["path"]) == ("__Host-soundops_refresh", API, "/")
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    assert await visitor.cookies(web.front.url(APP)) == []
    await page.goto(f"{web.front.url(API)}/healthz")
    assert await page.evaluate("document.cookie") == ""


async def test_tabs_that_start_at_once(web: Web, visitor: BrowserContext) -> None:
    """Six tabs that a browser opens at once all go on with the one session: the app refreshes in one after another."""
    await web.register("tabs@example.com")
    page = await web.log_in(visitor, "tabs@example.com")
    tabs = [page, *[await visitor.new_page() for _ in range(5)]]
    await asyncio.gather(*[tab.goto(f"{web.front.url(APP)}/") for tab in tabs])
    for tab in tabs:
        await expect(tab.locator("#name")).to_have_text("Mara Lind")
    await page.reload()
    await expect(page.locator("#name")).to_have_text("Mara Lind")


async def test_leaving_in_the_middle(web: Web, visitor: BrowserContext) -> None:
    """Who leaves while the app refreshes still gets the next cookie, and goes on when they come back."""
    await web.register("leaving@example.com")
    page = await web.log_in(visitor, "leaving@example.com")
    before, asked = await web.cookie(visitor), len(web.front.seen)

    async def answered() -> bool:
        return len(web.front.seen) > asked

    async def renewed() -> bool:
        return await web.cookie(visitor) != before

    web.front.holding = True
    try:
        await page.goto(f"{web.front.url(APP)}/")
        await eventually(answered)
        await page.goto("about:blank")
        assert not await renewed()
    finally:
        web.front.holding = False
    await eventually(renewed)
    page = await web.open_app(visitor)
    await expect(page.locator("#name")).to_have_text("Mara Lind")


async def test_the_browsers_own_spelling(web: Web, visitor: BrowserContext) -> None:
    """Typed in upper case, the app's address is the listed origin still: browsers send it in lower case."""
    page = await web.open_app(visitor, web.front.url(APP.upper()))
    await expect(page.locator("#login")).to_be_visible()
    assert (web.front.seen[-1].origin, web.front.seen[-1].readable) == (web.front.url(APP), True)
