"""The second factor: codes and recovery codes work once, seeds are sealed, and only their owner switches it off."""

import asyncio
from datetime import timedelta

import bson
import pyotp

from tests.api.people import actions, code_now, mails, problem, user_of, verified, with_second_factor
from tests.house import PASSWORD, House

MARA = "mara@example.com"


async def login(house: House, **totp: str) -> tuple[int, str | None]:
    """The status and the code of a log-in."""
    return problem(await house.http.post("/v1/sessions", json={"email": MARA, "password": PASSWORD} | totp))


async def test_switching_it_on(house: House) -> None:
    """A code of the shown seed switches it on, and a log-in needs one then. The seed is sealed, codes are hashed."""
    _, totp, codes = await with_second_factor(house, MARA)
    assert len(set(codes)) == 10 and all(len(code.replace("-", "")) == 16 for code in codes)
    assert await login(house) == (401, "totp_required")
    assert await login(house, totp="000000") == (401, "invalid_totp")
    code = code_now(house, totp, steps=1)
    assert await login(house, totp=f"{code[:3]} {code[3:]}") == (200, None)
    stored = bson.encode(await house.db.open("second_factors").find_one({}) or {})
    for secret in (totp.secret, *codes, *(code.replace("-", "") for code in codes)):
        assert secret.encode() not in stored
    user = await user_of(house, MARA)
    assert "second_factor.switched_on" in await actions(house, user["_id"])
    assert (await mails(house, "second_factor_changed"))[0]["facts"]["change"] == "switched on"


async def test_a_code_works_once(house: House) -> None:
    """Not twice within its half minute, and not an older one after it; of twenty at once, one."""
    _, totp, _ = await with_second_factor(house, MARA)
    house.clock.offset = timedelta(minutes=5)
    code, before = code_now(house, totp), code_now(house, totp, steps=-1)
    answers = await asyncio.gather(*(login(house, totp=code) for _ in range(20)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 19
    assert await login(house, totp=code) == (401, "invalid_totp")
    assert await login(house, totp=before) == (401, "invalid_totp")
    assert await login(house, totp=code_now(house, totp, steps=1)) == (200, None)


async def test_clocks_may_differ_by_one_step(house: House) -> None:
    """One half minute early or late is taken, two are not."""
    _, totp, _ = await with_second_factor(house, MARA)
    house.clock.offset = timedelta(minutes=5)
    assert await login(house, totp=code_now(house, totp, steps=-2)) == (401, "invalid_totp")
    assert await login(house, totp=code_now(house, totp, steps=2)) == (401, "invalid_totp")
    assert await login(house, totp=code_now(house, totp, steps=-1)) == (200, None)
    assert await login(house, totp=code_now(house, totp, steps=1)) == (200, None)


async def test_a_recovery_code_works_once(house: House) -> None:
    """However it is typed; its use is told by mail. New ones void the old ones."""
    person, _, codes = await with_second_factor(house, MARA)
    assert await login(house, totp=f" {codes[0].upper().replace('-', ' ')} ") == (200, None)
    assert await login(house, totp=codes[0]) == (401, "invalid_totp")
    assert [mail["facts"]["change"] for mail in await mails(house, "second_factor_changed")] == [
        "switched on",
        "a recovery code was used",
    ]
    shown = (await person.get("/v1/me/totp")).json()
    assert (shown["enabled"], shown["recovery_codes_left"]) == (True, 9)
    fresh = (await person.post("/v1/me/totp/recovery-codes")).json()["recovery_codes"]
    assert await login(house, totp=codes[1]) == (401, "invalid_totp")
    assert await login(house, totp=fresh[0]) == (200, None)


async def test_a_wrong_password_is_not_told_by_the_second_factor(house: House) -> None:
    """Whether an account has one is only seen with the right password; a right code helps nobody without it."""
    _, totp, _ = await with_second_factor(house, MARA)
    body = {"email": MARA, "password": "not the right password", "totp": code_now(house, totp, steps=1)}
    assert problem(await house.http.post("/v1/sessions", json=body)) == (401, "invalid_credentials")
    assert await login(house, totp=body["totp"]) == (200, None)


async def test_it_needs_a_confirmed_address_and_a_fresh_log_in(house: House) -> None:
    """Who registers with another's address cannot lock them out of it; nor can a stolen session of some age."""
    person = await house.person(MARA)
    assert problem(await person.post("/v1/me/totp")) == (403, "email_not_verified")
    other = await verified(house, "ines@example.com")
    await house.db.open("sessions").update_many({}, {"$set": {"authenticated_at": house.clock() - timedelta(hours=1)}})
    assert problem(await other.post("/v1/me/totp")) == (403, "reauthentication_required")


async def test_what_is_not_confirmed_does_not_count(house: House) -> None:
    """A seed that nobody confirmed asks nobody for a code; a second one replaces it; a wrong code confirms nothing."""
    person = await verified(house, MARA)
    old = (await person.post("/v1/me/totp")).json()["totp_seed"]
    new = (await person.post("/v1/me/totp")).json()
    assert new["provisioning_uri"].startswith("otpauth://totp/SoundOps:mara%40example.com?secret=")
    assert await login(house) == (200, None)
    wrong = await person.post("/v1/me/totp/confirm", json={"code": code_now(house, pyotp.TOTP(old))})
    assert problem(wrong) == (401, "invalid_totp")
    assert (await person.get("/v1/me/totp")).json()["enabled"] is False
    right = await person.post("/v1/me/totp/confirm", json={"code": code_now(house, pyotp.TOTP(new["totp_seed"]))})
    assert right.status_code == 200
    assert problem(await person.post("/v1/me/totp")) == (409, "totp_enabled")
    assert problem(await person.post("/v1/me/totp/confirm", json={"code": "123456"})) == (409, "totp_enabled")


async def test_switching_it_off(house: House) -> None:
    """A log-in needs no code any more; there is nothing to switch off twice."""
    person, _, _ = await with_second_factor(house, MARA)
    assert (await person.delete("/v1/me/totp")).status_code == 204
    assert await login(house) == (200, None)
    assert problem(await person.delete("/v1/me/totp")) == (404, "not_found")
    assert problem(await person.post("/v1/me/totp/recovery-codes")) == (404, "not_found")


async def test_nonsense_is_no_code(house: House) -> None:
    """Other digits, letters, too long: refused, none of it repeated."""
    await with_second_factor(house, MARA)
    for odd, status in (("١٢٣٤٥٦", 401), ("abcdef", 401), ("1" * 41, 422), ("12345", 422), ("      ", 401)):
        answer = await house.http.post("/v1/sessions", json={"email": MARA, "password": PASSWORD, "totp": odd})
        assert answer.status_code == status, odd
        assert odd.strip() == "" or odd not in answer.text
