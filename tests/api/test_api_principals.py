"""Whose an `Idempotency-Key` is: nobody gets another's kept answer, and who has logged out gets none."""

import httpx

from app.deps import REFRESH_COOKIE
from tests.house import PASSWORD, PUBLIC_URL, House

KEY = {"Idempotency-Key": "1"}
LABEL = {"name": "Nightjar", "slug": "nightjar"}


def client_of(house: House) -> httpx.AsyncClient:
    """A browser of somebody's own, without cookies."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url=PUBLIC_URL)


async def cookie_of(house: House, email: str) -> dict[str, str]:
    """The header that shows a fresh log-in's refresh cookie."""
    answer = await house.http.post("/v1/sessions", json={"email": email, "password": PASSWORD})
    token = answer.raise_for_status().cookies[REFRESH_COOKIE]
    house.http.cookies.clear()
    return {"Cookie": f"{REFRESH_COOKIE}={token}"}


async def test_another_spelling_of_bearer_is_the_same_person(house: House) -> None:
    """Two people with one key, whose clients write `bearer`: each makes a label of their own."""
    first, second = await house.person("a@example.com"), await house.person("b@example.com")
    for person in (first, second):
        person.headers["Authorization"] = person.headers["Authorization"].replace("Bearer", "bearer")
    made = await first.post("/v1/labels", json=LABEL, headers=KEY)
    assert made.status_code == 201
    other = await second.post("/v1/labels", json=LABEL, headers=KEY)
    assert (other.status_code, other.json()["code"]) == (409, "slug_taken")
    first.headers["Authorization"] = first.headers["Authorization"].replace("bearer", "Bearer")
    again = await first.post("/v1/labels", json=LABEL, headers=KEY)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (made.json(), "true")


async def test_no_kept_answer_after_log_out(house: House) -> None:
    """The access token would be good for minutes yet; the session is not. A new log-in gets the kept answer."""
    person = await house.person()
    made = await person.post("/v1/labels", json=LABEL, headers=KEY)
    assert (await person.delete("/v1/sessions/current")).status_code == 204
    refused = await person.post("/v1/labels", json=LABEL, headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    login = await house.http.post("/v1/sessions", json={"email": "owner@example.com", "password": PASSWORD})
    person.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    again = await person.post("/v1/labels", json=LABEL, headers=KEY)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (made.json(), "true")


async def test_a_refresh_is_only_repeated_for_its_own_cookie(house: House) -> None:
    """The key alone, which anyone may guess, gives no token; neither does it with another's cookie."""
    for email in ("a@example.com", "b@example.com"):
        await house.person(email)
    mine, others = await cookie_of(house, "a@example.com"), await cookie_of(house, "b@example.com")
    async with client_of(house) as browser:
        first = await browser.post("/v1/sessions/refresh", headers=KEY | mine)
        assert first.status_code == 200
        browser.cookies.clear()
        nobody = await browser.post("/v1/sessions/refresh", headers=KEY)
        assert (nobody.status_code, "Idempotency-Replayed" in nobody.headers) == (401, False)
        other = await browser.post("/v1/sessions/refresh", headers=KEY | others)
        assert other.status_code == 200
        assert other.json()["access_token"] != first.json()["access_token"]
        browser.cookies.clear()
        again = await browser.post("/v1/sessions/refresh", headers=KEY | mine)
        assert again.json() == first.json()
        assert again.headers["Set-Cookie"] == first.headers["Set-Cookie"]
