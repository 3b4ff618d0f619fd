"""What `make run` will start, from what the environment and `.env` say: what is configured is used as it is."""

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from tools.child import OURS
from tools.embedded import ANALYTICS_HOSTS, FACEBOOK_HOSTS, INSTAGRAM_HOSTS, SPOTIFY_HOSTS, STRIPE_HOSTS

DEMO_PASSWORD = "SOUNDOPS_DEMO_PASSWORD"
PRIVATE_RING = "SOUNDOPS_VAULT_PRIVATE_RING_FILE"
ACCOUNT_RING = "SOUNDOPS_VAULT_ACCOUNT_RING_FILE"
SMTP_URL = "SOUNDOPS_SMTP_URL"
STRIPE_KEY = "SOUNDOPS_STRIPE_SECRET_KEY"
ANALYTICS_SECRET = "SOUNDOPS_GA_API_SECRET"
KEY_FILES = {
    "SOUNDOPS_JWT_KEY_FILE": "jwt.pem",
    "SOUNDOPS_VAULT_PUBLIC_RING_FILE": "ring.public.json",
    PRIVATE_RING: "ring.private.json",
    ACCOUNT_RING: "ring.accounts.json",
}
OF_WORKERS = {PRIVATE_RING, SMTP_URL, STRIPE_KEY, ANALYTICS_SECRET}
"""Not for the API."""
OF_THE_API = {ACCOUNT_RING}
"""Not for workers."""
OF_THE_RUNNER = {"SOUNDOPS_HOME", DEMO_PASSWORD}
"""Not for the children."""
GENERATED: dict[str, Callable[[], str]] = {
    "SOUNDOPS_SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "SOUNDOPS_META_VERIFY_TOKEN": lambda: secrets.token_urlsafe(24),
    DEMO_PASSWORD: lambda: secrets.token_urlsafe(18),
}
PROVIDERS: tuple[tuple[Mapping[str, str], Mapping[str, Callable[[], str]]], ...] = (
    (
        INSTAGRAM_HOSTS,
        {
            "SOUNDOPS_INSTAGRAM_APP_ID": lambda: str(10**15 + secrets.randbelow(9 * 10**15)),
            "SOUNDOPS_INSTAGRAM_APP_SECRET": lambda: secrets.token_hex(16),
        },
    ),
    (
        FACEBOOK_HOSTS,
        {
            "SOUNDOPS_META_APP_ID": lambda: str(10**15 + secrets.randbelow(9 * 10**15)),
            "SOUNDOPS_META_APP_SECRET": lambda: secrets.token_hex(16),
        },
    ),
    (
        SPOTIFY_HOSTS,
        {
            "SOUNDOPS_SPOTIFY_CLIENT_ID": lambda: secrets.token_hex(16),
            "SOUNDOPS_SPOTIFY_CLIENT_SECRET": lambda: secrets.token_hex(16),
        },
    ),
    (
        STRIPE_HOSTS,
        {
            STRIPE_KEY: lambda: f"sk_test_{secrets.token_hex(16)}",
            "SOUNDOPS_STRIPE_WEBHOOK_SECRET": lambda: f"whsec_{secrets.token_hex(16)}",
        },
    ),
    (
        ANALYTICS_HOSTS,
        {
            "SOUNDOPS_GA_MEASUREMENT_ID": lambda: f"G-{secrets.token_hex(5).upper()}",
            ANALYTICS_SECRET: lambda: secrets.token_urlsafe(16),
        },
    ),
)
"""The hosts of each provider, and our app there, made up for the embedded sandbox: no real app is known by it."""


