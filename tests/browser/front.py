"""What stands before the API and the pages: TLS for every name, and a note of what browsers really sent to the API.

It runs in a thread of its own, so that it answers while a test's loop is busy.
"""

import asyncio
import base64
import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from threading import Thread

import httpx
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.deps import REFRESH_COOKIE

API, APP, SIBLING, EVIL = "api.soundops.test", "app.soundops.test", "other.soundops.test", "evil.test"
HERE = Path(__file__).parent
KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript"}
APP_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src $api; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Referrer-Policy": "no-referrer",
}
"""The strictest page policies: what works under them, works under any."""
OF_ONE_CONNECTION = {b"connection", b"keep-alive", b"transfer-encoding"}


@dataclass(frozen=True)
class Seen:
    """One request of a browser to the API, and the answer."""

    method: str
    path: str
    origin: str | None
    has_session: bool
    """Whether the browser attached the refresh cookie."""
    status: int
    readable: bool
    """Whether the answer lets a page read it (CORS), or, to a preflight, lets it ask."""
    sets_cookie: bool


@dataclass
class Front:
    """The addresses, and what the API was asked, in order."""

    port: int
    other_port: int
    api_port: int
    """Where the API listens, without TLS."""
    spki: str
    """The certificate's key, as Chromium's `--ignore-certificate-errors-spki-list` names it."""
    seen: list[Seen] = field(default_factory=list)
    holding: bool = False
    """While true, the API is asked, but browsers wait for its answers."""

    def url(self, host: str) -> str:
        """The origin of a host."""
        return f"https://{host}:{self.port}"

    @property
    def misplaced_app(self) -> str:
        """The app's host on a port that is not listed."""
        return f"https://{APP}:{self.other_port}"


@dataclass
class _Gate:
    """The ASGI app: the API's host is passed on, the app's origin serves the app, any other origin the attacker's."""

    front: Front
    http: httpx.AsyncClient

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asked = request.headers.get("host", "")
        if asked == f"{API}:{self.front.port}":
            answer = await self._passed_on(request)
        elif asked == f"{APP}:{self.front.port}":
            answer = self._page("spa", request.url.path, APP_HEADERS)
        else:
            answer = self._page("attacker", request.url.path, {})
        await answer(scope, receive, send)

    async def _passed_on(self, request: Request) -> Response:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        headers = [pair for pair in request.headers.raw if pair[0] not in OF_ONE_CONNECTION]
        asked = self.http.build_request(request.method, target, headers=headers, content=await request.body() or None)
        answer = await self.http.send(asked, stream=True)
        body = b"".join([part async for part in answer.aiter_raw()])
        self.front.seen.append(
            Seen(
                method=request.method,
                path=request.url.path,
                origin=request.headers.get("origin"),
                has_session=REFRESH_COOKIE in request.cookies,
                status=answer.status_code,
                readable="access-control-allow-origin" in answer.headers,
                sets_cookie="set-cookie" in answer.headers,
            )
        )
        while self.front.holding:
            await asyncio.sleep(0.01)
        given = Response(body, answer.status_code)
        given.raw_headers = [
            (name.lower(), value) for name, value in answer.headers.raw if name.lower() not in OF_ONE_CONNECTION
        ]
        return given

    def _page(self, folder: str, path: str, headers: dict[str, str]) -> Response:
        file = HERE / folder / (path.lstrip("/") or "index.html")
        if file.parent != HERE / folder or not file.is_file():
            return Response(status_code=404)
        api = self.front.url(API)
        filled = {name: Template(value).substitute(api=api) for name, value in headers.items()}
        text = file.read_text().replace("$api", api)
        return Response(text, headers=filled, media_type=KINDS[file.suffix])


@contextmanager
def front_of(api_port: int, folder: Path) -> Iterator[Front]:
    """Run it on two ports of its own, before an API that need not run yet."""
    spki, certificate, key = _certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as main, socket.create_server(("127.0.0.1", 0)) as other:
        front = Front(main.getsockname()[1], other.getsockname()[1], api_port, spki)
        servers: list[uvicorn.Server] = []

        async def serve() -> None:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api_port}", trust_env=False, timeout=30) as http:
                config = uvicorn.Config(
                    _Gate(front, http),
                    lifespan="off",
                    ws="none",
                    log_config=None,
                    access_log=False,
                    ssl_certfile=certificate,
                    ssl_keyfile=key,
                    timeout_graceful_shutdown=1,
                )
                servers.append(uvicorn.Server(config))
                await servers[0].serve([main, other])

        thread = Thread(target=asyncio.run, args=(serve(),), name="front")
        thread.start()
        try:
            yield front
        finally:
            for server in servers:
                server.should_exit = True
            thread.join(10)


def _certificate(folder: Path) -> tuple[str, Path, Path]:
    """A certificate for every name, signed by itself: its key's hash, and where it and the key lie."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "soundops.test")])
    names = [x509.DNSName(host) for host in (API, APP, SIBLING, EVIL)]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(private)
    return base64.b64encode(hashlib.sha256(public).digest()).decode(), certificate_file, key_file
