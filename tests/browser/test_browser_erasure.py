"""The page about an erasure, in a real browser with scripts switched off: by night, by day, and on a small screen."""

from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.browser.front import API
from tests.browser.web import Web, complaints_of
from tests.house import PASSWORD

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("look", ["light", "dark"])
async def test_the_page_works_without_scripts(web: Web, browser: Browser, look: Literal["light", "dark"]) -> None:
    """What it says can be found by its roles, it fits a small screen, and the browser complains of nothing."""
    email = f"{look}@example.com"
    await web.register(email)
    login = await web.http.post("/v1/sessions", json={"email": email, "password": PASSWORD})
    headers = {"Authorization": f"Bearer {login.raise_for_status().json()['access_token']}"}
    begun = (await web.http.post("/v1/me/erasure", headers=headers)).raise_for_status().json()
    context = await browser.new_context(
        java_script_enabled=False, color_scheme=look, viewport={"width": 320, "height": 640}
    )
    page = await context.new_page()
    complaints = complaints_of(page)
    await page.goto(f"{web.front.url(API)}{urlsplit(begun['receipt_url']).path}")
    await expect(page).to_have_title("Your erasure request – SoundOps")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your erasure request")
    await expect(page.get_by_role("status")).to_contain_text("Waiting")
    await expect(page.get_by_role("contentinfo").get_by_role("link")).to_have_attribute(
        "href", "mailto:privacy@soundops.io"
    )
    box = await page.get_by_role("main").bounding_box()
    assert box is not None and box["x"] >= 0 and box["width"] <= 320
    assert email not in await page.content() and "Mara" not in await page.content()
    assert complaints == []
    await context.close()
