"""Access tokens: nothing is taken but what we signed, for us, now."""

import base64
import hashlib
import hmac
import json
import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from app.services.tokens import ALGORITHM, AUDIENCE, LEEWAY_S, LIFE, LONGEST, TYPE, BadToken, Claims, load_signer
from tests.house import make_keys

ISSUER = "https://api.label.example"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
WHO = Claims(user_id="usr_1", session_id="ses_1")
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "usr_1",
    "sid": "ses_1",
    "iat": AT,
    "exp": AT + int(LIFE.total_seconds()),
    "jti": "01k9zv3t5wxq8m2c4d6f7g9h1j",
}
ALPHABET = string.ascii_letters + string.digits + "-_"
Private = ec.EllipticCurvePrivateKey


@pytest.fixture(scope="session")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signing key."""
    return make_keys(tmp_path_factory.mktemp("signing"))


@pytest.fixture(scope="session")
def private(signing: Path) -> Private:
    """The signing key itself, to forge with."""
    key = load_pem_private_key((signing / "jwt.pem").read_bytes(), password=None)
    assert isinstance(key, Private)
    return key


class Forge:
    """Makes tokens that are good but for what a test changes."""

    def __init__(self, folder: Path, private: Private) -> None:
        self.signer = load_signer(folder / "jwt.pem", issuer=ISSUER)
        self.private = private
        self.header = {"alg": ALGORITHM, "typ": TYPE, "kid": self.signer.key_id}

    def token(self, header: Mapping[str, Any] | str = {}, claims: Mapping[str, Any] | str = {}) -> str:
        """Properly signed; the changes go over what is good, and text stands for the JSON itself."""
        head = header if isinstance(header, str) else json.dumps(changed(self.header, header))
        body = claims if isinstance(claims, str) else json.dumps(changed(GOOD, claims))
        text = f"{encoded(head.encode())}.{encoded(body.encode())}"
        return f"{text}.{encoded(es256(self.private, text))}"

    def taken(self, token: str, *, now: datetime = NOW) -> bool:
        """Whether it is taken; if not, in the one way that there is."""
        try:
            return self.signer.verify(token, now=now) == WHO
        except BadToken:
            return False


@pytest.fixture(scope="session")
def forge(signing: Path, private: Private) -> Forge:
    """Our own key in a forger's hands."""
    return Forge(signing, private)


