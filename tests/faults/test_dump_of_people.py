"""A copy of the database, of Redis and of the logs lets nobody in: whatever people were ever given is not in it."""

import bson
import pyotp
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.models.data_map import DATA_MAP
from tests.api.people import code_now
from tests.faults.canary import find
from tests.house import PASSWORD, House

OWNER, MARA, NEW = "owner@example.com", "mara@example.com", "another sentence of my own"


async def everything_people_do(house: House) -> dict[str, str]:
    """A label's life; every secret that anybody was given on the way, by its name."""
    owner = await house.person(OWNER)
    given = {"password": PASSWORD, "access token": owner.headers["Authorization"].split()[1]}
    await house.work()
    token = await link_of(house, OWNER, given, "link to confirm")
    (await house.http.post("/v1/users/verify-email", json={"token": token})).raise_for_status()
    seed = (await owner.post("/v1/me/totp")).json()["totp_seed"]
    confirm = {"code": code_now(house, pyotp.TOTP(seed))}
    codes = (await owner.post("/v1/me/totp/confirm", json=confirm)).json()["recovery_codes"]
    given |= {"seed": seed, "recovery code": codes[0], "recovery code, plain": codes[0].replace("-", "")}
    login = {"email": OWNER, "password": PASSWORD, "totp": codes[1]}
    answer = await house.http.post("/v1/sessions", json=login, headers={"Idempotency-Key": "the-key-of-a-login"})
    cookies = [line.split(";")[0].split("=", 1)[1] for line in answer.headers.get_list("set-cookie")]
    given |= {"used recovery code": codes[1], "refresh token": cookies[0], "device": cookies[1]}
    given |= {"second access token": answer.json()["access_token"], "idempotency key": "the-key-of-a-login"}
    label_id = await house.label(owner)
    client = (
        await owner.post(f"/v1/labels/{label_id}/api-clients", json={"name": "P", "scopes": ["label:read"]})
    ).json()
    basic = (client["client_id"], client["client_secret"])
    grant = await house.http.post("/v1/oauth/token", data={"grant_type": "client_credentials"}, auth=basic)
    given |= {"API secret": client["client_secret"], "client's token": grant.json()["access_token"]}
    await owner.post(f"/v1/labels/{label_id}/invitations", json={"email": MARA, "role": "agent"})
    await house.http.post("/v1/password-resets", json={"email": OWNER})
    await owner.post("/v1/me/email", json={"email": "moved@example.com"})
    await house.work()
    for email, name in ((MARA, "invitation"), (OWNER, "link to reset"), ("moved@example.com", "link to move")):
        await link_of(house, email, given, name)
    return given


async def link_of(house: House, email: str, given: dict[str, str], name: str) -> str:
    """The token of the newest mail with one."""
    given[name] = next(str(mail["token"]) for mail in await house.mails(email) if mail["token"])
    return given[name]


async def dump(house: House, redis_url: str) -> bytes:
    """Every document and every key with its value."""
    found = b""
    for name in DATA_MAP:
        async for document in house.db.open(name).find({}, comment="all-labels: a test's dump"):
            found += bson.encode(document)
    redis = Redis.from_url(redis_url)
    for key in await redis.keys("*"):
        found += key + (await redis.dump(key) or b"")
    await redis.aclose()
    return found


async def test_a_dump_lets_nobody_in(house: House, redis_url: str) -> None:
    """No password, session, key, invitation, link or code of anybody's, in eight encodings; nor in the log."""
    with capture_logs() as logged:
        given = await everything_people_do(house)
    assert len(given) >= 16
    places = {"the stores": await dump(house, redis_url), "the log": repr(logged).encode()}
    assert find(given.values(), places) == [], list(given)


async def test_the_search_finds_what_is_planted(house: House, redis_url: str) -> None:
    """One of each in the clear: so what is not found is not there."""
    token = "sot_0123456789-abcdef"
    planted = {"_id": "usr_1", "email_key": "x", "name": PASSWORD, "email": token.encode().hex()}
    await house.db.open("users").insert_one(planted)
    stores = {"the stores": await dump(house, redis_url)}
    assert len(find([PASSWORD, token], stores)) == 2
