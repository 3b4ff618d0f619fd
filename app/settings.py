"""Every setting, typed, with its default and what it means. Weak or contradictory values are refused by name."""

import sys
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    EmailStr,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import SettingsConfigDict

from app.models.drills import Point
from app.models.features import Provider
from app.setting_analytics import AnalyticsSettings
from app.setting_billing import BillingSettings
from app.setting_books import BooksSettings
from app.setting_kinds import (
    AdvancedAccess,
    HttpUrl,
    KeyArns,
    Limits,
    SecretList,
    check_mongodb,
    check_redis,
    every_secret,
    is_plain_http,
    is_private,
    listed,
    mailbox,
    newest_secret,
    smtp,
    strong,
)
from app.setting_storage import StorageSettings

PREFIX = "SOUNDOPS_"
OUTSIDE = (
    *("instagram_www_url", "instagram_api_url", "instagram_graph_url"),
    *("facebook_www_url", "facebook_graph_url", "spotify_accounts_url", "spotify_api_url", "stripe_api_url"),
    "ga_url",
)
"""Where the providers are."""
RING_NEEDS = {"vault_public_ring_file": "local", "vault_private_ring_file": "local", "kms_key_ids": "aws-kms"}
"""Settings that one kind of key ring cannot do without."""
S = TypeVar("S", bound="Settings")