def changed(good: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """With these changes; `...` leaves a name out."""
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def encoded(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def es256(key: Private, text: str, algorithm: SHA256 | SHA384 | None = None) -> bytes:
    """The signature as a JWT carries it: both numbers, 32 bytes each."""
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(algorithm or SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_what_we_issue_is_taken(forge: Forge) -> None:
    """For as long as it lives, and it names nothing but ids."""
    token = forge.signer.issue(WHO, now=NOW)
    for offset in (timedelta(), LIFE - timedelta(seconds=1), -timedelta(seconds=LEEWAY_S)):
        assert forge.signer.verify(token, now=NOW + offset) == WHO
    payload = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert changed(payload, {"jti": GOOD["jti"]}) == GOOD
    assert forge.signer.issue(WHO, now=NOW) != token


def test_what_the_forge_makes_is_good(forge: Forge) -> None:
    """Unchanged, it is taken: so each refusal below is for the one change."""
    assert forge.taken(forge.token())


@pytest.mark.parametrize("offset_s", [-LEEWAY_S - 1, LIFE.total_seconds() + LEEWAY_S, 10**9, -(10**9)])
def test_not_yet_or_no_longer(forge: Forge, offset_s: float) -> None:
    """Outside its life and ten seconds."""
    assert not forge.taken(forge.token(), now=NOW + timedelta(seconds=offset_s))


HEADERS: list[dict[str, Any]] = [
    *(
        {"alg": alg}
        for alg in ("none", "None", "HS256", "RS256", "ES384", "ES512", "es256", "", None, ["ES256"], 5, ...)
    ),
    *({"typ": typ} for typ in ("JWT", "at+JWT", "AT+JWT", "application/at+jwt", "", None, ...)),
    *({"kid": kid} for kid in ("k1", "", None, ["x"], {"a": 1}, "../../../dev/null", ...)),
    *({name: "x"} for name in ("crit", "jku", "x5u", "x5c", "jwk", "cty", "b64", "ALG")),
]
CLAIMS: list[dict[str, Any]] = [
    *({"iss": iss} for iss in ("https://evil.example", f"{ISSUER}/", ISSUER.upper(), "", None, [ISSUER], ...)),
    *({"aud": aud} for aud in ("other-api", "", None, [AUDIENCE], [AUDIENCE, "x"], ...)),
    *({name: value} for name in ("sub", "sid", "jti") for value in ("", None, 5, True, ["usr_1"], {"$ne": ""}, ...)),
    *(
        {"exp": exp}
        for exp in (AT - 3600, AT + 901, AT + 10**6, 10**30, -1, AT + 900.0, str(AT + 900), True, None, ...)
    ),
    *({"iat": iat} for iat in (AT + 11, AT - 1, 0, -(10**30), float(AT), str(AT), False, None, ...)),
    *({"iat": AT - 3600, "exp": AT + 60}, {"iat": AT + 60, "exp": AT + 120}, {"iat": AT, "exp": AT - 11}),
    *({name: 1} for name in ("nbf", "scope", "admin", "azp", "Sub")),
]


@pytest.mark.parametrize("change", HEADERS, ids=str)
def test_other_headers(forge: Forge, change: dict[str, Any]) -> None:
    """Well signed, but the header says another thing, more or less."""
    assert not forge.taken(forge.token(header=change))


@pytest.mark.parametrize("change", CLAIMS, ids=str)
def test_other_claims(forge: Forge, change: dict[str, Any]) -> None:
    """Well signed, but not for us, not now, of another type, or with more or less in it."""
    assert not forge.taken(forge.token(claims=change))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(GOOD)[:-1] + ', "sub": "usr_2"}',
        json.dumps(GOOD)[:-1] + ', "\\u0073ub": "usr_2"}',
        json.dumps(GOOD).replace(str(GOOD["exp"]), "NaN"),
        json.dumps(GOOD).replace(str(GOOD["exp"]), "1e400"),
        json.dumps(GOOD).replace(str(GOOD["exp"]), "9" * 2000),
        json.dumps([GOOD]),
        "",
        "null",
        '"text"',
        "[" * 2500,
        "{",
    ],
    ids=lambda body: body[-24:],
)
def test_ambiguous_or_no_json(forge: Forge, body: str) -> None:
    """Duplicate names, numbers that are none, other types: in the claims and in the header."""
    assert not forge.taken(forge.token(claims=body))
    assert not forge.taken(forge.token(header=body))


def test_duplicate_names_in_the_header(forge: Forge) -> None:
    """Two parsers may differ on which of the two counts."""
    head = json.dumps(forge.header)
    assert forge.taken(forge.token(header=head))
    assert not forge.taken(forge.token(header='{"alg": "none", ' + head[1:]))


def unsigned(forge: Forge, alg: str) -> str:
    """The part of a token that is signed, for another algorithm."""
    return f"{encoded(json.dumps(forge.header | {'alg': alg}).encode())}.{encoded(json.dumps(GOOD).encode())}"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ALGORITHM])
@pytest.mark.parametrize("signature", ["", "AA", encoded(b"\0" * 64), encoded(b"\xff" * 64)])
def test_no_signature(forge: Forge, alg: str, signature: str) -> None:
    """None at all, or one of nothing: also the pair of zeros that careless ECDSA code takes."""
    assert not forge.taken(f"{unsigned(forge, alg)}.{signature}")


@pytest.mark.parametrize("alg", ["HS256", ALGORITHM])
def test_the_public_key_is_no_secret(forge: Forge, alg: str) -> None:
    """Signed with HMAC, keyed with our public key in every form that it comes in."""
    public = forge.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    jwk = json.dumps(forge.signer.public_jwks[0]).encode()
    text = unsigned(forge, alg)
    for key in (pem, pem.strip(), der, point, jwk, forge.signer.key_id.encode(), b""):
        signature = hmac.new(key, text.encode(), hashlib.sha256).digest()
        assert not forge.taken(f"{text}.{encoded(signature)}")


def test_another_key(forge: Forge) -> None:
    """Another P-256 key under our key's id, another hash, or another encoding of a good signature."""
    text = unsigned(forge, ALGORITHM)
    assert forge.taken(f"{text}.{encoded(es256(forge.private, text))}")
    assert not forge.taken(f"{text}.{encoded(es256(ec.generate_private_key(ec.SECP256R1()), text))}")
    assert not forge.taken(f"{text}.{encoded(es256(forge.private, text, SHA384()))}")
    assert not forge.taken(f"{text}.{encoded(forge.private.sign(text.encode(), ec.ECDSA(SHA256())))}")
    assert not forge.taken(f"{text}.{encoded(es256(forge.private, text))}==")


