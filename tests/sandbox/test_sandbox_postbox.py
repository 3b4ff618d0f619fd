"""The postbox keeps what it acknowledged, does what a recipient's name says, and shows any mail without harm."""

import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tools import embedded
from tools.child import ROOT, Child, running

MAIL = "From: us@example.com\r\nSubject: {subject}\r\nMessage-ID: <1@us>\r\n\r\nHello,\r\n\r\n{code}\r\n\r\nBye\r\n"
CODE = "sot_AbCdEfGhIjKlMnOpQrStUvWxYz-_0123456789"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Child]:
    """A postbox of the test's own."""
    child = embedded.postbox_child(tmp_path / "postbox")
    with running(child):
        yield child


def smtp_to(box: Child) -> smtplib.SMTP:
    """A connection to it."""
    return smtplib.SMTP(embedded.HERE, int(box.env["POSTBOX_SMTP_PORT"]), timeout=10)


def mails(box: Child, **params: str) -> list[dict[str, Any]]:
    """What it shows."""
    found: list[dict[str, Any]] = httpx.get(f"{box.url}/mails", params=params, trust_env=False).json()
    return found


def test_what_it_acknowledged_survives_kill(box: Child) -> None:
    """Mail after mail, then kill -9 at once: all are there, in their order, and numbers go on; until told to forget."""
    with smtp_to(box) as smtp:
        for number in range(50):
            smtp.sendmail("us@example.com", [f"p{number}@example.com"], MAIL.format(subject=number, code=CODE))
        box.kill()
    box.restart()
    assert [mail["subject"] for mail in mails(box)] == [str(number) for number in reversed(range(50))]
    [mail] = mails(box, to="P7@example.com")
    assert (mail["from"], mail["message_id"], mail["token"]) == ("us@example.com", "<1@us>", CODE)
    assert httpx.delete(f"{box.url}/mails", trust_env=False).status_code == 204
    box.restart()
    assert mails(box) == []
    with smtp_to(box) as smtp:
        smtp.sendmail("us@example.com", ["a@example.com", "b@example.com"], MAIL.format(subject="x", code="short"))
    assert [(mail["id"], mail["to"], mail["token"]) for mail in mails(box)] == [
        ("52", "b@example.com", None),
        ("51", "a@example.com", None),
    ]


def test_a_recipients_name_decides(box: Child) -> None:
    """Not now, never, taken without an answer, taken slowly."""
    with smtp_to(box) as smtp:
        smtp.ehlo()
        for name, code in {"later.on": 451, "Refuse": 550, "somebody": 250}.items():
            smtp.mail("us@example.com")
            assert smtp.rcpt(f"{name}@example.com")[0] == code
            smtp.rset()
        begun = time.monotonic()
        smtp.sendmail("us@example.com", ["slow1@example.com"], MAIL.format(subject="slow", code=CODE))
        assert time.monotonic() - begun >= 1
    with pytest.raises(smtplib.SMTPServerDisconnected), smtp_to(box) as smtp:
        smtp.sendmail("us@example.com", ["lost@example.com"], MAIL.format(subject="lost", code=CODE))
    assert [mail["subject"] for mail in mails(box)] == ["lost", "slow"]


def test_a_mail_is_shown_as_what_it_is(box: Child) -> None:
    """Markup in a subject or a text is text; one that nobody can read is refused, and harms no later start."""
    script = "<script>alert(1)</script>"
    with smtp_to(box) as smtp:
        smtp.sendmail("us@example.com", ["x@example.com"], MAIL.format(subject=script, code=script))
        odd = "Subject: odd\r\nContent-Type: text/plain; charset=none-such\r\n\r\nHello\r\n"
        with pytest.raises(smtplib.SMTPResponseException):
            smtp.sendmail("us@example.com", ["y@example.com"], odd)
    box.restart()
    [mail] = mails(box)
    for path in ("/", f"/read/{mail['id']}"):
        page = httpx.get(box.url + path, trust_env=False).text
        assert script not in page and "&lt;script&gt;" in page


def test_it_says_why_it_does_not_start(box: Child, tmp_path: Path) -> None:
    """A bad port, and a folder that another postbox uses, are one sentence each."""
    used = {**box.env, "POSTBOX_HTTP_PORT": str(embedded.free_port()), "POSTBOX_SMTP_PORT": str(embedded.free_port())}
    for port, sentence in {"many": "POSTBOX_SMTP_PORT must be a port", "": "is in use by another sandbox"}.items():
        ended = subprocess.run(
            [sys.executable, "-m", "sandbox.postbox"],
            cwd=ROOT,
            env=used | ({"POSTBOX_SMTP_PORT": port} if port else {}),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert ended.returncode == 1 and sentence in ended.stderr and "Traceback" not in ended.stderr
