"""The page about a deletion, in a real browser with scripts switched off: by night, by day, and on a small screen."""

from typing import Literal

import pytest
from playwright.async_api import Browser, expect

from app.clock import utc_now
from tests.browser.front import API
from tests.browser.web import Web, complaints_of
from tests.house import APP_SECRET, signed_request

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("look", ["light", "dark"])
async def test_the_page_works_without_scripts(web: Web, browser: Browser, look: Literal["light", "dark"]) -> None:
    """Its style is applied, what it says can be found by its roles, and the browser complains of nothing."""
    form = {"signed_request": signed_request(APP_SECRET, "7000000000000099", at=utc_now())}
    answer = await web.http.post("/v1/webhooks/meta/data-deletion", data=form)
    code = answer.raise_for_status().json()["confirmation_code"]
    context = await browser.new_context(
        java_script_enabled=False, color_scheme=look, viewport={"width": 320, "height": 640}
    )
    page = await context.new_page()
    complaints = complaints_of(page)
    await page.goto(f"{web.front.url(API)}/data-deletion/{code}")
    await expect(page).to_have_title("Your data deletion request – SoundOps")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your data deletion request")
    await expect(page.get_by_role("status")).to_contain_text("there was nothing to delete")
    await expect(page.get_by_role("main").get_by_text(code)).to_be_visible()
    await expect(page.get_by_role("contentinfo").get_by_role("link")).to_have_attribute(
        "href", "mailto:privacy@soundops.io"
    )
    await expect(page.get_by_role("status")).to_have_css("border-top-width", "2px")
    box = await page.get_by_role("main").bounding_box()
    assert box is not None and box["x"] >= 0 and box["width"] <= 320
    assert complaints == []
    await context.close()
