"""The postbox: takes every mail by SMTP and shows it on a page, so that a product's mails can be seen and tested.

    python -m sandbox.postbox

Set up by the environment: POSTBOX_SMTP_PORT (8025), POSTBOX_HTTP_PORT (8125), POSTBOX_DATA (.soundops/postbox). A mail
is on disk before it is acknowledged. The recipient's name decides what happens to it:

    later…@    451 at RCPT: not now
    refuse…@   550 at RCPT: never
    lost…@     taken and kept, but the connection drops before the answer
    slow…@     taken and kept, but the answer takes 2 seconds, or as many as the name says: slow9…@
"""

import asyncio
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.journal import JournalError
from sandbox.postbox_mails import Mails
from sandbox.postbox_pages import create_app

HOST = "127.0.0.1"
REFUSALS = {"later": "451 4.3.0 Not now", "refuse": "550 5.1.1 Nobody of this name"}
SLOW = re.compile(r"slow(\d{0,3})", re.IGNORECASE)
SLOW_S = 2.0


class Postman:
    """What is done at the steps of an SMTP session; the names are aiosmtpd's."""

    def __init__(self, mails: Mails) -> None:
        self.mails = mails

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take this recipient, or not."""
        for name, refusal in REFUSALS.items():
            if address.lower().startswith(name):
                return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the mail, and answer, unless the recipient's name says otherwise."""
        assert isinstance(envelope.original_content, bytes)
        await self.mails.keep(envelope.mail_from or "", envelope.rcpt_tos, envelope.original_content)
        for address in envelope.rcpt_tos:
            if slow := SLOW.match(address):
                await asyncio.sleep(float(slow[1] or SLOW_S))
            if address.lower().startswith("lost"):
                assert isinstance(server.transport, asyncio.Transport)
                server.transport.abort()
                await asyncio.sleep(1)  # by then aiosmtpd has ended this session
        return "250 2.0.0 OK"


def serve(env: Mapping[str, str]) -> int:
    """Run until told to stop; the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # a session that is cut off is nothing to tell
    signal.signal(signal.SIGTERM, _exit_cleanly)
    try:
        smtp_port, http_port = (_port(env, name, default) for name, default in (("SMTP", 8025), ("HTTP", 8125)))
        asyncio.run(_serve(smtp_port, http_port, Path(env.get("POSTBOX_DATA") or ".soundops/postbox")))
    except (JournalError, ValueError, OSError) as exc:
        print(f"postbox: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


async def _serve(smtp_port: int, http_port: int, data: Path) -> None:
    mails = Mails(data)
    postman, loop = Postman(mails), asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: SMTP(postman, loop=loop, hostname="postbox", ident="postbox", enable_SMTPUTF8=True),
        HOST,
        smtp_port,
        family=socket.AF_INET,
    )
    config = uvicorn.Config(
        create_app(mails), host=HOST, port=http_port, log_level="warning", access_log=False, proxy_headers=False
    )
    print(
        f"The postbox takes mails at smtp://{HOST}:{smtp_port} and shows them at http://{HOST}:{http_port}/", flush=True
    )
    async with smtp:
        await uvicorn.Server(config).serve()
    await mails.close()


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(f"POSTBOX_{name}_PORT") or str(default)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError(f"POSTBOX_{name}_PORT must be a port from 1 to 65535")
    return int(text)


def _exit_cleanly(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(serve(os.environ))
