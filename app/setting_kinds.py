"""What settings are made of: addresses, secrets and lists, each with the check that refuses a bad one."""

import re
from typing import Annotated, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from redis.asyncio.connection import parse_url

from app.models.features import Provider

BLIND = {
    *("tls=false", "ssl=false", "tlsinsecure=true", "tlsallowinvalidcertificates=true"),
    *("tlsallowinvalidhostnames=true", "ssl_cert_reqs=none", "ssl_cert_reqs=optional", "ssl_check_hostname=false"),
}
"""Options of MongoDB's and Redis's addresses that leave TLS out, or do not look at whom they speak with."""


def http_url(url: str) -> str:
    """An address without its last slash."""
    if not is_plain_http(url):
        raise ValueError("must be an http or https address without user, query or fragment")
    return url.rstrip("/")


def is_plain_http(url: str) -> bool:
    """Whether it is an address of http or https, and nothing more."""
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # its text may repeat the address
        return False
    return bool(named) and not (parts.query or parts.fragment or "@" in url or " " in url)


def check_mongodb(url: str) -> None:
    """Raise `ValueError` for an address that MongoDB's drivers do not take, or that weakens what we write with."""
    if not url.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("mongodb_url: must begin with mongodb:// or mongodb+srv://")
    try:
        if url.startswith("mongodb://"):  # the other form would ask the name server
            parse_uri(url, validate=True, warn=False)
    except (PyMongoError, ValueError, TypeError):
        raise ValueError("mongodb_url: must be an address that MongoDB's drivers take") from None
    if not is_durable(url):
        raise ValueError("mongodb_url: must not weaken what we write with (w=majority, with the journal)")


def check_redis(url: str) -> None:
    """Raise `ValueError` for an address that Redis's clients do not take."""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("redis_url: must begin with redis://, rediss:// or unix://")
    try:
        parse_url(url)
    except ValueError:
        raise ValueError("redis_url: must be an address that Redis's clients take") from None


def is_private(url: str, schemes: tuple[str, ...], *options: str) -> bool:
    """Whether nobody on the way can read along, or answer in the other's place."""
    said = set(urlsplit(url).query.lower().split("&"))
    return not said & BLIND and (url.startswith(schemes) or not said.isdisjoint(options))


def is_durable(url: str) -> bool:
    """Whether the address leaves `majority` and the journal alone."""
    said = dict(option.partition("=")[::2] for option in urlsplit(url).query.lower().split("&"))
    return said.get("w", "majority") == "majority" and "false" not in (said.get("journal"), said.get("j"))


def secret_list(value: SecretStr) -> SecretStr:
    """One secret, or several with commas between."""
    if any(len(secret.strip()) < 16 for secret in value.get_secret_value().split(",")):
        raise ValueError("must be one secret of 16 characters or more, or several with commas between")
    return value


def smtp(value: SecretStr) -> SecretStr:
    """An address of an SMTP server."""
    try:
        parts = urlsplit(value.get_secret_value())
        good = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be an address like smtps://user:password@host:465")
    return value


def mailbox(value: str) -> str:
    """A sender."""
    if not re.fullmatch(r"(?:[^<>@\r\n\"]+ )?<?[^\s<>@]+@[\w.-]+>?", value):
        raise ValueError("must be an address like SoundOps <no-reply@example.com>")
    return value


def limits(text: str) -> str:
    """Limits for `app/limiter.py`."""
    if not all(
        re.fullmatch(r"[a-z_]+=[1-9]\d{0,8}/[1-9]\d{0,6}", one.strip()) for one in text.split(",") if one.strip()
    ):
        raise ValueError("must be limits like login_account=20/900, with commas between")
    return text


def every_secret(secrets: SecretStr) -> list[str]:
    """The secrets of a list, newest first."""
    return [secret.strip() for secret in secrets.get_secret_value().split(",")]


def providers(text: str) -> str:
    """Providers, with commas between."""
    if {one.strip() for one in text.split(",") if one.strip()} - set(get_args(Provider)):
        raise ValueError(f"must be of {', '.join(get_args(Provider))}, with commas between")
    return text


def newest_secret(secrets: SecretStr) -> str:
    """The first secret of a list."""
    return every_secret(secrets)[0]


def key_arns(text: str) -> str:
    """Keys of KMS, none of them by an alias."""
    if text and not all(re.fullmatch(r"arn:aws[\w-]*:kms:[a-z0-9-]+:\d+:key/[\w-]+", one) for one in listed(text)):
        raise ValueError("must be ARNs of keys, with commas between; an alias may come to mean another key")
    return text


def listed(text: str) -> list[str]:
    """What stands between the commas."""
    return [one.strip() for one in text.split(",")]


def strong(value: SecretStr) -> SecretStr:
    """A secret that cannot be guessed."""
    text = value.get_secret_value()
    if len(text) < 32 or len(set(text)) < 10:
        raise ValueError("must be 32 random characters or more")
    return value


HttpUrl = Annotated[str, AfterValidator(http_url)]
KeyArns = Annotated[str, AfterValidator(key_arns)]
Limits = Annotated[str, AfterValidator(limits)]
AdvancedAccess = Annotated[str, AfterValidator(providers)]
SecretList = Annotated[SecretStr, AfterValidator(secret_list)]
