"""The SMTP client. A mail goes in two steps, so that its sender can write down that it goes just before it does:

    async with envelope(mailer, sender=…, recipient=…) as server:   # the server has agreed to take it
        await deliver(mailer, server, content)                      # DATA: from here on it may have happened

MailError
├── Unavailable      it did not happen: try again
│   └── Away         nor will another mail's, for now: the server is not there, or does not serve us
├── Refused          this mail will never be taken
└── OutcomeUnknown   it may have happened
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPRecipientRefused, SMTPResponseException

Server = SMTP
"""A connection to a mail server, as `envelope` hands it out for `deliver`."""
GOODBYE_S = 1.0


class MailError(Exception):
    """A mail that was not surely taken. Holds the server's code (0: it said none), never its text or an address."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        super().__init__(f"SMTP {code}")


class Unavailable(MailError):
    """It did not happen: try again."""


class Away(Unavailable):
    """The server cannot be reached, or does not serve us: other mails fare no better now."""


class Refused(MailError):
    """The server will never take this mail."""


class OutcomeUnknown(MailError):
    """The connection was lost after the mail began to go and before the server answered."""


@dataclass
class Mailer:
    """The way to one SMTP server. Each of the two steps of a mail may take `timeout_s`."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    tls_at_once: bool
    """`smtps`: TLS from the first byte."""
    starttls_required: bool
    """Whether to speak to a server without TLS is no choice; else STARTTLS is used when it is offered."""
    timeout_s: float
    away_until: datetime | None = None
    """Until when nobody need try, as who has just been there knows."""


def open_mailer(url: str, *, tls_required: bool, timeout_s: float) -> Mailer:
    """The way that `smtp://user:password@host:587` or `smtps://…:465` names. Nothing is connected yet."""
    parts = urlsplit(url)
    at_once = parts.scheme == "smtps"
    return Mailer(
        host=parts.hostname or "",
        port=parts.port or (465 if at_once else 587),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls_at_once=at_once,
        starttls_required=tls_required and not at_once,
        timeout_s=timeout_s,
    )


@asynccontextmanager
async def envelope(mailer: Mailer, *, sender: str, recipient: str) -> AsyncIterator[Server]:
    """A server that has agreed to take one mail for this recipient; in the end the connection is closed.

    Raises `Away`, `Unavailable`, `Refused`. Only what is said of the recipient is about this mail; a bad password or
    sender is ours to mend, and the mail waits for that.
    """
    server = SMTP(
        hostname=mailer.host,
        port=mailer.port,
        username=mailer.user,
        password=mailer.password,
        local_hostname=sender.rpartition("@")[2],
        timeout=mailer.timeout_s,
        use_tls=mailer.tls_at_once,
        start_tls=True if mailer.starttls_required else None,
    )
    try:
        try:
            async with asyncio.timeout(mailer.timeout_s):
                await server.connect()
                await _address(server, sender, recipient)
        except SMTPRecipientRefused as exc:
            raise (Refused if 500 <= exc.code < 600 else Unavailable)(exc.code) from exc
        except SMTPResponseException as exc:
            raise Away(exc.code) from exc
        except (SMTPException, OSError, TimeoutError, ValueError) as exc:
            raise Away from exc
        yield server
        with suppress(SMTPException, OSError, TimeoutError):
            await server.quit(timeout=GOODBYE_S)
    finally:
        server.close()


async def _address(server: Server, sender: str, recipient: str) -> None:
    if recipient.isascii():
        await server.mail(sender)
        await server.rcpt(recipient)
        return
    if server.is_ehlo_or_helo_needed:
        await server.ehlo()
    if not server.supports_extension("smtputf8"):  # RFC 6531: such an address cannot be named to this server
        raise SMTPRecipientRefused(553, "", "")
    await server.mail(sender, options=["SMTPUTF8"])
    await server.rcpt(recipient, encoding="utf-8")


async def deliver(mailer: Mailer, server: Server, content: bytes) -> None:
    """Hand the mail over. Raises `Unavailable`, `Refused`, `OutcomeUnknown`."""
    if not server.is_connected:
        raise Unavailable
    try:
        async with asyncio.timeout(mailer.timeout_s):
            await server.data(content)
    except SMTPResponseException as exc:
        if 400 <= exc.code < 500:  # RFC 5321, section 4.2.1
            raise Unavailable(exc.code) from exc
        raise (Refused if 500 <= exc.code < 600 else OutcomeUnknown)(exc.code) from exc
    except (SMTPException, OSError, TimeoutError) as exc:
        raise OutcomeUnknown from exc
