"""The mails that the postbox has taken: in a journal on disk, and read into memory."""

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

from sandbox.journal import Journal, Row

CODE = re.compile(r"^[\w-]{20,}\r?$", re.MULTILINE | re.ASCII)
"""A code to paste: a line of its own."""


@dataclass(frozen=True)
class Mail:
    """One mail for one recipient."""

    id: str
    """Its number: later ones are higher."""
    to: str
    """The recipient that the envelope named."""
    sender: str
    """What its `From` says."""
    subject: str
    text: str
    html: str
    received_at: str
    message_id: str
    token: str | None
    """The code to paste that the text shows on a line of its own."""
    headers: list[list[str]] = field(repr=False)
    """As they came, each on one line: what is encoded in them is not decoded."""

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        fields = asdict(self)
        return fields | {"from": fields.pop("sender")}


class Mails:
    """Every mail since the last `forget`, oldest first. Opened once per process; replays the journal."""

    def __init__(self, data: Path) -> None:
        self._journal = Journal(data / "mails.jsonl")
        self._kept: list[Mail] = []
        self._count = 0
        for row in self._journal.replay():
            self._apply(row)

    async def keep(self, mail_from: str, recipients: list[str], raw: bytes) -> None:
        """Keep a mail; it is on disk when this returns."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = raw.decode(errors="replace")
        await self._record({"kind": "mail", "from": mail_from, "to": recipients, "raw": text, "at": now})

    async def forget(self) -> None:
        """Forget all there are. Numbers go on."""
        await self._record({"kind": "forgotten"})

    def newest(self, to: str | None = None) -> list[Mail]:
        """All, or those to this address, newest first."""
        return [mail for mail in reversed(self._kept) if to is None or mail.to.lower() == to.lower()]

    def get(self, number: str) -> Mail | None:
        """The mail of this number."""
        return next((mail for mail in self._kept if mail.id == number), None)

    async def close(self) -> None:
        """Close the journal."""
        await self._journal.close()

    async def _record(self, row: Row) -> None:
        self._apply(row)  # one that cannot be read is refused, and must not come back at the next start
        self._journal.append(row)
        await self._journal.settled()

    def _apply(self, row: Row) -> None:
        if row["kind"] == "forgotten":
            self._kept.clear()
            return
        for recipient in row["to"]:
            self._count += 1
            self._kept.append(_read(str(self._count), recipient, row))


def _read(number: str, recipient: str, row: Row) -> Mail:
    message = message_from_bytes(row["raw"].encode(), policy=SMTPUTF8)
    text = _part(message, "plain")
    code = CODE.search(text)
    return Mail(
        id=number,
        to=recipient,
        sender=str(message["From"] or row["from"]),
        subject=str(message["Subject"] or "").strip(),
        text=text,
        html=_part(message, "html"),
        received_at=row["at"],
        message_id=str(message["Message-ID"] or ""),
        token=code[0].strip() if code else None,
        headers=[[name, _as_it_came(value)] for name, value in message.raw_items()],
    )


def _as_it_came(value: str) -> str:
    """A header's bytes as UTF-8, on one line."""
    return "".join(value.encode(errors="surrogateescape").decode(errors="replace").splitlines())


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part else ""
