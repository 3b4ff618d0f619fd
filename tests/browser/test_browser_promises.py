"""The pages about promises and retention, in a real browser with scripts switched off: by night, by day, and small."""

from typing import Literal

import pytest
from playwright.async_api import Browser, expect

from tests.browser.front import API
from tests.browser.web import Web, complaints_of

pytestmark = pytest.mark.timeout(60)
PAGES = {"promises": "Our promises, measured", "retention": "How long everything is kept"}


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
async def test_the_page_works_without_scripts(
    web: Web, browser: Browser, name: str, look: Literal["light", "dark"]
) -> None:
    """Its style is applied, it is no wider than the screen, and the browser complains of nothing."""
    context = await browser.new_context(
        java_script_enabled=False, color_scheme=look, viewport={"width": 320, "height": 640}
    )
    page = await context.new_page()
    complaints = complaints_of(page)
    await page.goto(f"{web.front.url(API)}/privacy/{name}")
    await expect(page).to_have_title(f"{PAGES[name]} – SoundOps")
    await expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[name])
    box = await page.get_by_role("main").bounding_box()
    assert box is not None and box["x"] >= 0 and box["width"] <= 320
    if name == "promises":
        await expect(page.get_by_role("status")).to_have_css("border-top-width", "2px")
        assert await page.get_by_role("article").count() == await page.get_by_role("img").count() > 50
    assert complaints == []
    await context.close()
