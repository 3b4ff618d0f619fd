"""A person, a label, a connected account and a few fans' words, made through the public API like by any client."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tools.plan import DEMO_PASSWORD

EMAIL = "demo@example.com"
ACCOUNT = "nightjar.records"
LABEL = {"name": "Nightjar Records", "slug": "nightjar-records", "country": "DE", "timezone": "Europe/Berlin"}
FEATURES = ["messages", "comments", "publishing", "insights"]
CONNECTED_S = 20.0
MESSAGES = (
    ("mara", "When is the vinyl back?"),
    ("jonas", "Do you ship to Norway?"),
    ("mara", "And will there be a second pressing?"),
    ("ines", "I loved the show in Lisbon!"),
)
COMMENTS = (("teo", "This bass line!"), ("ada", "Is the tour coming to Leipzig?"))


class DemoFailed(Exception):
    """The demo could not be made. The message says at which step."""


@dataclass(frozen=True)
class Shown:
    """What there is to try out, or why not."""

    password: str = field(default="", repr=False)
    label_id: str = ""
    trouble: str = ""


def try_out(api_url: str, public_url: str, sandbox_url: str | None, secrets: Mapping[str, str]) -> Shown:
    """Make what is missing of the demo. Without the embedded sandbox there is none."""
    if sandbox_url is None:
        return Shown(trouble="There is no demo: it needs the embedded sandbox.")
    password = secrets[DEMO_PASSWORD]
    try:
        with httpx.Client(base_url=api_url, timeout=15, trust_env=False) as http:
            log_in(http, password)
            label_id = need_label(http)
            if not is_connected(http, label_id):
                connect(http, label_id, api_url=api_url, public_url=public_url)
                let_fans_speak(sandbox_url)
    except (DemoFailed, httpx.HTTPError) as exc:
        return Shown(trouble=f"The demo could not be made: {exc or type(exc).__name__}")
    return Shown(password, label_id)


def log_in(http: httpx.Client, password: str) -> None:
    """Log in, after registering when that is needed; `http` carries the session from then on."""
    login = {"email": EMAIL, "password": password}
    answer = http.post("/v1/sessions", json=login)
    if answer.status_code == 401:
        person = {"name": "Demo Person", "date_of_birth": "1990-05-17", "policy_version": "2026-03-13"}
        _good(http.post("/v1/users", json=login | person), "registering the demo user")
        answer = http.post("/v1/sessions", json=login)
    http.headers["Authorization"] = f"Bearer {_good(answer, f'logging in as {EMAIL}')['access_token']}"


def need_label(http: httpx.Client) -> str:
    """The id of the demo's label."""
    labels = _good(http.get("/v1/labels"), "listing the labels")["data"]
    mine = next((label for label in labels if label["slug"] == LABEL["slug"]), None)
    return str((mine or _good(http.post("/v1/labels", json=LABEL), "making the label"))["id"])


def is_connected(http: httpx.Client, label_id: str) -> bool:
    """Whether the label has an active connection."""
    connections = _good(http.get(f"/v1/labels/{label_id}/connections"), "listing the connections")["data"]
    return any(connection["status"] == "active" for connection in connections)


def connect(http: httpx.Client, label_id: str, *, api_url: str, public_url: str) -> None:
    """Connect the account as a person would, with a browser of one session; return once it is active."""
    path = f"/v1/labels/{label_id}/connections"
    wish = {"provider": "instagram", "features": FEATURES, "return_to": f"{public_url}/docs"}
    connection = _good(http.post(path, json=wish), "beginning to connect")
    with httpx.Client(timeout=15, trust_env=False) as browser:  # our session is nothing for Instagram
        allowed = browser.post(connection["authorize_url"], data={"account": ACCOUNT, "allow": "1"})
    if not allowed.is_redirect:
        raise DemoFailed(f"the sandbox's login answered {allowed.status_code}")
    callback = allowed.headers["location"].replace(public_url, api_url, 1)  # the public one may lead through a tunnel
    answer = http.get(callback)
    if answer.is_error:
        raise DemoFailed(f"the callback answered {_told(answer)}")
    deadline = time.monotonic() + CONNECTED_S
    while not is_connected(http, label_id):
        if time.monotonic() > deadline:
            raise DemoFailed(f"the account is not connected after {CONNECTED_S:g} s")
        time.sleep(0.1)


def let_fans_speak(sandbox_url: str) -> None:
    """A few messages and comments of fans."""
    with httpx.Client(base_url=f"{sandbox_url}/_sandbox/fans", timeout=15, trust_env=False) as http:
        for path, sayings in (("/write", MESSAGES), ("/comment", COMMENTS)):
            for fan, text in sayings:
                _good(http.post(path, json={"fan": fan, "account": ACCOUNT, "text": text}), f"{fan} speaking")


def _good(answer: httpx.Response, doing: str) -> Any:
    if not answer.is_success:
        raise DemoFailed(f"{doing} was answered {_told(answer)}")
    return answer.json()


def _told(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        return f"{answer.status_code} {problem['code']} ({problem['detail']})"
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
