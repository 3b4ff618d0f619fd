"""Pages of other people, open in the browser of somebody who is logged in."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from app.deps import REFRESH_COOKIE
from tests.browser.front import API, APP, EVIL, HERE, SIBLING, Front
from tests.browser.web import Web
from tests.house import PASSWORD, eventually

pytestmark = pytest.mark.timeout(60)

ATTACKER = ("attacker@example.com", "a long sentence = only mine")
"""A real account: whoever logs the victim in as this person sees what the victim then writes."""
NO_LEAVE, WRONG_ORIGIN, NOT_JSON = ("OPTIONS", 204), ("POST", 403), ("POST", 415)
"""How an attack ends: at a preflight that permits nothing, or at a refusal."""
ENDS = {
    "log-in as JSON": NO_LEAVE,
    "refresh as JSON": NO_LEAVE,
    "log-out": NO_LEAVE,
    "log-out with a token": NO_LEAVE,
    "beacon as JSON": NO_LEAVE,
    "log-in as text": NOT_JSON,
    "log-in as text that names JSON": NOT_JSON,
    "log-in of no type": NOT_JSON,
    "refresh of no type": WRONG_ORIGIN,
    "log-in, unseen": NOT_JSON,
    "refresh, unseen": WRONG_ORIGIN,
    "refresh as text, unseen": NOT_JSON,
    "beacon to log-in": NOT_JSON,
    "beacon to refresh": WRONG_ORIGIN,
    "form to log-in": NOT_JSON,
    "text form to log-in": NOT_JSON,
    "form to refresh": WRONG_ORIGIN,
    "text form to refresh": WRONG_ORIGIN,
    "form without referrer": WRONG_ORIGIN,
    "form in a sandbox": WRONG_ORIGIN,
}
PLACES: dict[str, Callable[[Front], str]] = {
    "another site": lambda front: front.url(EVIL),
    "a sibling that is not listed": lambda front: front.url(SIBLING),
    "the app on another port": lambda front: front.misplaced_app,
}


def gained(attack: str, *, same_site: bool) -> str:
    """What the attacker's page gets of it."""
    if "beacon" in attack or "form" in attack:
        return "sent"
    return "opaque" if "unseen" in attack and same_site else "blocked"  # CORP: to another site not even that


async def attack(web: Web, page: Page, name: str) -> Any:
    """Have the attacker's page try, and wait until the API was asked; what the page got of it."""
    before = len(web.front.seen)
    got = await page.evaluate("name => ATTACKS[name]()", name)

    async def arrived() -> bool:
        return len(web.front.seen) > before

    await eventually(arrived)
    if "form" in name and "sandbox" not in name:
        await page.wait_for_url(f"{web.front.url(API)}/**")
        await page.go_back()
    return got


@pytest.fixture(scope="session")
async def attacker(web: Web) -> None:
    """The attacker's account."""
    await web.register(ATTACKER[0], password=ATTACKER[1])


@pytest.mark.parametrize("place", PLACES)
async def test_nothing_comes_of_it(web: Web, visitor: BrowserContext, attacker: None, place: str) -> None:
    """Each attack reaches the API, with the cookie where the site is the same; nothing is stored, set or readable."""
    email, origin = f"victim{list(PLACES).index(place)}@example.com", PLACES[place](web.front)
    same_site = place != "another site"
    await web.register(email)
    page = await web.log_in(visitor, email)
    cookie, stored, begins = await web.cookie(visitor), await web.stored(), len(web.front.seen)

    hostile = await visitor.new_page()
    await hostile.goto(f"{origin}/")
    got = {name: await attack(web, hostile, name) for name in ENDS}

    seen = web.front.seen[begins:]
    assert got == {name: gained(name, same_site=same_site) for name in ENDS}
    assert dict(zip(ENDS, [(one.method, one.status) for one in seen], strict=True)) == ENDS
    assert not any(one.readable or one.sets_cookie for one in seen)
    assert {one.origin for one in seen} == {origin, "null"}
    with_cookie = {name for name, one in zip(ENDS, seen, strict=True) if one.has_session}
    asked = {name for name, end in ENDS.items() if end != NO_LEAVE and name != "form in a sandbox"}
    assert with_cookie == (asked if same_site else set())
    assert await web.stored() == stored
    assert await web.cookie(visitor) == cookie
    await page.reload()
    await expect(page.locator("#name")).to_have_text("Mara Lind")


async def test_the_same_from_the_app(web: Web, visitor: BrowserContext, attacker: None) -> None:
    """From the listed origin the very same calls work: what stops them elsewhere is where they come from."""
    await web.register("control@example.com")
    page = await web.log_in(visitor, "control@example.com")
    await page.evaluate((HERE / "attacker" / "attacks.js").read_text())

    async def rotated_by(name: str) -> bool:
        before = await web.cookie(visitor)
        assert await page.evaluate("name => ATTACKS[name]()", name) == "read"
        return bool(await web.cookie(visitor) != before)

    assert await rotated_by("refresh as JSON")
    assert await rotated_by("log-in as JSON")
    unseen = "url => fetch(url, {mode: 'no-cors'}).then((answer) => answer.type)"
    assert await page.evaluate(unseen, f"{web.front.url(API)}/healthz") == "opaque"  # CORP lets siblings in


async def test_the_origin_is_exact(web: Web) -> None:
    """What only resembles the listed origin is not it: no leave at the preflight, none to read, no refresh."""
    app = web.front.url(APP)
    resembling = [
        app.upper(),
        app.replace("https:", "HTTPS:"),
        app.replace("https:", "http:"),
        app.rpartition(":")[0],
        web.front.misplaced_app,
        f"{app}/",
        app.replace("://", "://evil"),
        app.replace(".test", ".test.evil.test"),
        app.replace(".test", ".test."),
        "null",
        "*",
    ]
    await web.register("exact@example.com")
    login = await web.http.post("/v1/sessions", json={"email": "exact@example.com", "password": PASSWORD})
    sent = {"Cookie": f"{REFRESH_COOKIE}={login.cookies[REFRESH_COOKIE]}", "Content-Type": "application/json"}
    for origin in resembling:
        wish = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = await web.http.options("/v1/sessions/refresh", headers=wish)
        refused = await web.http.post("/v1/sessions/refresh", headers=sent | {"Origin": origin})
        assert (origin, preflight.status_code, refused.status_code) == (origin, 204, 403)
        assert "access-control-allow-origin" not in preflight.headers.keys() | refused.headers.keys()
    good = await web.http.post("/v1/sessions/refresh", headers=sent | {"Origin": app})
    assert (good.status_code, good.headers["access-control-allow-origin"]) == (200, app)
