"""What the environment may say. Every setting has a default, so that the sandbox also runs alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How one sandbox runs."""

    host: str = "127.0.0.1"
    port: int = 8100
    data: Path = Path(".soundops/sandbox")
    webhook_url: str = "http://127.0.0.1:8000/v1/webhooks/meta"
    app_id: str = "1000000000000001"
    app_secrets: tuple[str, ...] = field(default=("sandbox-app-secret-for-development-only",), repr=False)
    """The Instagram app's. The first signs; every one is accepted from the product, as during a rotation."""
    meta_app_id: str = "2000000000000001"
    meta_app_secrets: tuple[str, ...] = field(default=("sandbox-meta-secret-for-development-only",), repr=False)
    """The Meta app's, for Facebook Login. The first signs."""
    verify_token: str = field(default="sandbox-verify-token-for-development-only", repr=False)
    spotify_client_id: str = "5a1dbe0c0ffee0000000000000000001"
    spotify_client_secret: str = field(default="sandbox-spotify-secret-for-development-only", repr=False)
    stripe_keys: tuple[str, ...] = field(default=("sk_test_sandboxForDevelopmentOnly",), repr=False)
    """Secret keys that Stripe's stand-in knows."""
    stripe_webhook_url: str = ""
    """Where its events go, besides to the endpoints made through its API; empty is nowhere."""
    stripe_webhook_secrets: tuple[str, ...] = field(default=("whsec_sandboxForDevelopmentOnly",), repr=False)
    """Each of them signs."""
    redirect_uris: frozenset[str] = frozenset()
    """Meta's registered ones, of both apps; empty accepts any."""
    webhook_timeout_s: float = 10.0
    retry_cap_s: float = 10.0
    """The longest gap between two attempts to deliver the same webhook."""
    give_up_hours: float = 36.0

    @property
    def app_secret(self) -> str:
        """The secret that signs for the Instagram app."""
        return self.app_secrets[0]

    @property
    def meta_app_secret(self) -> str:
        """The secret that signs for the Meta app."""
        return self.meta_app_secrets[0]


def from_environment(env: Mapping[str, str]) -> Settings:
    """Read `SANDBOX_…`. Raises `ValueError` with a sentence for a value that cannot be used."""
    default = Settings()
    return Settings(
        host=env.get("SANDBOX_HOST") or default.host,
        port=int(_number(env, "SANDBOX_PORT", default.port)),
        data=Path(env.get("SANDBOX_DATA") or default.data),
        webhook_url=env.get("SANDBOX_WEBHOOK_URL") or default.webhook_url,
        app_id=env.get("SANDBOX_INSTAGRAM_APP_ID") or default.app_id,
        app_secrets=_list(env, "SANDBOX_INSTAGRAM_APP_SECRET") or default.app_secrets,
        meta_app_id=env.get("SANDBOX_META_APP_ID") or default.meta_app_id,
        meta_app_secrets=_list(env, "SANDBOX_META_APP_SECRET") or default.meta_app_secrets,
        verify_token=env.get("SANDBOX_VERIFY_TOKEN") or default.verify_token,
        spotify_client_id=env.get("SANDBOX_SPOTIFY_CLIENT_ID") or default.spotify_client_id,
        spotify_client_secret=env.get("SANDBOX_SPOTIFY_CLIENT_SECRET") or default.spotify_client_secret,
        stripe_keys=_list(env, "SANDBOX_STRIPE_SECRET_KEY") or default.stripe_keys,
        stripe_webhook_url=env.get("SANDBOX_STRIPE_WEBHOOK_URL") or default.stripe_webhook_url,
        stripe_webhook_secrets=_list(env, "SANDBOX_STRIPE_WEBHOOK_SECRET") or default.stripe_webhook_secrets,
        redirect_uris=frozenset(_list(env, "SANDBOX_REDIRECT_URIS")),
        webhook_timeout_s=_number(env, "SANDBOX_WEBHOOK_TIMEOUT_S", default.webhook_timeout_s),
        retry_cap_s=_number(env, "SANDBOX_RETRY_CAP_S", default.retry_cap_s),
        give_up_hours=_number(env, "SANDBOX_GIVE_UP_HOURS", default.give_up_hours),
    )


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in env.get(name, "").split(",") if part.strip())


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1
    if value < 0:
        raise ValueError(f"{name} must be a number of 0 or more, not {text!r}")
    return value
