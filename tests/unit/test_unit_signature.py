"""Who sent a webhook: only what one of our secrets signed, byte for byte, is taken."""

import hashlib
import hmac
import json
import random
from collections.abc import Callable

import pytest

from app.services.webhooks.signature import is_signed

SECRET = b"soundops-test-secret-0001"
BODY = (
    rb'{"object":"instagram","entry":[{"time":1795420800123,"id":"17841400000000001","messaging":[{"sender":'
    rb'{"id":"900000000000011"},"recipient":{"id":"17841400000000001"},"timestamp":1795420799900,"message":'
    rb'{"mid":"aWdfZAexample01","text":"Caf\u00e9 \ud83c\udfb5 https:\/\/example.test"}}]}]}'
)
HEADER = b"sha256=0bd8d96ee49a00ad5972528c27d06b51acd899d18b249f8f44354ab92c71ae74"
SHA1 = b"sha1=ac1c679f7212349f2ca413a8cc585c2336a75e6b"
HEX = HEADER.removeprefix(b"sha256=")
DIGITS = "0123456789"
OTHER_DIGITS = ["٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"]
Mutation = Callable[[random.Random, bytes, bytes], tuple[bytes, list[bytes]]]


def digest(algorithm: str, body: bytes = BODY, secret: bytes = SECRET) -> bytes:
    """A signature in hex, with any algorithm."""
    return hmac.new(secret, body, algorithm).hexdigest().encode()


def flip(rng: random.Random, raw: bytes) -> bytes:
    """One bit changed."""
    index = rng.randrange(len(raw))
    return raw[:index] + bytes([raw[index] ^ 1 << rng.randrange(8)]) + raw[index + 1 :]


def some_of(rng: random.Random, raw: bytes, *, least: int = 0) -> bytes:
    """Its beginning, at least `least` bytes of it, and never all."""
    return raw[: rng.randrange(least, len(raw))]


def swapped(rng: random.Random, body: bytes) -> bytes:
    """Two different bytes of the body change places."""
    while True:
        first, second = sorted(rng.sample(range(len(body)), 2))
        if body[first] != body[second]:
            middle = body[first + 1 : second]
            return body[:first] + body[second : second + 1] + middle + body[first : first + 1] + body[second + 1 :]


def inserted(rng: random.Random, raw: bytes, *pieces: bytes) -> bytes:
    """One of the pieces somewhere inside, at the beginning or at the end."""
    index = rng.randrange(len(raw) + 1)
    return raw[:index] + rng.choice(pieces) + raw[index:]


def other_case(rng: random.Random, header: bytes) -> bytes:
    """Some of its letters as capitals."""
    letters = [index for index, byte in enumerate(header) if chr(byte).isalpha()]
    changed = bytearray(header)
    for index in rng.sample(letters, rng.randint(1, len(letters))):
        changed[index] = ord(chr(changed[index]).upper())
    return bytes(changed)


def other_digits(rng: random.Random, header: bytes) -> bytes:
    """One digit as another script writes it."""
    text = header.decode()
    index = rng.choice([index for index in range(7, len(text)) if text[index] in DIGITS])
    return (text[:index] + rng.choice(OTHER_DIGITS)[int(text[index])] + text[index + 1 :]).encode()


def rewritten(rng: random.Random, body: bytes) -> bytes:
    """The same JSON, as somebody else would write it."""
    value = json.loads(body)
    forms = [
        json.dumps(value),
        json.dumps(value, separators=(",", ":")),
        json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        json.dumps(value, indent=rng.randint(1, 8)),
        json.dumps(value, sort_keys=True, separators=(",", ":")),
    ]
    return rng.choice(forms).encode()


