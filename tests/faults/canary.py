"""Looks for secrets in everything that a run left behind, in eight encodings."""

import base64
from collections.abc import Callable, Iterable
from pathlib import Path

import pymongo
import redis
from bson.raw_bson import RawBSONDocument

from tests.faults.plant import Plant

SHORTEST = 12
"""Nothing shorter is a secret worth looking for."""


def _plain(secret: bytes) -> list[bytes]:
    return [secret]


def _reversed(secret: bytes) -> list[bytes]:
    return [secret[::-1]]


def _base64(secret: bytes) -> list[bytes]:
    """What stays the same at each of the three places that it may have in a longer text."""
    whole = [base64.b64encode(b"\0" * shift + secret) for shift in range(3)]
    return [text[(0, 2, 3)[shift] : len(text) - 4] for shift, text in enumerate(whole)]


def _base64_url(secret: bytes) -> list[bytes]:
    return [text.replace(b"+", b"-").replace(b"/", b"_") for text in _base64(secret)]


def _hex(secret: bytes) -> list[bytes]:
    return [secret.hex().encode(), secret.hex().upper().encode()]


def _percent(secret: bytes) -> list[bytes]:
    return ["".join(form.format(byte) for byte in secret).encode() for form in ("%{:02x}", "%{:02X}")]


def _unicode_escapes(secret: bytes) -> list[bytes]:
    return ["".join(form.format(byte) for byte in secret).encode() for form in ("\\u{:04x}", "\\u{:04X}")]


def _utf16(secret: bytes) -> list[bytes]:
    return [secret.decode("latin-1").encode("utf-16-le")]


ENCODINGS: dict[str, Callable[[bytes], list[bytes]]] = {
    "plain": _plain,
    "reversed": _reversed,
    "base64": _base64,
    "base64url": _base64_url,
    "hex": _hex,
    "percent": _percent,
    "unicode escapes": _unicode_escapes,
    "utf-16": _utf16,
}


def find(secrets: Iterable[str], places: dict[str, bytes]) -> list[str]:
    """Where which secret (by its number) is found, and how it is encoded."""
    found = []
    for number, secret in enumerate(secrets):
        if len(secret) < SHORTEST:
            raise ValueError("too short to look for")
        for encoding, encode in ENCODINGS.items():
            for needle in encode(secret.encode()):
                found += [
                    f"secret {number} in {place} as {encoding}" for place, held in places.items() if needle in held
                ]
    return found


def places(plant: Plant) -> dict[str, bytes]:
    """Everything that the database, Redis, the logs and the answers hold."""
    _written(plant)
    files = {name: plant.folder / name for name in ("mongodb", "valkey")}
    return {
        "the database's documents": _documents(plant),
        "the database's files": _files(files["mongodb"]),
        "Redis's log of every write": _files(files["valkey"]),
        "the API's log": plant.api.log.read_bytes(),
        "the worker's log": plant.worker.log.read_bytes(),
        "the answers": b"\n".join(plant.answers),
    }


def _written(plant: Plant) -> None:
    """Wait until Redis has its log on disk: it holds a write back while an earlier fsync still runs."""
    with redis.Redis.from_url(plant.redis.url) as client:
        client.incr("canary")
        client.delete("canary")
        assert client.execute_command("WAITAOF", 1, 0, 10_000)[0] == 1


def _documents(plant: Plant) -> bytes:
    with pymongo.MongoClient[RawBSONDocument](plant.database.url, document_class=RawBSONDocument) as client:
        db = client.get_default_database()
        return b"".join(doc.raw for name in db.list_collection_names() for doc in db[name].find())


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
