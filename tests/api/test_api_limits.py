"""Limits over HTTP: who is one caller, what every answer tells, and whom they never touch."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import httpx
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.limiter import KEY_PREFIX
from app.problems import MEDIA_TYPE
from tests.api.people import with_second_factor
from tests.house import NO_LIMITS, PASSWORD, PUBLIC_URL, House, delivery, message_change, open_house, settings_env

Open = Callable[..., AbstractAsyncContextManager[House]]
POLICY = '"address";q=50;w=60, "account";q=40;w=60'


@pytest.fixture
async def counts(redis_url: str) -> AsyncIterator[Redis]:
    """A Redis database in which nothing has been counted yet."""
    redis = Redis.from_url(urlsplit(redis_url)._replace(path="/5").geturl(), decode_responses=True)
    await redis.flushdb()
    yield redis
    await redis.aclose()


@pytest.fixture
def limited(mongodb_url: str, redis_url: str, key_folder: Path, counts: Redis) -> Open:
    """Opens the product with these limits, and none else."""

    @asynccontextmanager
    async def opened(limits: str, **more: str) -> AsyncIterator[House]:
        url = urlsplit(redis_url)._replace(path="/5").geturl()
        settings = {"redis_url": url, "SOUNDOPS_LIMITS": f"{NO_LIMITS},{limits}"} | more
        async with open_house(settings_env(key_folder, **({"mongodb_url": mongodb_url} | settings))) as house:
            yield house

    return opened


def at(house: House, address: str) -> httpx.AsyncClient:
    """A client of this address."""
    transport = httpx.ASGITransport(house.app, client=(address, 40_000))
    return httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL)


def left_of(answer: httpx.Response, name: str) -> int:
    """How many are left of a limit, as the answer says."""
    found = re.search(rf'"{name}";r=(\d+);t=\d+', answer.headers["ratelimit"])
    assert found, answer.headers["ratelimit"]
    return int(found[1])


async def test_every_answer_says_how_the_limits_stand(limited: Open) -> None:
    """Good ones and refusals of every layer; each request is one less, of its address and of its account."""
    async with limited("address=50/60,account=40/60") as house:
        owner = await house.person()
        label = await house.label(owner)
        path = f"/v1/labels/{label}"
        await house.db.open("labels").update_one({"_id": label}, {"$unset": {"slug": 1}})
        with capture_logs():
            broken = await owner.get(path)
        answers = [
            await owner.get("/v1/me"),
            await owner.post("/v1/labels", json={"name": "Other", "slug": "other"}),
            await house.http.get("/v1/me"),
            await owner.get("/v1/labels/lbl_none"),
            await owner.post("/v1/labels", json={}),
            await house.http.get("/nothing"),
            await house.http.post("/v1/sessions", content=b"{", headers={"Content-Type": "application/json"}),
            await house.http.post("/v1/sessions", content=b"a=b"),
            broken,
        ]
        assert [answer.status_code for answer in answers] == [200, 201, 401, 404, 422, 404, 400, 415, 500]
        for answer in answers:
            known = answer.headers["ratelimit-policy"]
            assert known.startswith('"address";q=50;w=60') and re.fullmatch(
                r'"address";r=\d+;t=\d+(, "\w+";r=\d+;t=\d+)*', answer.headers["ratelimit"]
            )
        assert answers[0].headers["ratelimit-policy"] == POLICY
        before, after = await owner.get("/v1/me"), await owner.get("/v1/me")
        for name in ("address", "account"):
            assert left_of(after, name) == left_of(before, name) - 1


async def test_what_is_over_the_limit_is_refused_and_says_for_how_long(limited: Open) -> None:
    """By a problem of ours; waiting that long succeeds, a second less does not. In real time."""
    async with limited("account=5/3") as house:
        owner = await house.person()
        assert [(await owner.get("/v1/me")).status_code for _ in range(5)] == [200] * 5
        refused = await owner.get("/v1/me")
        assert (refused.status_code, refused.headers["content-type"]) == (429, MEDIA_TYPE)
        assert refused.json()["code"] == "too_many_requests"
        retry_after_s = int(refused.headers["retry-after"])
        assert 2 <= retry_after_s <= 3
        wanted = f"Too many requests by this account: try again in {retry_after_s} seconds"
        assert refused.json()["detail"] == wanted
        assert f'"account";r=0;t={retry_after_s}' in refused.headers["ratelimit"]
        await asyncio.sleep(retry_after_s - 1)
        assert (await owner.get("/v1/me")).status_code == 429
        await asyncio.sleep(1)
        assert (await owner.get("/v1/me")).status_code == 200


@pytest.mark.parametrize("hops", [0, 1, 2])
async def test_what_a_caller_says_of_itself_makes_no_other_bucket(limited: Open, hops: int) -> None:
    """50 invented `X-Forwarded-For` are one caller, behind as many proxies of ours as there are."""
    ours = ["198.51.100.7", "10.0.0.1"][:hops]  # what our proxies append: whom they saw
    async with limited("address=20/60", SOUNDOPS_TRUSTED_HOPS=str(hops)) as house:
        statuses = []
        for number in range(50):
            said = ", ".join([f"203.0.113.{number}", f"2001:db8:{number:x}::1", *ours])
            statuses.append((await house.http.get("/nothing", headers={"X-Forwarded-For": said})).status_code)
        assert statuses == [404] * 20 + [429] * 30
        if hops:
            other = ", ".join(["198.51.100.8", "10.0.0.1"][:hops])
            assert (await house.http.get("/nothing", headers={"X-Forwarded-For": other})).status_code == 404


async def test_a_whole_64_is_one_caller(limited: Open) -> None:
    """An IPv6 customer has as many addresses as it likes; the next customer's, and IPv4 neighbours, are others."""
    async with limited("address=4/60") as house:
        mine = ["2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::2", "2001:db8:1:2:a::"]
        assert [(await at(house, one).get("/nothing")).status_code for one in mine] == [404] * 4
        assert (await at(house, "2001:db8:1:2:b::9").get("/nothing")).status_code == 429
        others = ["2001:db8:1:3::1", "192.0.2.1", "192.0.2.2"]
        assert [(await at(house, one).get("/nothing")).status_code for one in others] == [404] * 3
        for _ in range(3):  # the IPv4 address in its other spelling is the same
            last = await at(house, "::ffff:192.0.2.1").get("/nothing")
        assert left_of(last, "address") == 0