MUTATIONS: dict[str, Mutation] = {
    "a bit of the body": lambda rng, body, header: (flip(rng, body), [header]),
    "the body cut off": lambda rng, body, header: (some_of(rng, body), [header]),
    "more body": lambda rng, body, header: (inserted(rng, body, b" ", b"\n", b"\0", b"\xef\xbb\xbf", b"{}"), [header]),
    "bytes of the body swapped": lambda rng, body, header: (swapped(rng, body), [header]),
    "the body written anew": lambda rng, body, header: (rewritten(rng, body), [header]),
    "a bit of the header": lambda rng, body, header: (body, [flip(rng, header)]),
    "the header cut off": lambda rng, body, header: (body, [some_of(rng, header)]),
    "white space": lambda rng, body, header: (
        body,
        [inserted(rng, header, b" ", b"\t", b"\n", b"\r\n", b"\0", b"\xc2\xa0")],
    ),
    "more header": lambda rng, body, header: (
        body,
        [header + rng.choice([b"0", b",", header, b"," + header, b";v=1"])],
    ),
    "other case": lambda rng, body, header: (body, [other_case(rng, header)]),
    "other digits": lambda rng, body, header: (body, [other_digits(rng, header)]),
    "two headers": lambda rng, body, header: (body, rng.sample([header, rng.choice([header, b"", SHA1])], 2)),
    "no header": lambda rng, body, header: (body, rng.choice([[], [b""], [b"sha256="], [HEX], [b"=" + HEX]])),
    "another algorithm": lambda rng, body, header: (
        body,
        [
            rng.choice([b"sha256=", b"sha512=", b"sha1=", b"md5=", b"none="])
            + digest(rng.choice(["sha1", "sha512", "md5", "sha384", "sha3_256"]))
        ],
    ),
    "another prefix": lambda rng, body, header: (
        body,
        [rng.choice([b"sha512=", b"sha1=", b"SHA256=", b"sha-256=", b"sha256:", b"hmac-sha256="]) + HEX],
    ),
    "another secret": lambda rng, body, header: (
        body,
        [b"sha256=" + digest("sha256", secret=rng.choice([b"", SECRET + b"\0x", SECRET[:-1], SECRET.upper()]))],
    ),
    "no secret": lambda rng, body, header: (
        body,
        [b"sha256=" + hashlib.sha256(rng.choice([body, SECRET + body])).hexdigest().encode()],
    ),
}


def test_the_vector() -> None:
    """What Meta sends, byte for byte (meta-platform.md, section 2.3)."""
    assert len(BODY) == 286
    assert is_signed(BODY, [HEADER], [SECRET])


@pytest.mark.parametrize("position", [0, 1, 2])
def test_any_of_our_secrets(position: int) -> None:
    """During a rotation the newest, the one before, and the Facebook app's all count."""
    secrets = [b"another-secret-0001", b"another-secret-0002"]
    secrets.insert(position, SECRET)
    assert is_signed(BODY, [HEADER], secrets)
    assert not is_signed(BODY, [HEADER], [secret for secret in secrets if secret != SECRET])


def test_without_secrets_nothing_is_signed() -> None:
    """No secret is not a pass, whatever comes."""
    for headers in ([], [b""], [HEADER], [b"sha256="]):
        assert not is_signed(BODY, headers, [])


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_thousand_mutations(kind: str) -> None:
    """1,003 of them over all kinds, seeded: none is taken."""
    rng = random.Random(f"mutations of {kind}")
    taken = []
    for _ in range(59):
        body, headers = MUTATIONS[kind](rng, BODY, HEADER)
        assert (body, headers) != (BODY, [HEADER])
        if is_signed(body, headers, [SECRET]):
            taken.append((body, headers))
    assert taken == []


@pytest.mark.parametrize("text", ["", "☃", "Café 🎵"])
def test_any_body_is_hashed_as_it_is(text: str) -> None:
    """An empty one and one that is no JSON, too."""
    body = text.encode()
    header = b"sha256=" + digest("sha256", body)
    assert is_signed(body, [header], [SECRET])
    assert not is_signed(body + b"x", [header], [SECRET])
