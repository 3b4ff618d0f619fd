"""Logs: one JSON object a line, and no secret in it, wherever the secret was and whoever logs it."""

import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import structlog
from pydantic import BaseModel, SecretBytes, SecretStr
from pymongo.errors import OperationFailure

from app import logs
from app.logs import MASK, NEVER, redact

CANARY = "canary0123456789"
FIELDS = [
    CANARY.encode(),
    bytearray(CANARY.encode()),
    SecretStr(CANARY),
    SecretBytes(CANARY.encode()),
]
NESTS: list[Callable[[Any], Any]] = [
    lambda value: value,
    lambda value: [value],
    lambda value: (value, 1),
    lambda value: {"name": value},
    lambda value: {"a": [{"b": (value,)}]},
    lambda value: [[[[[[value]]]]]],
]
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJlLWNhbmFyeQ"
MESSAGES = [
    f"token is IGAA{CANARY}",
    f"old IGQVJ{CANARY}-x",
    f"page EAAB{CANARY}",
    f"session {JWT}",
    f"refresh sor_{CANARY}-tail",
    f"partner sok_{CANARY}0123",
    f"link sot_{CANARY}-tail",
    f"Authorization: Bearer {CANARY}/+=",
    f"authorization: bearer   {CANARY}",
    f"GET /me?fields=id&access_token={CANARY}&x=1",
    f"GET /oauth?client_secret={CANARY}",
    f"GET /callback?code={CANARY}#_ HTTP/1.1",
    f"GET /callback?state={CANARY}",
    f"POST signed_request={CANARY}",
    f"ACCESS_TOKEN={CANARY}",
    f"GET /webhook?hub.verify_token={CANARY}",
    f"password={CANARY}",
    f"password='{CANARY}'",
    f"User(name='x', password='a {CANARY} with spaces')",
    f'{{"access_token": "{CANARY}", "token_type": "bearer"}}',
    f'{{"access_token":"{CANARY}"}}',
    f"{{'password': 'a {CANARY} with spaces'}}",
    f'{{"refresh_token" : "{CANARY}"}}',
    f"{{'token': b'{CANARY}', 'n': 1}}",
    f'{{"password": "a \\" {CANARY}"}}',
    f'{{"password": "cut off {CANARY}',
    f"mail to {CANARY}@example.com bounced",
    f"first.{CANARY}+tag@mail.example.co.uk",
    f"mongodb://user:{CANARY}@db.example/soundops",
    f"mongodb+srv://user:{CANARY}@db.example/soundops",
    f"redis://:{CANARY}@redis.example:6379/0",
    f"https://user:{CANARY}%40x@host.example/path",
    f"two: access_token={CANARY} and Bearer {CANARY} and IGAA{CANARY}",
    f"lines\naccess_token={CANARY}\nmore",
]
HARMLESS = [
    "the store is away",
    "status code: 500 in state queued",
    "GET /v1/labels/lbl_01k9zv3t5wxq8m2c4d6f7g9h1j/conversations 200",
    "connected to mongodb://127.0.0.1:27017/soundops",
    "2026-11-24T12:00:00Z at 12:30 @ noon",
    "app/services/tokens.py:75 verify",
    "key eyes on the token",
]
OTHERS = [
    "httpx",
    "httpcore.connection",
    "pymongo.command",
    "uvicorn.error",
    "uvicorn.access",
    "arq.worker",
    "asyncio",
    "jose",
    "x.y",
]


class Output:
    """What this process logs, while a test runs."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream

    def lines(self) -> list[dict[str, Any]]:
        """Each line as the object that it is."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def line(self) -> dict[str, Any]:
        """The only line."""
        (found,) = self.lines()
        return found


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Output]:
    """Logging as a process sets it up, at its most talkative; as it was before when the test ends."""
    stream, root = io.StringIO(), logging.getLogger()
    before = (root.handlers, root.level, {name: logging.getLogger(name).level for name in logs.QUIET})
    monkeypatch.setattr(sys, "stdout", stream)
    logs.configure("DEBUG")
    yield Output(stream)
    root.handlers, level, levels = before
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    structlog.reset_defaults()


