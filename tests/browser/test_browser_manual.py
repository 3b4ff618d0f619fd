"""The manual of the API, in a real browser."""

from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, ViewportSize, expect

from tests.browser.front import API, EVIL
from tests.browser.web import Web, complaints_of

pytestmark = pytest.mark.timeout(120)
EVERYTHING: ViewportSize = {"width": 1280, "height": 30_000}
"""Of so many operations the manual draws those that are in sight."""


async def test_the_manual_works(web: Web, visitor: BrowserContext) -> None:
    """It shows every operation and tries one, without a complaint of the browser and without any other host."""
    page = await visitor.new_page()
    await page.set_viewport_size(EVERYTHING)
    complaints, hosts = complaints_of(page), set[str]()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    await page.goto(f"{web.front.url(API)}/docs")
    contract = (await web.http.get("/openapi.json")).json()
    operations = sum(len(methods.keys() - {"parameters"}) for methods in contract["paths"].values())
    await expect(page.locator(".opblock")).to_have_count(operations)
    health = page.locator(".opblock", has=page.locator("[data-path='/healthz']"))
    await health.locator(".opblock-summary-control").click()
    await health.locator(".execute").click()
    await expect(health.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert complaints == []
    assert {host for host in hosts if host} == {urlsplit(web.front.url(API)).netloc}


async def test_the_manual_declares_json(web: Web, visitor: BrowserContext) -> None:
    """A refresh, which has no body, comes as far as the missing cookie; and who may call it is shown beside it."""
    page = await visitor.new_page()
    await page.set_viewport_size(EVERYTHING)
    await page.goto(f"{web.front.url(API)}/docs")
    refresh = page.locator(".opblock", has=page.locator("[data-path='/v1/sessions/refresh']"))
    await refresh.locator(".opblock-summary-control").click()
    await expect(refresh).to_contain_text("x-access")
    await refresh.locator(".execute").click()
    await expect(refresh.locator(".live-responses-table")).to_contain_text("unauthenticated")


async def test_nobody_frames_the_manual(web: Web, visitor: BrowserContext) -> None:
    """A page of somebody else shows an error where it would have liked the API, so that no click can be led there."""
    page = await visitor.new_page()
    await page.goto(f"{web.front.url(EVIL)}/")
    async with page.expect_console_message(lambda message: "frame-ancestors 'none'" in message.text):
        await page.evaluate(
            "url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))",
            f"{web.front.url(API)}/docs",
        )
