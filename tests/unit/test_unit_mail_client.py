"""The SMTP client, against servers of the test's own; and what letters let through."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from app.clients.mail import (
    Away,
    Mailer,
    MailError,
    OutcomeUnknown,
    Refused,
    Unavailable,
    deliver,
    envelope,
    open_mailer,
)
from app.services.mail import letters
from tools.embedded import HERE, free_port

ADDRESSES = {"sender": "us@example.com", "recipient": "mara@example.com"}
CONTENT = b"Subject: Hello\r\n\r\n.Hello\r\n"


class Taken:
    """A server's handler: keeps what arrives, over TLS or not; answers as it is told."""

    def __init__(self, answer: str = "250 OK", data_answer: str = "250 OK") -> None:
        self.contents: list[bytes] = []
        self.over_tls: list[bool] = []
        self.answer, self.data_answer = answer, data_answer

    async def handle_RCPT(self, server: SMTP, session: Session, env: Envelope, address: str, options: list[str]) -> str:
        env.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: SMTP, session: Session, env: Envelope) -> str:
        assert isinstance(env.original_content, bytes)
        self.contents.append(env.original_content)
        self.over_tls.append(session.ssl is not None)
        return self.data_answer


def log_in(server: SMTP, session: Session, env: Envelope, mechanism: str, data: Any) -> AuthResult:
    """Only this user, with this password."""
    assert isinstance(data, LoginPassword)
    return AuthResult(success=(data.login, data.password) == (b"m@ra", b"p:w/d"), handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HERE))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