def without_canary(value: Any) -> bool:
    """Whether it is nowhere in what would be written, in no part of it long enough to be of use."""
    return CANARY[4:] not in json.dumps(value)


@pytest.mark.parametrize("value", FIELDS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("nest", range(len(NESTS)))
def test_masked_by_type(value: Any, nest: int) -> None:
    """Bytes and secrets, at any depth."""
    shown = redact(None, "", {"found": NESTS[nest](value)})
    assert without_canary(shown) and MASK in json.dumps(shown)


@pytest.mark.parametrize("name", [*sorted(NEVER), "Authorization", "ACCESS_TOKEN", "Set-Cookie"])
@pytest.mark.parametrize("value", [CANARY, [CANARY], {"a": CANARY}, 123456], ids=repr)
def test_masked_by_name(name: str, value: Any) -> None:
    """Whatever the value is, and however deep the name."""
    assert redact(None, "", {name: value}) == {name: MASK}
    assert redact(None, "", {"a": [{"b": {name: value}}]}) == {"a": [{"b": {name: MASK}}]}


@pytest.mark.parametrize("text", MESSAGES)
@pytest.mark.parametrize("nest", range(len(NESTS)))
def test_masked_by_pattern(text: str, nest: int) -> None:
    """Inside a text, at any depth."""
    shown = redact(None, "", {"found": NESTS[nest](text)})
    assert without_canary(shown) and MASK in json.dumps(shown)


def test_masked_in_what_is_not_plain() -> None:
    """Objects are logged as their text, which is searched like any other; dictionary keys are, too."""

    class Login(BaseModel):
        email: str
        password: str

    url = httpx.URL(f"https://graph.instagram.com/me?access_token={CANARY}")
    error = OperationFailure(f"bad value access_token={CANARY}", 2, {"keyValue": {"email": f"{CANARY}@example.com"}})
    values = [
        Login(email=f"{CANARY}@example.com", password=CANARY),
        url,
        httpx.Request("GET", url),
        error,
        MappingProxyType({"access_token": CANARY}),
        {f"{CANARY}@example.com": 1},
    ]
    for value in values:
        assert without_canary(redact(None, "", {"found": value})), value
        assert without_canary(redact(None, "", {"found": [{"deep": value}]})), value


@pytest.mark.parametrize("text", HARMLESS)
def test_the_rest_is_kept(text: str) -> None:
    """A log that masks everything tells nothing. Plain values keep their types."""
    assert redact(None, "", {"event": text, "n": 1, "x": 1.5, "t": True, "none": None, "list": [text, 1]}) == {
        "event": text,
        "n": 1,
        "x": 1.5,
        "t": True,
        "none": None,
        "list": [text, 1],
    }


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a@", "ey", "ey-", "eyaaaaaaaa.", "a://", "a:", "bearer ", "IGAA-", "token='"]
)
def test_a_long_text_is_searched_in_time(piece: str) -> None:
    """Eight times the text, about eight times the work, not sixty-four: for texts that begin matches and end none."""

    def best(length: int) -> float:
        text, times = piece * (length // len(piece)), []
        for _ in range(3):
            began = time.thread_time()
            redact(None, "", {"event": text})
            times.append(time.thread_time() - began)
        return min(times)

    assert best(16_000) < 30 * best(2_000)


def test_a_line_of_ours(output: Output) -> None:
    """One JSON object, with level, logger and time."""
    logs.get_logger("app.somewhere").warning("the bell\nis away", reason="TimeoutError", email=CANARY, at_most=5)
    line = output.line()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "the bell\nis away",
        "level": "warning",
        "logger": "app.somewhere",
        "reason": "TimeoutError",
        "email": MASK,
        "at_most": 5,
    }


def test_the_context_is_masked_too(output: Output) -> None:
    """What was bound to the logger or to the context."""
    with structlog.contextvars.bound_contextvars(url=f"https://x.example?code={CANARY}", token=CANARY):
        logs.get_logger("app").bind(cookie=CANARY).error("bound")
    line = output.line()
    assert without_canary(line) and (line["token"], line["cookie"]) == (MASK, MASK)


