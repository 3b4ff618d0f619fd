"""Checks of where data go: over which lines, and to whom. What is looked at is what this worker is told to use."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.models.data_map import DATA_MAP
from app.models.stores import recipient_of
from app.services.mail.outbox import OURSELVES
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import WHY
from app.setting_kinds import is_private
from app.settings import OUTSIDE, WorkerSettings

TLS = ("https", "rediss", "smtps", "mongodb+srv", "unix")
OWN_ENDINGS = (".internal", ".local", ".lan", ".localhost", ".home.arpa")
OF_A_COUNTRY = re.compile(r"(?:ac|co|com|edu|gov|net|or|org)\.[a-z]{2}")
"""Below these, domains belong to different people."""
PROVIDERS = ("instagram_", "facebook_", "spotify_")


@dataclass(frozen=True)
class Line:
    """Something that we speak with, or that speaks with us."""

    name: str
    """The setting that says so."""
    host: str
    is_private: bool
    """Whether nobody on the way can read along."""


def lines(settings: WorkerSettings) -> list[Line]:
    """Every machine that the settings name."""
    found = [_line(name, url) for name, url in _urls(settings)]
    mongodb = settings.mongodb_url.get_secret_value()
    private = is_private(mongodb, ("mongodb+srv://",), "tls=true", "ssl=true")
    for host in _hosts_of(mongodb):
        found.append(Line("mongodb_url", host, private or _is_here(host)))
    smtp = urlsplit(settings.smtp_url.get_secret_value())
    required = settings.environment == "production"  # there, the mail client refuses to go on without STARTTLS
    smtp_host = smtp.hostname or ""
    found.append(Line("smtp_url", smtp_host, smtp.scheme in TLS or required or _is_here(smtp_host)))
    if settings.s3_bucket and not settings.s3_endpoint_url:
        found.append(Line("s3_region", f"s3.{settings.s3_region}.amazonaws.com", True))
    return found


def _urls(settings: WorkerSettings) -> Iterator[tuple[str, str]]:
    for name in ("public_url", *OUTSIDE, "kms_endpoint_url", "s3_endpoint_url"):
        url = getattr(settings, name)
        if url:
            yield name, url
    for origin in settings.origins:
        yield "app_origins", origin
    yield "redis_url", settings.redis_url.get_secret_value()


def _line(name: str, url: str) -> Line:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return Line(name, host, parts.scheme in TLS or _is_here(host))


def _hosts_of(url: str) -> list[str]:
    """The machines of a MongoDB's address, which may name several."""
    place = url.partition("://")[2].split("/")[0].split("?")[0].rpartition("@")[2]
    return [urlsplit(f"//{one}").hostname or "" for one in place.split(",")]


def _is_here(host: str) -> bool:
    """Whether it is this machine: nothing leaves it."""
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own(host: str, settings: WorkerSettings) -> bool:
    """Whether it is a machine of whoever runs this: in a private network, or of the same domain as our own address."""
    if _is_here(host) or "." not in host or host.endswith(OWN_ENDINGS):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        own = urlsplit(settings.public_url).hostname or ""
        above = own.partition(".")[2]
        domain = above if above.count(".") > 0 and not OF_A_COUNTRY.fullmatch(above) else own
        return host == own or host.endswith(f".{domain}")


async def encrypted_in_transit(look: Look) -> Measured:
    """Machines that are spoken with in clear, and are not this one."""
    odd = [one.name for one in lines(look.settings) if not one.is_private]
    return Measured(len(odd), detail=" ".join(sorted(set(odd))))


async def processors_declared(look: Look) -> Measured:
    """Machines that are neither our own nor those of a recipient that the record of processing names."""
    ours = [one for one in lines(look.settings) if not one.name.startswith((*PROVIDERS, "public_url", "app_origins"))]
    odd = [one.name for one in ours if not _is_own(one.host, look.settings) and recipient_of(one.host) is None]
    return Measured(len(odd), detail=" ".join(sorted(set(odd))))


async def official_addresses(look: Look) -> Measured:
    """Addresses of Meta's or Spotify's that are not theirs. Stand-ins on this machine count as none."""
    odd = []
    for one in lines(look.settings):
        if one.name.startswith(PROVIDERS) and not _is_here(one.host):
            recipient = recipient_of(one.host)
            odd += [] if recipient and recipient.role == "integration" else [one.name]
    return Measured(len(odd), detail=" ".join(sorted(odd)))


async def collections_on_the_map(look: Look) -> Measured:
    """Collections that nobody has said a purpose of."""
    there = await look.db.raw.list_collection_names()
    odd = sorted(name for name in there if name not in DATA_MAP and not name.startswith("system."))
    return Measured(len(odd), detail=f"{len(odd)} undeclared" if odd else "")


async def reachable(look: Look) -> Measured:
    """Mails to our privacy desk that were refused or could not be delivered in the last 30 days."""
    query = {"label_id": None, "user_id": OURSELVES, "state": "failed"}
    return Measured(await look.db.open("mails").count_documents(query, limit=1000, comment=WHY))