def tls_of(certificate: Path) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@asynccontextmanager
async def serving(make: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of these protocols; its port."""
    port = free_port()
    server = await asyncio.get_running_loop().create_server(make, HERE, port, ssl=tls)
    async with server:
        yield port


async def send(mailer: Mailer) -> None:
    """Send one mail."""
    async with envelope(mailer, **ADDRESSES) as server:
        await deliver(mailer, server, CONTENT)


def way(url: str, port: int, *, tls_required: bool = False, timeout_s: float = 5) -> Mailer:
    """A mailer for this port."""
    return open_mailer(f"{url}{HERE}:{port}", tls_required=tls_required, timeout_s=timeout_s)


def test_addresses_are_read() -> None:
    """Ports have defaults, passwords are unescaped, and neither is shown in a log of the mailer."""
    mailer = open_mailer("smtp://m%40ra:p%3Aw%2Fd@mail.example", tls_required=True, timeout_s=1)
    assert (mailer.user, mailer.password, mailer.port, mailer.starttls_required) == ("m@ra", "p:w/d", 587, True)
    assert "p:w/d" not in repr(mailer)
    mailer = open_mailer("smtps://mail.example", tls_required=True, timeout_s=1)
    assert (mailer.user, mailer.port, mailer.tls_at_once, mailer.starttls_required) == (None, 465, True, False)


async def test_without_starttls_nothing_is_sent_where_tls_is_required() -> None:
    """Elsewhere it is."""
    taken = Taken()
    async with serving(lambda: SMTP(taken, loop=asyncio.get_running_loop(), hostname="here")) as port:
        with pytest.raises(Away):
            await send(way("smtp://", port, tls_required=True))
        assert taken.contents == []
        await send(way("smtp://", port))
    assert taken.contents == [CONTENT]


async def test_starttls_is_used_when_offered(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Required or not; and never to a server whose certificate nobody vouches for."""
    taken, tls = Taken(), tls_of(certificate)
    async with serving(lambda: SMTP(taken, loop=asyncio.get_running_loop(), hostname="here", tls_context=tls)) as port:
        for tls_required in (False, True):
            with pytest.raises(Away):
                await send(way("smtp://", port, tls_required=tls_required))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        for tls_required in (False, True):
            await send(way("smtp://", port, tls_required=tls_required))
    assert taken.over_tls == [True, True]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # aiosmtpd does not see TLS at once
async def test_smtps_logs_in(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS from the first byte; a wrong password is no fault of the mail, which waits."""
    taken = Taken()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    def make() -> SMTP:
        loop = asyncio.get_running_loop()
        return SMTP(taken, loop=loop, hostname="here", auth_required=True, auth_require_tls=False, authenticator=log_in)

    async with serving(make, tls_of(certificate)) as port:
        with pytest.raises(Away):
            await send(way("smtps://m%40ra:wrong@", port))
        await send(way("smtps://m%40ra:p%3Aw%2Fd@", port, tls_required=True))
    assert taken.contents == [CONTENT]


@pytest.mark.parametrize(
    ("answer", "data_answer", "error"),
    [
        ("451 Later", "250 OK", Unavailable),
        ("421 Bye", "250 OK", Unavailable),
        ("550 No", "250 OK", Refused),
        ("199 What", "250 OK", Unavailable),
        ("250 OK", "452 Full", Unavailable),
        ("250 OK", "554 Spam", Refused),
        ("250 OK", "299 What", OutcomeUnknown),
        ("250 OK", "nonsense", OutcomeUnknown),
    ],
)
async def test_answers_are_told_apart(answer: str, data_answer: str, error: type[MailError]) -> None:
    """Before DATA nothing has happened; after it only a clear no means that nothing has."""
    taken = Taken(answer, data_answer)
    async with serving(lambda: SMTP(taken, loop=asyncio.get_running_loop(), hostname="here")) as port:
        with pytest.raises(MailError) as raised:
            await send(way("smtp://", port))
    assert type(raised.value) is error
    assert not any(word in str(raised.value) for word in ("mara", "Later", "No", "Spam", "nonsense"))


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (["554 Go away"], Away),
        (["220 here", "250 here", "550 Not you"], Away),
        (["220 here", None], Away),
        ([None], Away),
        (["220 here", "250 here", "250 OK", None], Away),
        (["220 here", "250 here", "250 OK", "250 OK", None], OutcomeUnknown),
        (["220 here", "250 here", "250 OK", "250 OK", "354 Go", None], OutcomeUnknown),
        (["220 here", "250 here", "250 OK", "250 OK", "503 No", None], Refused),
    ],
)
async def test_a_server_that_falls_silent(said: list[str | None], error: type[MailError]) -> None:
    """Every step ends in its time; which error it is says whether the mail had begun to go."""

    class Silent(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport, self.left = transport, list(said)
            self._say()

        def data_received(self, data: bytes) -> None:
            self._say()

        def _say(self) -> None:
            line = self.left.pop(0) if self.left else None
            if line:
                assert isinstance(self.transport, asyncio.Transport)
                self.transport.write(line.encode() + b"\r\n")

    begun = asyncio.get_running_loop().time()
    async with serving(Silent) as port:
        with pytest.raises(MailError) as raised:
            await send(way("smtp://", port, timeout_s=0.3))
    assert type(raised.value) is error
    assert asyncio.get_running_loop().time() - begun < 2


async def test_a_connection_lost_before_data_is_no_doubt() -> None:
    """Between the two steps the server goes away: the mail has not begun to go."""
    taken = Taken()
    async with serving(lambda: SMTP(taken, loop=asyncio.get_running_loop(), hostname="here")) as port:
        mailer = way("smtp://", port)
        async with envelope(mailer, **ADDRESSES) as server:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            await asyncio.sleep(0.01)
            with pytest.raises(Unavailable):
                await deliver(mailer, server, CONTENT)
    assert taken.contents == []


async def test_nobody_listens() -> None:
    """It is the server that is away, not the mail that is bad."""
    with pytest.raises(Away):
        await send(way("smtp://", free_port()))


@given(st.text(max_size=400))
def test_words_only(fact: str) -> None:
    """One line, printable, of limited length, with nothing to click on or to decode."""
    shown = letters.words_only(fact)
    assert shown.isprintable() and len(shown) < 900 and "://" not in shown and "=?" not in shown
    assert letters.words_only(shown) == shown or len(shown) > letters.LONGEST


def test_a_header_that_holds_another_is_refused() -> None:
    """The standard library decodes an encoded word and writes its line end into the head: the last check sees that."""
    message = EmailMessage(policy=SMTP_POLICY)
    message["Subject"] = "Hello =?utf-8?q?Mara=0D=0ABcc=3A_everybody=40example=2Ecom?="
    with pytest.raises((ValueError, MessageError)):  # later versions of the library see it themselves
        letters._check_headers(message)