@pytest.mark.parametrize("name", OTHERS)
def test_third_parties_are_masked_too(output: Output, name: str) -> None:
    """Their message, their arguments and what they pass beside them; as JSON, a line each."""
    logger = logging.getLogger(name)
    logger.error("HTTP Request: %s %s", "GET", httpx.URL(f"https://x.example/me?access_token={CANARY}"))
    logger.error(f"connect to redis://:{CANARY}@host", extra={"password": CANARY})
    logger.error("%(url)s", {"url": f"mongodb://u:{CANARY}@host/db"})
    logger.error({"access_token": CANARY})
    found = output.lines()
    assert len(found) == 4
    assert without_canary(found)
    assert {line["logger"] for line in found} == {name}


@pytest.mark.parametrize("name", logs.QUIET)
def test_third_parties_are_quiet(output: Output, name: str) -> None:
    """What they tell at INFO and DEBUG (addresses with their queries, job arguments, commands) is not logged."""
    logging.getLogger(name).info("HTTP Request: GET https://x.example")
    logging.getLogger(f"{name}.deeper").debug("more")
    assert output.lines() == []
    logging.getLogger(name).warning("this is")
    assert output.line()["event"] == "this is"


async def test_the_http_client_logs_no_address(output: Output) -> None:
    """Real calls, whose addresses carry tokens: one that is answered and one that fails."""
    answers = httpx.MockTransport(lambda request: httpx.Response(200))
    async with httpx.AsyncClient(transport=answers) as client:
        await client.get(f"https://graph.instagram.com/me?access_token={CANARY}")
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:9/me?access_token={CANARY}")
    assert output.lines() == []


class Leaky(Exception):
    """An error whose text, notes and cause carry a secret, as those of drivers and parsers do."""

    def __str__(self) -> str:
        return f"duplicate key: {{ email: {CANARY} }}"


def fail() -> None:
    """Raise a `Leaky` with a cause and a note."""
    try:
        int(CANARY)
    except ValueError as exc:
        leaky = Leaky(CANARY)
        leaky.add_note(f"while storing {CANARY}")
        raise leaky from exc


def ours(**kwargs: Any) -> None:
    """Log through our own logger."""
    logs.get_logger("app").error("failed", **kwargs)


def theirs(**kwargs: Any) -> None:
    """Log through somebody else's."""
    logging.getLogger("uvicorn.error").error("failed", **kwargs)


@pytest.mark.parametrize("log", [ours, theirs])
@pytest.mark.parametrize("how", ["true", "error", "tuple"])
def test_an_exception_is_logged_without_its_text(output: Output, log: Callable[..., None], how: str) -> None:
    """Its class and where it passed; not its text, its notes, its cause or the source lines."""
    try:
        fail()
    except Leaky as exc:
        ways = {"true": True, "error": exc, "tuple": (type(exc), exc, exc.__traceback__)}
        log(exc_info=ways[how])
    line = output.line()
    assert line["error"] == "Leaky" and line["event"] == "failed"
    assert [place.split(":")[0] for place in line["at"]] == ["test_unit_logs.py"] * 2
    assert line["at"][-1].endswith(" fail")
    assert without_canary(line) and "raise" not in json.dumps(line) and "/" not in json.dumps(line["at"])


def test_log_exception_of_both(output: Output) -> None:
    """`log.exception`, which takes the error from where it is called."""
    try:
        fail()
    except Leaky:
        logs.get_logger("app").exception("ours")
        logging.getLogger("asyncio").exception("theirs")
    found = output.lines()
    assert [(line["event"], line["error"]) for line in found] == [("ours", "Leaky"), ("theirs", "Leaky")]
    assert without_canary(found)


def test_no_exception_no_fields(output: Output) -> None:
    """`exc_info` with no error under way is nothing."""
    ours(exc_info=True)
    theirs(exc_info=True)
    assert [set(line) & {"error", "at", "exc_info", "exc_text"} for line in output.lines()] == [set(), set()]


def test_levels(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """INFO leaves DEBUG out."""
    monkeypatch.setattr(sys, "stdout", output.stream)
    logs.configure("INFO")
    logs.get_logger("app").debug("not this")
    logs.get_logger("app").info("this")
    assert [line["event"] for line in output.lines()] == ["this"]
