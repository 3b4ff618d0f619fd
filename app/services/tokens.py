"""Access tokens: short-lived JWTs, signed with ES256 and nothing else. The only module that knows python-jose.

The library ignores `kid`, `typ` and `crit`, accepts tokens without `exp` or `aud`, and takes keys in forms that allow
key confusion; so everything is checked here first (reference: stack.md, section 8).
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jose import jwk, jwt
from jose.exceptions import JOSEError
from ulid import ULID

ALGORITHM, TYPE, AUDIENCE = "ES256", "at+jwt", "soundops-api"
LIFE = timedelta(minutes=15)
LONGEST = 4096
LEEWAY_S = 10
HEADER = {"alg", "typ", "kid"}
CLAIMS = {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}


class BadToken(Exception):
    """Not an access token of ours, or no longer one. Which of the two is not told."""


@dataclass(frozen=True)
class Claims:
    """Whose token it is."""

    user_id: str
    session_id: str


@dataclass(frozen=True)
class ClientClaims:
    """Which API client's token it is, and what it was issued for."""

    client_id: str
    label_id: str
    key_id: str
    """The secret that it was given for."""
    scopes: frozenset[str]
    token_id: str


@dataclass(frozen=True)
class Signer:
    """Signs and verifies with one key."""

    issuer: str
    key_id: str
    public_jwk: dict[str, str]
    _private: Any = field(repr=False)
    _public: Any = field(repr=False)

    def issue(self, claims: Claims, *, now: datetime) -> str:
        """A token of `LIFE`."""
        issued = int(now.timestamp())
        payload = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": claims.user_id,
            "sid": claims.session_id,
            "iat": issued,
            "exp": issued + int(LIFE.total_seconds()),
            "jti": str(ULID()).lower(),
        }
        return jwt.encode(payload, self._private, ALGORITHM, headers={"typ": TYPE, "kid": self.key_id})

    def verify(self, token: str, *, now: datetime) -> Claims | ClientClaims:
        """Whose token it is. Raises `BadToken` for anything that `issue` did not make."""
        if len(token) > LONGEST or not token.isascii() or token.count(".") != 2:
            raise BadToken
        head, body, signature = token.split(".")
        if not _is_canonical(signature):
            raise BadToken
        header, payload = _json_part(head), _json_part(body)
        if set(header) != HEADER or (header["alg"], header["typ"], header["kid"]) != (ALGORITHM, TYPE, self.key_id):
            raise BadToken
        self._check_claims(payload, now)
        try:
            jwt.decode(token, self._public, algorithms=[ALGORITHM], options={"verify_aud": False, "verify_exp": False})
        except (JOSEError, ValueError, TypeError, AttributeError) as exc:
            raise BadToken from exc
        return Claims(user_id=payload["sub"], session_id=payload["sid"])

    def _check_claims(self, payload: dict[str, Any], now: datetime) -> None:
        if set(payload) != CLAIMS or payload["iss"] != self.issuer or payload["aud"] != AUDIENCE:
            raise BadToken
        times = (payload["iat"], payload["exp"])
        if any(type(value) is not int for value in times) or not all(
            isinstance(payload[name], str) and payload[name] for name in ("sub", "sid", "jti")
        ):
            raise BadToken
        at = now.astimezone(UTC).timestamp()
        if not (times[0] - LEEWAY_S <= at < times[1] + LEEWAY_S and times[1] - times[0] <= LIFE.total_seconds()):
            raise BadToken


def load_signer(path: Path, *, issuer: str) -> Signer:
    """Read the private key (EC P-256, PEM). Raises `ValueError` or `OSError` with a sentence that names the file."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError(f"{path} is not a private key in PEM without a password") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{path} is not an EC P-256 key")
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    numbers = public.public_numbers()
    coordinates = {"crv": "P-256", "kty": "EC", "x": _b64(numbers.x), "y": _b64(numbers.y)}
    thumbprint = hashlib.sha256(json.dumps(coordinates, separators=(",", ":"), sort_keys=True).encode()).digest()
    key_id = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()  # RFC 7638
    public_jwk = coordinates | {"kid": key_id, "use": "sig", "alg": ALGORITHM}
    private = jwk.construct(path.read_text(), ALGORITHM)
    return Signer(
        issuer=issuer, key_id=key_id, public_jwk=public_jwk, _private=private, _public=jwk.construct(pem, ALGORITHM)
    )


def _b64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def _is_canonical(part: str) -> bool:
    """Whether this is the one way to write these bytes; the library takes others."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return False
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == part


def _json_part(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as exc:
        raise BadToken from exc
    if not isinstance(value, dict):
        raise BadToken
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("duplicate names")
    return value
