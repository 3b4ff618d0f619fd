"""Access tokens: short-lived JWTs, signed with ES256 and nothing else. The only module that knows python-jose.

There are two kinds, for people and for partners' API clients. Each has its own `typ`, its own audience and its exact
set of claims, so that neither can be taken for the other. Receipts and attestations, which the same key signs, have
a `typ` of their own each, and neither audience nor claims: they can be taken for none of them.

The library ignores `kid`, `typ` and `crit`, accepts tokens without `exp` or `aud`, and takes keys in forms that allow
key confusion; so everything is checked here first (reference: stack.md, section 8).
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jose import jwk, jws, jwt
from jose.exceptions import JOSEError
from ulid import ULID

ALGORITHM = "ES256"
TYPE, AUDIENCE = "at+jwt", "soundops-api"
CLIENT_TYPE, CLIENT_AUDIENCE = "client+jwt", "soundops-partners"
RECEIPT_TYPE = "soundops-receipt+jws"
ATTESTATION_TYPE = "soundops-attestation+jws"
LIFE = timedelta(minutes=15)
LONGEST = 4096
LEEWAY_S = 10
ENDED = "The token has ended or was revoked"
"""What is told of one that is not good, whatever is wrong with it."""
HEADER = {"alg", "typ", "kid"}
CLAIMS = {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}
CLIENT_CLAIMS = {"iss", "aud", "sub", "label", "key", "scope", "iat", "exp", "jti"}
KINDS = {TYPE: (AUDIENCE, CLAIMS), CLIENT_TYPE: (CLIENT_AUDIENCE, CLIENT_CLAIMS)}


class BadToken(Exception):
    """Not an access token of ours, or no longer one. Which of the two is not told."""


@dataclass(frozen=True)
class Claims:
    """Whose token it is."""

    user_id: str
    session_id: str
    expires_at: datetime | None = field(default=None, compare=False)
    """When the token ends; none before it is one."""


@dataclass(frozen=True)
class ClientClaims:
    """Which API client's token it is, and what it was issued for."""

    client_id: str
    label_id: str
    key_id: str
    """The secret that it was given for."""
    scopes: frozenset[str]
    token_id: str
    expires_at: datetime
    """In whole seconds, at most `LIFE` after it was issued."""


@dataclass(frozen=True)
class Signer:
    """Signs with one key; verifies with it, and with another during a rotation."""

    issuer: str
    key_id: str
    public_jwks: list[dict[str, str]]
    """Of every key whose tokens are taken; the signing one first."""
    _private: Any = field(repr=False)
    _public: Mapping[str, Any] = field(repr=False)
    """By key id."""

    def issue(self, claims: Claims, *, now: datetime) -> str:
        """A person's token, of `LIFE`."""
        issued = int(now.timestamp())
        own = {"sub": claims.user_id, "sid": claims.session_id, "jti": new_token_id()}
        return self._sign(TYPE, own | {"iat": issued, "exp": issued + int(LIFE.total_seconds())})

    def issue_for_client(self, claims: ClientClaims, *, now: datetime) -> str:
        """An API client's token, of exactly these claims."""
        own = {"sub": claims.client_id, "label": claims.label_id, "key": claims.key_id, "jti": claims.token_id}
        times = {"iat": int(now.timestamp()), "exp": int(claims.expires_at.timestamp())}
        return self._sign(CLIENT_TYPE, own | times | {"scope": " ".join(sorted(claims.scopes))})

    def _sign(self, kind: str, claims: dict[str, Any]) -> str:
        payload = {"iss": self.issuer, "aud": KINDS[kind][0]} | claims
        return jwt.encode(payload, self._private, ALGORITHM, headers={"typ": kind, "kid": self.key_id})

    def sign_receipt(self, receipt: Mapping[str, Any]) -> str:
        """A receipt as a compact JWS (RFC 7515) over its JSON."""
        return self._sign_document(RECEIPT_TYPE, receipt)

    def sign_attestation(self, attestation: Mapping[str, Any]) -> str:
        """An attestation of the promises, in the same way."""
        return self._sign_document(ATTESTATION_TYPE, attestation)

    def _sign_document(self, kind: str, document: Mapping[str, Any]) -> str:
        headers = {"typ": kind, "kid": self.key_id}
        return jws.sign(dict(document), self._private, headers=headers, algorithm=ALGORITHM)

    def verify(self, token: str, *, now: datetime) -> Claims | ClientClaims:
        """Whose token it is. Raises `BadToken` for anything that `issue` and `issue_for_client` did not make."""
        if len(token) > LONGEST or not token.isascii() or token.count(".") != 2:
            raise BadToken
        head, body, signature = token.split(".")
        if not all(_is_canonical(part) for part in (head, body, signature)):
            raise BadToken
        header, payload = _json_part(head), _json_part(body)
        if set(header) != HEADER or not all(isinstance(value, str) for value in header.values()):
            raise BadToken
        kind, public = header["typ"], self._public.get(header["kid"])
        if header["alg"] != ALGORITHM or kind not in KINDS or public is None:
            raise BadToken
        self._check_claims(kind, payload, now)
        try:
            jwt.decode(token, public, algorithms=[ALGORITHM], options={"verify_aud": False, "verify_exp": False})
        except (JOSEError, ValueError, TypeError, AttributeError) as exc:
            raise BadToken from exc
        if kind == CLIENT_TYPE:
            return _client_claims(payload)
        return Claims(payload["sub"], payload["sid"], datetime.fromtimestamp(payload["exp"], UTC))

    def _check_claims(self, kind: str, payload: dict[str, Any], now: datetime) -> None:
        audience, names = KINDS[kind]
        if set(payload) != names or payload["iss"] != self.issuer or payload["aud"] != audience:
            raise BadToken
        times = (payload["iat"], payload["exp"])
        if any(type(value) is not int for value in times) or not all(
            isinstance(payload[name], str) and payload[name] for name in names - {"iat", "exp"}
        ):
            raise BadToken
        at = now.astimezone(UTC).timestamp()
        if not (times[0] - LEEWAY_S <= at < times[1] + LEEWAY_S and times[1] - times[0] <= LIFE.total_seconds()):
            raise BadToken


