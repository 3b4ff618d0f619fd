"""The real sandbox as a child process, and a small receiver for its webhooks."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

ROOT = Path(__file__).parents[2]
APP_ID = "1000000000000077"
SECRET = "soundops-test-secret-0001"
META_APP_ID = "2000000000000077"
META_SECRET = "soundops-test-meta-secret-0001"
OLD_META_SECRET = "soundops-test-meta-secret-0000"
VERIFY_TOKEN = "verify-me"
REDIRECT = "https://label.example.test/callback"
SCOPES = (
    "instagram_business_basic,instagram_business_manage_messages,instagram_business_manage_comments,"
    "instagram_business_content_publish"
)


def eventually(check: Callable[[], Any], timeout_s: float = 8) -> Any:
    """What `check` says, as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


class Receiver:
    """Stands where the product's webhook endpoint would."""

    def __init__(self) -> None:
        self.status = 200
        self.posts: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.answer(receiver.status, b"")

            def do_GET(self) -> None:
                query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
                good = query.get("hub.verify_token") == VERIFY_TOKEN and query.get("hub.mode") == "subscribe"
                self.answer(200 if good else 403, query["hub.challenge"].encode() if good else b"")

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/webhooks/meta"

    def entries(self) -> list[dict[str, Any]]:
        """Every entry of every POST so far."""
        return [entry for _, body in list(self.posts) for entry in json.loads(body)["entry"]]

    def items(self) -> list[dict[str, Any]]:
        """Every messaging item so far."""
        return [item for entry in self.entries() for item in entry.get("messaging", [])]


class Sandbox:
    """One sandbox program on its data."""

    def __init__(self, data: Path, webhook_url: str, **env: str) -> None:
        self.data, self.webhook_url, self.env = data, webhook_url, env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Sandbox":
        """Start it, and return when it is ready."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = os.environ | {
            "SANDBOX_PORT": str(port),
            "SANDBOX_DATA": str(self.data),
            "SANDBOX_WEBHOOK_URL": self.webhook_url,
            "SANDBOX_INSTAGRAM_APP_ID": APP_ID,
            "SANDBOX_INSTAGRAM_APP_SECRET": SECRET,
            "SANDBOX_META_APP_ID": META_APP_ID,
            "SANDBOX_META_APP_SECRET": f"{META_SECRET},{OLD_META_SECRET}",
            "SANDBOX_VERIFY_TOKEN": VERIFY_TOKEN,
            "SANDBOX_RETRY_CAP_S": "0.5",
        }
        self.process = subprocess.Popen([sys.executable, "-m", "sandbox"], cwd=ROOT, env=env | self.env)
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=10, trust_env=False)
        eventually(self._ready, 15)
        return self

    def _ready(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the sandbox did not start"
        try:
            return self.http.get("/_sandbox/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it with this signal; its exit status."""
        assert self.process is not None
        self.http.close()
        self.process.send_signal(how)
        return self.process.wait(10)

    def control(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """A control call that must give this status."""
        answer = self.http.request(method, f"/_sandbox{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        """The rows of this kind."""
        rows: list[dict[str, Any]] = self.control("GET", f"/ledger?kind={kind}")["rows"]
        return rows

    def write(self, text: str | None = "When is the vinyl back?", **more: Any) -> dict[str, Any]:
        """Mara writes to Nightjar."""
        made: dict[str, Any] = self.control(
            "POST", "/fans/write", {"fan": "mara", "account": "nightjar.records", "text": text} | more
        )
        return made

    def comment(self, **more: Any) -> dict[str, Any]:
        """Jonas comments at Nightjar's."""
        order = {"fan": "jonas", "account": "nightjar.records", "text": "Love it"} | more
        made: dict[str, Any] = self.control("POST", "/fans/comment", order)
        return made

    def code(self, account: str = "nightjar.records", scope: str = SCOPES, **form: str) -> str:
        """A fresh authorization code."""
        answer = self.http.post(
            "/www.instagram.com/oauth/authorize",
            params=dialog(scope=scope),
            data={"account": account, "allow": "1"} | form,
        )
        assert answer.status_code == 302, answer.text
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    def exchange(self, code: str, **form: str) -> httpx.Response:
        """Exchange a code for a short token."""
        good = {
            "client_id": APP_ID,
            "client_secret": SECRET,
            "grant_type": "authorization_code",
            "redirect_uri": REDIRECT,
            "code": code,
        }
        return self.http.post("/api.instagram.com/oauth/access_token", data=good | form)

    def login(
        self, account: str = "nightjar.records", scope: str = SCOPES, subscribe: str = "messages,comments"
    ) -> "Graph":
        """Log an account in and subscribe it."""
        short = self.exchange(self.code(account, scope)).json()["data"][0]["access_token"]
        graph = Graph(self.http, self.long(short).json()["access_token"])
        if subscribe:
            assert graph.post("/me/subscribed_apps", params={"subscribed_fields": subscribe}).json() == {
                "success": True
            }
        return graph

    def long(self, short: str) -> httpx.Response:
        """Exchange a short token for a long one."""
        params = {"grant_type": "ig_exchange_token", "client_secret": SECRET, "access_token": short}
        return self.http.get("/graph.instagram.com/access_token", params=params)

    def settle(self) -> None:
        """Wait until nothing is left to deliver."""
        eventually(lambda: self.control("GET", "/delivery")["idle"], 15)


class Graph:
    """Graph calls with one account's token."""

    def __init__(self, http: httpx.Client, token: str) -> None:
        self.http, self.token = http, token

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, f"/graph.instagram.com/v26.0{path}", headers=headers, **kwargs)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.call("GET", path, params=params)

    def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.call("POST", path, **kwargs)

    def send(self, igsid: str, text: str = "Friday!", **more: Any) -> httpx.Response:
        """Send a message."""
        return self.post("/me/messages", json={"recipient": {"id": igsid}, "message": {"text": text}} | more)


def dialog(**more: str) -> dict[str, str]:
    """The parameters of a login dialog."""
    good = {"client_id": APP_ID, "redirect_uri": REDIRECT, "response_type": "code", "scope": SCOPES, "state": "st=1&x"}
    return good | more


def refusal(answer: httpx.Response) -> tuple[int, int | None]:
    """Code and subcode of a Graph refusal."""
    error = answer.json()["error"]
    assert error["message"] and error["type"] and error["fbtrace_id"]
    return error["code"], error.get("error_subcode")