def test_what_another_issuer_signed_with_our_key(signing: Path, forge: Forge) -> None:
    """A second deployment that shares the key file is not this one."""
    other = load_signer(signing / "jwt.pem", issuer="https://staging.label.example")
    assert not forge.taken(other.issue(WHO, now=NOW))


@given(index=st.integers(0, 10_000), character=st.sampled_from(ALPHABET + "=.+/ \n\0é"))
def test_a_changed_character(forge: Forge, index: int, character: str) -> None:
    """Anywhere: replaced, added or left out."""
    token = forge.token()
    index %= len(token)
    for forged in (
        token[:index] + character + token[index + 1 :],
        token[:index] + character + token[index:],
        token[:index] + token[index + 1 :],
    ):
        assert forged == token or not forge.taken(forged)


def test_the_spare_bits_at_the_end(forge: Forge) -> None:
    """64 bytes leave four bits of the last character without meaning: fifteen other characters, none taken."""
    token = forge.token()
    assert [last for last in ALPHABET if forge.taken(token[:-1] + last)] == [token[-1]]


PARTS = st.text(ALPHABET) | st.binary().map(encoded) | st.just(encoded(json.dumps(GOOD).encode()))


@given(st.text() | st.tuples(PARTS, PARTS, PARTS).map(".".join) | st.text(ALPHABET + ".="))
def test_random_text(forge: Forge, token: str) -> None:
    """`BadToken`, and no other error."""
    assert not forge.taken(token)


def test_longer_than_any_of_ours(forge: Forge) -> None:
    """Well signed, but too long to be looked at; and so are millions of dots."""
    padded = json.dumps(GOOD) + " " * LONGEST
    assert forge.taken(forge.token(claims=json.dumps(GOOD) + " " * 1000))
    assert not forge.taken(forge.token(claims=padded))
    assert not forge.taken("." * 5_000_000)
    assert not forge.taken("\ud800.a.b")


def test_the_signer_does_not_show_its_key(forge: Forge, signing: Path) -> None:
    """Printed, it shows what is public; the public key has no private number in it."""
    shown = repr(forge.signer)
    assert "PRIVATE" not in shown and "_private" not in shown
    assert set(forge.signer.public_jwks[0]) == {"crv", "kty", "x", "y", "kid", "use", "alg"}
    secret = forge.private.private_numbers().private_value
    assert encoded(secret.to_bytes(32, "big")) not in shown and str(secret) not in shown


def key_file(kind: str) -> bytes:
    """A file that is not an EC P-256 key in PEM without a password."""
    p256, plain = ec.generate_private_key(ec.SECP256R1()), NoEncryption()

    def pem(key: PrivateKeyTypes, locked: KeySerializationEncryption = plain) -> bytes:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)

    makers: dict[str, Callable[[], bytes]] = {
        "empty": lambda: b"",
        "text": lambda: b"canary, not a key",
        "binary": lambda: bytes(range(256)),
        "public": lambda: p256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": lambda: p256.private_bytes(Encoding.DER, PrivateFormat.PKCS8, plain),
        "password": lambda: pem(p256, BestAvailableEncryption(b"canary")),
        "P-384": lambda: pem(ec.generate_private_key(ec.SECP384R1())),
        "Ed25519": lambda: pem(ed25519.Ed25519PrivateKey.generate()),
        "RSA": lambda: pem(rsa.generate_private_key(65537, 2048)),
    }
    return makers[kind]()


@pytest.mark.parametrize("kind", ["empty", "text", "binary", "public", "der", "password", "P-384", "Ed25519", "RSA"])
def test_another_key_file_is_refused(tmp_path: Path, kind: str) -> None:
    """In a sentence that names the file."""
    path = tmp_path / "jwt.pem"
    path.write_bytes(key_file(kind))
    with pytest.raises(ValueError, match=r"jwt\.pem is not ") as refused:
        load_signer(path, issuer=ISSUER)
    assert "canary" not in str(refused.value)


def test_no_key_file(tmp_path: Path) -> None:
    """The system's own sentence names it."""
    with pytest.raises(OSError, match=r"jwt\.pem"):
        load_signer(tmp_path / "jwt.pem", issuer=ISSUER)