async def test_a_withdrawal_is_never_too_much(limited: Open) -> None:
    """Whoever shares an address with many others can take back what they gave, as easily as they gave it."""
    async with limited("consent_address=2/3600") as house:
        given = await house.http.post("/v1/consents", json={"analytics": True})
        jar = {"Cookie": given.headers["set-cookie"].partition(";")[0]}
        for wish, status in ((True, 200), (True, 429), (False, 200), (False, 200)):
            answer = await house.http.post("/v1/consents", json={"analytics": wish}, headers=jar)
            assert answer.status_code == status
        rows = await house.db.open("consents").find({}).sort("seq", 1).to_list()
        assert [row["decision"] for row in rows] == ["given", "given", "withdrawn"]


async def test_webhooks_are_never_limited(limited: Open, counts: Redis) -> None:
    """Far more deliveries than an address may make are all taken, handshakes too, and nothing is counted for them."""
    async with limited("address=5/60") as house:
        body = delivery(message_change("mid-1", ms=house.ms()))
        assert [(await house.deliver(body)).status_code for _ in range(40)] == [200] * 40
        shake = {"hub.mode": "subscribe", "hub.verify_token": "wrong", "hub.challenge": "1"}
        for _ in range(10):
            answer = await house.http.get("/v1/webhooks/meta", params=shake)
            assert answer.status_code == 403 and "ratelimit" not in answer.headers
        assert (await house.deliver(b"{}", signed="sha256=00")).status_code == 401
        assert await counts.keys(f"{KEY_PREFIX}*") == []
        assert (await house.http.get("/nothing")).status_code == 404  # the address has all of its quota left
        assert len(await counts.keys(f"{KEY_PREFIX}*")) == 1


async def test_health_is_counted_and_always_answered(limited: Open) -> None:
    """A probe of an address that has used its quota up still learns how we are."""
    async with limited("address=3/60") as house:
        answers = [await house.http.get(path) for path in ("/healthz", "/readyz") * 4]
        assert {answer.status_code for answer in answers} == {200}
        assert [left_of(answer, "address") for answer in answers] == [2, 1, 0, 0, 0, 0, 0, 0]
        assert (await house.http.get("/nothing")).status_code == 429