def read_receipt(receipt: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """What a receipt says, if a key of this JWKS has signed it. Raises `BadToken` for anything else."""
    return _read_document(RECEIPT_TYPE, receipt, jwks)


def read_attestation(attestation: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """What an attestation says, if a key of this JWKS has signed it. Raises `BadToken` for anything else."""
    return _read_document(ATTESTATION_TYPE, attestation, jwks)


def payload_of(document: str) -> dict[str, Any]:
    """What a document would say, if its signature is good, which is for the caller to look at. Raises `BadToken`."""
    if document.count(".") != 2:
        raise BadToken
    return _json_part(document.split(".")[1])


def _read_document(kind: str, document: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    if not document.isascii() or document.count(".") != 2 or not all(map(_is_canonical, document.split("."))):
        raise BadToken
    header = _json_part(document.split(".")[0])
    if set(header) != HEADER or (header["alg"], header["typ"]) != (ALGORITHM, kind):
        raise BadToken
    known = [key for key in jwks.get("keys", []) if key.get("kid") == header["kid"] and key.get("kty") == "EC"]
    if not known:
        raise BadToken
    try:
        jws.verify(document, jwk.construct(known[0], ALGORITHM), [ALGORITHM])
    except (JOSEError, ValueError, TypeError, AttributeError) as exc:
        raise BadToken from exc
    return _json_part(document.split(".")[1])


def new_token_id() -> str:
    """A `jti`: unique everywhere."""
    return str(ULID()).lower()


def load_signer(path: Path, *, issuer: str, other: Path | None = None) -> Signer:
    """Read the private key (EC P-256, PEM), and the `other` whose tokens are taken too.

    Raises `ValueError` or `OSError` with a sentence that names the file.
    """
    public_jwks = [_public_jwk(_load(found)) for found in (path, other) if found is not None]
    public = {found["kid"]: jwk.construct(found, ALGORITHM) for found in public_jwks}
    private = jwk.construct(path.read_text(), ALGORITHM)
    return Signer(issuer, public_jwks[0]["kid"], public_jwks, private, public)


def _load(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError(f"{path} is not a private key in PEM without a password") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{path} is not an EC P-256 key")
    return key.public_key()


def _public_jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = public.public_numbers()
    coordinates = {"crv": "P-256", "kty": "EC", "x": _b64(numbers.x), "y": _b64(numbers.y)}
    thumbprint = hashlib.sha256(json.dumps(coordinates, separators=(",", ":"), sort_keys=True).encode()).digest()
    key_id = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()  # RFC 7638
    return coordinates | {"kid": key_id, "use": "sig", "alg": ALGORITHM}


def _client_claims(payload: dict[str, Any]) -> ClientClaims:
    scopes = frozenset(payload["scope"].split(" "))
    if " ".join(sorted(scopes)) != payload["scope"]:  # written in another way than ours
        raise BadToken
    expires_at = datetime.fromtimestamp(payload["exp"], UTC)
    return ClientClaims(
        payload["sub"], payload["label"], payload["key"], scopes, token_id=payload["jti"], expires_at=expires_at
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