class Settings(StorageSettings, BillingSettings, BooksSettings, AnalyticsSettings):
    """What every process is told, from `SOUNDOPS_…` in the environment or in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    environment: Literal["development", "production"] = "development"
    """`production` refuses what is only good enough for a laptop."""
    host: str = "127.0.0.1"
    """The address the API listens on."""
    port: int = Field(default=8000, ge=1, le=65535)
    """The port the API listens on."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Where `/metrics` is served, on 127.0.0.1 only; 0 serves none."""
    public_url: HttpUrl
    """Where the world reaches the API: the base of callback addresses."""
    app_origins: str = ""
    """Origins of the single-page app, with commas between: for CORS, and for where `return_to` may lead."""
    log_level: Literal["DEBUG", "INFO", "WARNING"] = "INFO"

    mongodb_url: SecretStr
    """MongoDB, with the database's name as its path (default `soundops`)."""
    redis_url: SecretStr
    """Redis or Valkey: the doorbell."""

    instagram_www_url: HttpUrl = "https://www.instagram.com"
    instagram_api_url: HttpUrl = "https://api.instagram.com"
    instagram_graph_url: HttpUrl = "https://graph.instagram.com"
    graph_version: str = Field(default="v26.0", pattern=r"^v\d{2}\.\d$")
    """Meta's Graph API version (v26.0: 2026-07-29)."""
    graph_timeout_s: float = Field(default=15, gt=0, le=60)
    """Seconds that one Graph call may take, all told."""
    instagram_app_id: str = Field(min_length=1)
    instagram_app_secret: SecretList
    """Newest first; several during a rotation."""
    facebook_www_url: HttpUrl = "https://www.facebook.com"
    facebook_graph_url: HttpUrl = "https://graph.facebook.com"
    meta_app_id: str = ""
    """The Meta app, for Facebook log-ins; without it, Pages cannot be connected."""
    meta_app_secret: SecretList | None = None
    """The Meta app's; newest first. Webhooks signed with it are taken too."""
    spotify_accounts_url: HttpUrl = "https://accounts.spotify.com"
    spotify_api_url: HttpUrl = "https://api.spotify.com/v1"
    spotify_client_id: str = ""
    """Our app at Spotify; without it, Spotify accounts cannot be connected."""
    spotify_client_secret: SecretStr | None = None
    meta_verify_token: SecretStr = Field(min_length=1)
    """What Meta's webhook handshake must name."""

    secret_key: Annotated[SecretStr, AfterValidator(strong)]
    """Our own secret: cursors, dedupe keys and stored answers are derived from it."""
    jwt_key_file: Path
    """The private key (EC P-256, PEM) that signs access tokens."""
    jwt_other_key_file: Path | None = None
    """Another such key, whose tokens are taken too: the next one or the one before, while the key is exchanged."""
    vault_ring: Literal["local", "aws-kms"] = "local"
    """What wraps the data keys of providers' tokens: a ring file, or keys of AWS KMS."""
    vault_public_ring_file: Path | None = Field(default=None, validate_default=True)
    """The public half of the local key ring: enough to seal, not to open."""
    kms_key_ids: KeyArns = Field(default="", validate_default=True)
    """The keys of `aws-kms`, as ARNs with commas between. The first seals; the others only open what they sealed."""
    kms_region: str | None = None
    """The region of KMS; by default that of the first key."""
    kms_endpoint_url: HttpUrl | None = None
    """Where KMS is, if not at AWS's own address."""

    @field_validator(*RING_NEEDS, check_fields=False)
    @classmethod
    def _needed_by_the_ring(cls, value: Path | str | None, info: ValidationInfo) -> Path | str | None:
        if not value and RING_NEEDS[str(info.field_name)] == info.data.get("vault_ring"):
            raise ValueError("is missing")
        return value

    @model_validator(mode="after")
    def _not_contradictory(self) -> Self:
        check_mongodb(self.mongodb_url.get_secret_value())
        check_redis(self.redis_url.get_secret_value())
        named = {"secret_key": self.secret_key, "meta_verify_token": self.meta_verify_token}
        values = [value.get_secret_value() for value in named.values()] + self.webhook_secrets + self.stripe_secrets
        if len(set(values)) < len(values):
            raise ValueError("secret_key: secret_key, meta_verify_token, app and webhook secrets must all differ")
        for name, secret in {"meta_app_id": "meta_app_secret", "spotify_client_id": "spotify_client_secret"}.items():
            if bool(getattr(self, name)) and getattr(self, secret) is None:
                raise ValueError(f"{secret}: must be set together with {name}")
        if not all(is_plain_http(origin) and not urlsplit(origin).path for origin in self.origins):
            raise ValueError("app_origins: each must be an origin like https://app.example.com")
        if self.environment == "production":
            self._good_for_production()
        self.check_storage(self.environment)
        self.check_billing(self.environment, calls_stripe=False)
        return self

    def _good_for_production(self) -> None:
        for name in ("public_url", *OUTSIDE):
            if not getattr(self, name).startswith("https://"):
                raise ValueError(f"{name}: must be https in production")
        if not self.meta_app_id:
            raise ValueError("meta_app_id: must be set in production")
        if not self.origins or not all(origin.startswith("https://") for origin in self.origins):
            raise ValueError("app_origins: must be set, and https, in production")
        if len(self.meta_verify_token.get_secret_value()) < 16:
            raise ValueError("meta_verify_token: must be 16 characters or more in production")
        if not is_private(self.mongodb_url.get_secret_value(), ("mongodb+srv://",), "tls=true", "ssl=true"):
            raise ValueError("mongodb_url: must use TLS, and check it, in production (mongodb+srv://, or tls=true)")
        if not is_private(self.redis_url.get_secret_value(), ("rediss://", "unix://")):
            raise ValueError("redis_url: must use TLS, and check it, in production (rediss://)")
        if self.kms_endpoint_url and not self.kms_endpoint_url.startswith("https://"):
            raise ValueError("kms_endpoint_url: must be https in production")
        if self.log_level == "DEBUG":
            raise ValueError("log_level: must not be DEBUG in production")

    @property
    def origins(self) -> list[str]:
        """The origins that a browser may call us from."""
        return [origin.strip() for origin in self.app_origins.split(",") if origin.strip()]

    @property
    def app_url(self) -> str:
        """Where links in mails lead: the single-page app, or ourselves when there is none."""
        return (self.origins or [self.public_url])[0]

    @property
    def kms_keys(self) -> list[str]:
        """The keys of `aws-kms`, the current one first."""
        return listed(self.kms_key_ids)

    @property
    def kms_in(self) -> str:
        """The region of `aws-kms`."""
        return self.kms_region or self.kms_keys[0].split(":")[3]

    @property
    def webhook_secrets(self) -> list[str]:
        """Every secret that may have signed a webhook."""
        return [*self.app_secrets["instagram"], *self.app_secrets["facebook"]]

    @property
    def app_secrets(self) -> dict[Literal["instagram", "facebook"], list[str]]:
        """Every secret of each of our apps at Meta, newest first; none where there is no Meta app."""
        meta = every_secret(self.meta_app_secret) if self.meta_app_secret else []
        return {"instagram": every_secret(self.instagram_app_secret), "facebook": meta}

    @property
    def instagram_signing_secret(self) -> str:
        """The newest Instagram app secret: the one we authenticate with."""
        return newest_secret(self.instagram_app_secret)

    @property
    def meta_signing_secret(self) -> str:
        """The newest Meta app secret; empty where there is no Meta app."""
        return newest_secret(self.meta_app_secret) if self.meta_app_secret else ""

    def has_app_at(self, provider: Provider) -> bool:
        """Whether accounts of this provider can be connected here."""
        return bool({"facebook": self.meta_app_id, "spotify": self.spotify_client_id}.get(provider, "always"))

    def redirect_uri(self, provider: Provider) -> str:
        """Where the provider sends a person back to. It must be registered there, character by character."""
        return f"{self.public_url}/v1/oauth/callback/{provider}"


