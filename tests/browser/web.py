"""The product as browsers reach it, and what stands behind it: what was asked, what is stored, what a browser keeps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from playwright.async_api import BrowserContext, ConsoleMessage, Cookie, Page, expect

from app.db import Database, Doc
from app.deps import REFRESH_COOKIE
from app.models.data_map import DATA_MAP
from tests.browser.front import API, APP, Front
from tests.house import PASSWORD

PATIENCE_MS = 40_000
"""For how long a page may take to be as expected: on a busy machine, but not for ever."""
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Web:
    """The hosts, the API beside its front (`http`, no browser), and the database under it."""

    front: Front
    http: httpx.AsyncClient
    db: Database

    async def register(self, email: str, *, name: str = "Mara Lind", password: str = PASSWORD) -> None:
        """Make an account."""
        body = {"name": name, "email": email, "password": password}
        born = {"date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
        (await self.http.post("/v1/users", json=body | born)).raise_for_status()

    async def stored(self) -> dict[str, list[Doc]]:
        """Everything that is stored."""
        found = {}
        for name in DATA_MAP:
            cursor = self.db.open(name).find({}, comment="all-labels: a test's dump")
            found[name] = await cursor.sort("_id", 1).to_list()
        return found

    async def open_app(self, visitor: BrowserContext, origin: str | None = None) -> Page:
        """The app in a new tab, once it knows whether somebody is logged in."""
        page = await visitor.new_page()
        await page.goto(f"{origin or self.front.url(APP)}/")
        await expect(page.locator("#state")).to_have_text("start: done")
        return page

    async def log_in(self, visitor: BrowserContext, email: str) -> Page:
        """The app, with this person logged in by the form."""
        page = await self.open_app(visitor)
        await page.fill("#login [name=email]", email)
        await page.fill("#login [name=password]", PASSWORD)
        await done(page, "login")
        return page

    async def cookie(self, visitor: BrowserContext) -> Cookie | None:
        """The refresh cookie that a browser keeps."""
        kept = await visitor.cookies(self.front.url(API))
        return next((cookie for cookie in kept if cookie["name"] == REFRESH_COOKIE), None)


async def done(page: Page, work: str) -> None:
    """Have the app do it, by the button of its form, and wait until it has."""
    button = "#logout" if work == "logout" else f"#{work} button"
    await page.click(button)
    await expect(page.locator("#state")).to_have_text(f"{work}: done")


def complaints_of(page: Page) -> list[str]:
    """What the browser will complain of on this page: errors, policies that were broken, scripts that failed."""
    found: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: found.append(error.message))
    return found


@asynccontextmanager
async def opened(front: Front, api_url: str, mongodb_url: str) -> AsyncIterator[Web]:
    """The product that runs at `api_url` behind this front, on this database."""
    db = Database(mongodb_url)
    async with httpx.AsyncClient(base_url=api_url, trust_env=False, timeout=30) as http:
        yield Web(front, http, db)
    db.close()
