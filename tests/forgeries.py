"""Forged access tokens: each is good but for one thing. What a forger could have: our public key, and good tokens.

Those that are well signed show that the signature alone is not enough: another part of ours, or a mistake, could sign.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from app.services.tokens import AUDIENCE, CLIENT_AUDIENCE, CLIENT_TYPE, LIFE, LONGEST, TYPE, load_signer

Kind = Literal["person", "client"]
Doc = dict[str, Any]
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
TIMES = ("iat", "exp")


def encoded(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Forger:
    """Has our own signing key, and what is true of a person or a client."""

    def __init__(self, key_file: Path, kind: Kind, *, issuer: str, at: int, own: Mapping[str, str]) -> None:
        """`own` are the claims that say who it is; `at` is the present, in seconds since 1970."""
        key = load_pem_private_key(key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.key, self.at = key, at
        self.signer = load_signer(key_file, issuer=issuer)
        typ, audience = (TYPE, AUDIENCE) if kind == "person" else (CLIENT_TYPE, CLIENT_AUDIENCE)
        self.other = (CLIENT_TYPE, CLIENT_AUDIENCE) if kind == "person" else (TYPE, AUDIENCE)
        self.header: Doc = {"alg": "ES256", "typ": typ, "kid": self.signer.key_id}
        times = {"iat": at, "exp": at + int(LIFE.total_seconds())}
        self.claims: Doc = {"iss": issuer, "aud": audience, **own, **times, "jti": "01k9zv3t5wxq8m2c4d6f7g9h1j"}

    def good(self) -> str:
        """One that is as it should be."""
        return self.signed(self.header, self.claims)

    def signed(self, header: Doc | str, claims: Doc | str, key: ec.EllipticCurvePrivateKey | None = None) -> str:
        """Signed with ES256, whatever the header says; text stands for the JSON itself."""
        text = _text(header, claims)
        r, s = decode_dss_signature((key or self.key).sign(text.encode(), ec.ECDSA(SHA256())))
        return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def all(self) -> Iterator[tuple[str, str]]:
        """Each forgery, by a name."""
        for part in (self._algorithms, self._headers, self._claims, self._times, self._json, self._writing):
            yield from part()

    def _algorithms(self) -> Iterator[tuple[str, str]]:
        """No signature, and HMAC keyed with what is public."""
        _, _, signature = self.good().split(".")
        for alg in ("none", "None", "NONE", "nOnE", "none ", "", "ES256"):
            for end in ("", "AA", encoded(b"\0" * 64), signature):
                if (alg, end) != ("ES256", signature):
                    yield f"alg {alg!r} signed {end[:4]!r}", f"{_text(self.header | {'alg': alg}, self.claims)}.{end}"
        for alg, digest in HASHES.items():
            for name, secret in self._public_forms().items():
                text = _text(self.header | {"alg": alg}, self.claims)
                yield f"{alg} with {name}", f"{text}.{encoded(hmac.new(secret, text.encode(), digest).digest())}"
        for other in ("ES384", "ES512", "ES256K", "EdDSA", "RS256", "PS256", "es256", "HS256", None, 5, ["ES256"]):
            yield f"alg {other} signed by us", self.signed(self.header | {"alg": other}, self.claims)

    def _public_forms(self) -> dict[str, bytes]:
        public = self.key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return {
            "PEM": pem,
            "PEM without its last line's end": pem.strip(),
            "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "point": public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
            "JWK": json.dumps(self.signer.public_jwks[0]).encode(),
            "kid": self.signer.key_id.encode(),
            "nothing": b"",
        }

    def _headers(self) -> Iterator[tuple[str, str]]:
        for name in self.header:
            yield f"no {name}", self.signed(_without(self.header, name), self.claims)
        for kid in ("k1", "", None, ["x"], {"a": 1}, 0, "../../../dev/null", "' or 1=1 --", self.signer.key_id[:-1]):
            yield f"kid {kid}", self.signed(self.header | {"kid": kid}, self.claims)
        for typ in ("JWT", "jwt", self.other[0], self.header["typ"].upper(), "application/at+jwt", "", None):
            yield f"typ {typ}", self.signed(self.header | {"typ": typ}, self.claims)
        own = ec.generate_private_key(ec.SECP256R1())
        numbers = own.public_key().public_numbers()
        x, y = (encoded(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        more: Doc = {"jku": "https://evil.example/jwks", "x5u": "https://evil.example/cert", "jwk": jwk, "x5c": ["AA"]}
        for name, value in more.items():
            yield f"{name} with its own key", self.signed(self.header | {name: value}, self.claims, own)
        more |= {"crit": ["exp"], "zip": "DEF", "enc": "A256GCM", "cty": "JWT", "b64": False, "ALG": "none"}
        for name, value in more.items():
            yield f"{name} signed by us", self.signed(self.header | {name: value}, self.claims)
        yield "another key", self.signed(self.header, self.claims, own)

    def _claims(self) -> Iterator[tuple[str, str]]:
        for name in self.claims:
            yield f"no {name}", self.signed(self.header, _without(self.claims, name))
        for name in self.claims.keys() - set(TIMES):
            for value in ("", None, 5, True, [self.claims[name]], {"$ne": ""}):
                yield f"{name} {value}", self.signed(self.header, self.claims | {name: value})
        changes: list[Doc] = [
            {"aud": self.other[1]},
            {"aud": "other-api"},
            {"iss": "https://evil.example"},
            {"iss": self.claims["iss"] + "/"},
            {"nbf": self.at + 3600},
            {"nbf": self.at - 3600},
            *({name: "x"} for name in ("sid", "scope", "label", "key", "azp", "Sub") if name not in self.claims),
        ]
        for change in changes:
            yield f"claims {change}", self.signed(self.header, self.claims | change)
        as_other = _other_claims(self.claims) | {"aud": self.other[1]}
        yield "the other kind's claims", self.signed(self.header, as_other)
        yield (
            "the other kind's typ and audience",
            self.signed(self.header | {"typ": self.other[0]}, self.claims | {"aud": self.other[1]}),
        )

    def _times(self) -> Iterator[tuple[str, str]]:
        at, end = self.at, self.at + int(LIFE.total_seconds())
        changes: list[Doc] = [
            {"iat": at - 3600, "exp": at - 2700},
            {"exp": at - 60, "iat": at - 600},
            {"iat": at + 600, "exp": end + 600},
            {"exp": end + 60},
            {"exp": at + 10**9},
            {"exp": 10**30},
            {"iat": 0},
            {"exp": -1},
            *({name: convert(self.claims[name])} for name in TIMES for convert in (float, str, bool, _listed)),
        ]
        for change in changes:
            yield f"times {change}", self.signed(self.header, self.claims | change)
        for text in ("NaN", "Infinity", "1e400", "9" * 300, f"{end}.0", f"{end}e0"):
            body = json.dumps(self.claims).replace(str(end), text)
            yield f"exp {text[:12]}", self.signed(self.header, body)

    def _json(self) -> Iterator[tuple[str, str]]:
        head, body = json.dumps(self.header), json.dumps(self.claims)
        for name in self.claims:
            yield f"claim {name} twice", self.signed(self.header, f'{{"{name}": "other", {body[1:]}')
            yield (
                f"claim {name} twice, the same",
                self.signed(self.header, f'{{"{name}": {json.dumps(self.claims[name])}, {body[1:]}'),
            )
        yield "claim written otherwise twice", self.signed(self.header, body[:-1] + ', "\\u0073ub": "usr_2"}')
        for name, value in (("alg", "none"), ("typ", "JWT"), ("kid", "other"), ("alg", "ES256")):
            yield f"header {name} twice, {value}", self.signed(f'{{"{name}": "{value}", {head[1:]}', self.claims)
        for name, text in {"list": f"[{body}]", "null": "null", "text": '"x"', "none": "", "open": body[:-1]}.items():
            yield f"claims as {name}", self.signed(self.header, text)
            yield f"header as {name}", self.signed(text, self.claims)
        yield "claims of brackets", self.signed(self.header, "[" * 2500)
        yield "oversized by claims", self.signed(self.header, body + " " * LONGEST)
        yield "oversized by header", self.signed(head + " " * LONGEST, self.claims)

    def _writing(self) -> Iterator[tuple[str, str]]:
        """Other ways to write it, parts of it, and encrypted ones."""
        good = self.good()
        parts = good.split(".")
        for place, part in enumerate(parts):
            for name, other in (("padded", part + "="), ("spaced", f"{part[:5]} {part[5:]}"), ("starred", part + "*")):
                yield f"part {place} {name}", ".".join([*parts[:place], other, *parts[place + 1 :]])
            if len(part) % 4:  # the last character has bits without meaning
                last = ALPHABET[ALPHABET.index(part[-1]) + 1]
                yield f"part {place} with spare bits", ".".join([*parts[:place], part[:-1] + last, *parts[place + 1 :]])
            yield f"without part {place}", ".".join(parts[:place] + parts[place + 1 :])
        for cut in (1, 2, 3, 10, 43, 86, len(parts[2]) + 1, len(good) // 2):
            yield f"cut by {cut}", good[:-cut]
        yield "nothing", ""
        yield "dots", ".."
        yield "a part more", good + ".AA"
        yield "twice", f"{good}.{good}"
        jwe = encoded(json.dumps({"alg": "dir", "enc": "A256GCM", "kid": self.signer.key_id}).encode())
        yield "JWE", f"{jwe}..{encoded(b'0' * 12)}.{parts[1]}.{encoded(b'0' * 16)}"
        yield "JWE in three parts", f"{jwe}.{parts[1]}.{parts[2]}"
        yield "another's signature", f"{parts[0]}.{parts[1]}.{self.signed(self.header, {}).split('.')[2]}"


def _text(header: Doc | str, claims: Doc | str) -> str:
    written = (part if isinstance(part, str) else json.dumps(part) for part in (header, claims))
    return ".".join(encoded(part.encode()) for part in written)


def _without(good: Doc, name: str) -> Doc:
    return {key: value for key, value in good.items() if key != name}


def _listed(value: int) -> list[int]:
    return [value]


def _other_claims(claims: Doc) -> Doc:
    """The same times, with the names that the other kind has."""
    common = {name: claims[name] for name in ("iss", "sub", "iat", "exp", "jti")}
    return common | ({"label": "lbl_1", "key": "key_1", "scope": "label:read"} if "sid" in claims else {"sid": "ses_1"})