@dataclass(frozen=True)
class Plan:
    """One run: its settings but the addresses of what is embedded, which are known when that is started."""

    home: Path
    env: Mapping[str, str] = field(repr=False)
    """`SOUNDOPS_…` for our processes."""
    sandbox_env: Mapping[str, str]
    postbox_port: str
    secrets: Mapping[str, str] = field(repr=False)
    """All that `secrets.env` shall hold."""
    embeds: frozenset[str]
    """Which of `mongodb`, `valkey`, `sandbox`, `postbox` and `keys` are not configured."""

    @property
    def has_foreign_instagram(self) -> bool:
        """Whether Instagram's part is somebody else's: nothing can be shown there by ourselves."""
        return any(name in self.env for name in INSTAGRAM_HOSTS)


def api_env(env: Mapping[str, str]) -> dict[str, str]:
    """What the API is given."""
    return {name: value for name, value in env.items() if name not in OF_WORKERS}


def worker_env(env: Mapping[str, str]) -> dict[str, str]:
    """What a worker is given."""
    return {name: value for name, value in env.items() if name not in OF_THE_API}


def read_told(environ: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """Our variables in the environment and, where it is silent, in `.env`. Empty ones count as not set."""
    sources = (dotenv_values(dotenv) if dotenv.exists() else {}, environ)
    told = {name.upper(): value for source in sources for name, value in source.items() if value}
    return {name: value for name, value in told.items() if name.startswith(OURS)}


def make_plan(told: Mapping[str, str], home: Path) -> Plan:
    """Fill in what is not configured. In production nothing is: the settings themselves refuse what is missing."""
    env = {name: value for name, value in told.items() if name.startswith("SOUNDOPS_") and name not in OF_THE_RUNNER}
    env |= {name: str(Path(value).absolute()) for name, value in env.items() if name.endswith(("_FILE", "_FOLDER"))}
    env = {"SOUNDOPS_HOST": "127.0.0.1", "SOUNDOPS_PORT": "8000"} | env
    sandbox_env = {name: value for name, value in told.items() if name.startswith("SANDBOX_")}
    postbox_port = told.get("POSTBOX_PORT", "8125")
    if told.get("SOUNDOPS_ENVIRONMENT") == "production":
        return Plan(home, env, sandbox_env, postbox_port, read_secrets(home), frozenset())
    embeds = _not_configured(told)
    kept = read_secrets(home)
    makers = dict(GENERATED)
    for hosts, app in PROVIDERS:
        makers |= {} if hosts.keys() & told.keys() else app
    needed = {name: kept.get(name) or make() for name, make in makers.items() if name not in env}
    keys = {name: str(home / "keys" / file) for name, file in KEY_FILES.items()}
    defaults = {"SOUNDOPS_PUBLIC_URL": f"http://127.0.0.1:{env['SOUNDOPS_PORT']}"} | keys | needed
    if not any(name.startswith("SOUNDOPS_S3_") for name in env):
        defaults["SOUNDOPS_STORAGE_FOLDER"] = str(home / "storage")
    defaults.pop(DEMO_PASSWORD)
    return Plan(home, defaults | env, sandbox_env, postbox_port, kept | needed, embeds)


def _not_configured(told: Mapping[str, str]) -> frozenset[str]:
    settings = {
        "mongodb": ["SOUNDOPS_MONGODB_URL"],
        "valkey": ["SOUNDOPS_REDIS_URL"],
        "sandbox": [name for hosts, _ in PROVIDERS for name in hosts],
        "postbox": [SMTP_URL],
        "keys": list(KEY_FILES),
    }
    return frozenset(part for part, names in settings.items() if any(name not in told for name in names))


def read_secrets(home: Path) -> dict[str, str]:
    """What earlier runs have generated."""
    path = home / "secrets.env"
    return {name: value for name, value in dotenv_values(path).items() if value} if path.exists() else {}


def write_secrets(home: Path, values: Mapping[str, str]) -> None:
    """Keep what was generated."""
    write_private(home / "secrets.env", dict(sorted(values.items())))


def write_private(path: Path, values: Mapping[str, str]) -> None:
    """Write `NAME=value` lines, readable by their owner alone; whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("# Made by `make run` for this folder's data. Not for production.\n" + text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