async def test_no_key_tells_whom_it_counts(limited: Open, counts: Redis) -> None:
    """Neither an address nor an account stands in Redis in clear, and no words of a caller's."""
    async with limited("address=50/60") as house:
        owner = await house.person("somebody@example.com")
        label = await house.label(owner)
        await owner.get(f"/v1/labels/{label}")
        await house.api.limiter.hit("login_account", "somebody@example.com\r\n* é", [])
        keys = await counts.keys(f"{KEY_PREFIX}*")
        of_people = {"address", "account", "label", "login_account", "register_address"} | {
            "mail_address",
            "mail_caller",
        }
        assert {key.split(":")[2] for key in keys} == of_people
        assert all(re.fullmatch(rf"{KEY_PREFIX}[a-z_]+:[0-9a-f]{{32}}", key) for key in keys)
        assert min([await counts.pttl(key) for key in keys]) > 0  # each goes away by itself


async def test_reads_stay_open_and_quick_without_redis(limited: Open) -> None:
    """With nobody where Redis should be, and with somebody who accepts and never answers."""

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    for url in ("redis://127.0.0.1:9", f"redis://127.0.0.1:{port}"):
        async with limited("account=1/60", redis_url=url) as house:
            owner = await house.person(f"owner{urlsplit(url).port}@example.com")
            began = perf_counter()
            answers = [await owner.get("/v1/me") for _ in range(20)]
            took_s = perf_counter() - began
            assert [answer.status_code for answer in answers] == [200] * 20
            assert took_s < 2 and "ratelimit" not in answers[0].headers
    silent.close()


async def test_a_refusal_that_is_not_ours_carries_the_protection_too(limited: Open) -> None:
    """`503` without the store and `429`, like every other answer."""
    async with limited("address=3/60", mongodb_url="mongodb://127.0.0.1:9/soundops") as house:
        login = {"email": "owner@example.com", "password": "whatever it was"}
        away = await house.http.post("/v1/sessions", json=login)
        for _ in range(3):
            refused = await house.http.get("/nothing")
        assert (away.status_code, refused.status_code) == (503, 429)
        for answer in (away, refused):
            assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["vary"] == "Origin"
            assert int(answer.headers["retry-after"]) >= 1


async def test_an_outsider_uses_up_no_labels_quota(limited: Open) -> None:
    """Only whoever may enter a label is counted for it."""
    async with limited("label=3/60") as house:
        owner, outsider = await house.person(), await house.person("outsider@example.com")
        path = f"/v1/labels/{await house.label(owner)}"
        assert [(await outsider.get(path)).status_code for _ in range(5)] == [404] * 5
        assert [(await owner.get(path)).status_code for _ in range(4)] == [200, 200, 200, 429]


async def test_refused_input_costs_no_mail(limited: Open) -> None:
    """Weak passwords, a birth date: nobody is locked out of registering by what sent no mail."""
    async with limited("mail_caller=2/3600") as house:
        body = {"name": "W", "email": "weak@example.com", "date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
        for password in ("passwordpassword", "short", "123456789012345", "aaaaaaaaaaaaaaaa"):
            assert (await house.http.post("/v1/users", json=body | {"password": password})).status_code == 422
        for status in (201, 201, 429):
            assert (await house.http.post("/v1/users", json=body | {"password": PASSWORD})).status_code == status
        resets = [await house.http.post("/v1/password-resets", json={"email": body["email"]}) for _ in range(3)]
        assert [answer.status_code for answer in resets] == [202, 202, 429]


async def test_the_right_password_past_the_limit_is_not_told(limited: Open) -> None:
    """Also where a second factor would be asked for: forty guesses at once, and the right one after them."""
    async with limited("login_account=10/900") as house:
        await with_second_factor(house, "mara@example.com")
        guesses = [*(f"a wrong sentence {number}" for number in range(40)), PASSWORD]
        bodies = [{"email": "mara@example.com", "password": guess} for guess in guesses]
        answers = await asyncio.gather(*(house.http.post("/v1/sessions", json=body) for body in bodies))
        codes = [answer.json()["code"] for answer in answers]
        assert codes.count("invalid_credentials") == 10 and codes[-1] == "too_many_requests"


async def test_checks_of_a_connection_are_limited(limited: Open) -> None:
    """Each connection by itself: a check asks its provider."""
    async with limited("check_connection=2/600") as house:
        owner = await house.person()
        label_id = await house.label(owner)
        paths = [
            f"/v1/labels/{label_id}/connections/{(await house.connection(label_id, account))['_id']}/check"
            for account in ("17841400000000001", "17841400000000002")
        ]
        assert [(await owner.post(paths[0])).status_code for _ in range(3)] == [202, 202, 429]
        assert (await owner.post(paths[1])).status_code == 202