class ApiSettings(Settings):
    """What only the API is told."""

    advanced_access: AdvancedAccess = ""
    """The providers that have opened our app to everybody (Meta: advanced access; Spotify: extended quota), as
    `instagram,facebook`. Of the others a connection's health says that only people with a role in our app are heard."""
    vault_account_ring_file: Path
    """The ring of people's own secrets (second factors). Only the API is given it."""
    trusted_hops: int = Field(default=0, ge=0, le=10)
    """How many proxies of ours append to `X-Forwarded-For`; the caller is that many places from the right."""
    limits: Limits = ""
    """Other limits than the defaults of `app/limiter.py`, as `login_account=20/900,…` (requests / seconds)."""
    password_blocklist_file: Path | None = None
    """Leaked or forbidden passwords, one a line, beside the most common ones, which are refused always."""
    docs: bool | None = None
    """Whether `/docs` is served; by default only in development."""

    def has_advanced_access(self, provider: Provider) -> bool:
        """Whether the provider has opened our app to everybody."""
        return provider in [one.strip() for one in self.advanced_access.split(",")]

    @property
    def shows_docs(self) -> bool:
        """Whether the manual is served."""
        return self.docs if self.docs is not None else self.environment == "development"


class WorkerSettings(Settings):
    """What only a worker is told."""

    vault_private_ring_file: Path | None = Field(default=None, validate_default=True)
    """The private half of the local key ring. Only workers are given it. Beside `aws-kms` it opens what is older."""
    lease_s: float = Field(default=45, ge=2, le=600)
    """Seconds after which an operation of a worker that died is taken over; longer than any call with its retries."""
    sweep_s: float = Field(default=5, ge=0.2, le=60)
    """Seconds between two looks at what is due, rung for or not."""
    smtp_url: Annotated[SecretStr, AfterValidator(smtp)]
    """Where mail goes: `smtps://user:password@host:465`, or `smtp://…:587`, which must offer STARTTLS in production."""
    mail_from: Annotated[str, AfterValidator(mailbox)] = "SoundOps <no-reply@soundops.io>"
    """The sender of every mail."""
    privacy_mail: EmailStr = "privacy@soundops.io"
    """Who of us is reminded of requests about people's data that are still open, and hears of promises that do not hold
    any more. The policy names the default, in section 12."""
    kill_at: Point | None = None
    """A drill: die at this point of a send, a refresh, a disconnect or an erasure. Refused in production."""
    kill_after: int = Field(default=1, ge=1)
    """A drill: at which passing of `kill_at`."""

    @model_validator(mode="after")
    def _not_contradictory_either(self) -> Self:
        if self.lease_s <= self.graph_timeout_s:
            raise ValueError("lease_s: must be longer than graph_timeout_s")
        self.check_billing(self.environment, calls_stripe=True)
        self.check_analytics()
        if self.environment == "production" and self.kill_at:
            raise ValueError("kill_at: must not be set in production")
        if self.environment == "production" and "mail_from" not in self.model_fields_set:
            raise ValueError("mail_from: must be set in production")
        return self


def load(kind: type[S]) -> S:
    """Read the settings, or end the process with one sentence for each that is missing or bad."""
    try:
        return kind()
    except ValidationError as exc:
        for error in exc.errors(include_input=False, include_url=False):
            print(_sentence([str(part) for part in error["loc"]], error["msg"]), file=sys.stderr)
        sys.exit(2)


def _sentence(location: list[str], message: str) -> str:
    """`SOUNDOPS_X is missing.` or `SOUNDOPS_X must be …`; never the value."""
    text = message.removeprefix("Value error, ")
    name = "".join(location)
    if not name:
        name, _, text = text.partition(": ")
    text = "is missing." if text == "Field required" else f"{text}."
    return f"{PREFIX}{name.upper()} {text}" if text.startswith(("must", "is ")) else f"{PREFIX}{name.upper()}: {text}"
