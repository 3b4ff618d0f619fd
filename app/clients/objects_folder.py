"""The storage in a folder of this machine, for development: the same limits as S3's, which our own routes enforce.

An upload is a form as S3 takes it: `key`, `Content-Type`, `policy` (S3's own policy document) and a signature over it.
A link carries its end, its type and its name in the query, and a signature over all of it. `app/storage_routes.py`
serves both.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from app.clients.objects import CHUNK, Limits, ObjectMissing, ObjectTaken, Stored, Upload, write_down
from app.models.base import rfc3339

PATH = "/v1/storage"
KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
"""No part of a key begins with a dot: none leads out of the folder, none is one of our own files."""
SIGNATURE = "x-soundops-signature"
TYPE_FILE = ".type"
MOST_LISTED = 1000


FIELDS = frozenset(("key", "Content-Type", "policy", SIGNATURE))
"""Of a form, beside its file."""


class BadSignature(Exception):
    """It was not given like this, or has ended."""


@dataclass(frozen=True)
class Allowed:
    """What a signed form lets in."""

    key: str
    content_type: str
    least_bytes: int
    most_bytes: int


@dataclass(frozen=True)
class Folder:
    """A storage in a folder."""

    root: Path
    base_url: str
    """Where our own routes are."""
    secret: bytes = field(repr=False)

    async def presign_upload(self, key: str, limits: Limits, *, now: datetime) -> Upload:
        """Sign a POST policy."""
        policy = {
            "expiration": rfc3339(now + limits.lasts),
            "conditions": [
                {"key": key},
                {"Content-Type": limits.content_type},
                ["content-length-range", 1, limits.most_bytes],
            ],
        }
        encoded = base64.b64encode(json.dumps(policy).encode()).decode()
        fields = {"key": key, "Content-Type": limits.content_type, "policy": encoded}
        return Upload(self.base_url + PATH, fields | {SIGNATURE: self._sign("upload", encoded)})

    def check_upload(self, fields: Mapping[str, str], *, now: datetime) -> Allowed:
        """What a form lets in. Raises `BadSignature` unless it is as it was given, and has not ended."""
        policy = fields.get("policy", "")
        if not hmac.compare_digest(self._sign("upload", policy).encode(), fields.get(SIGNATURE, "").encode()):
            raise BadSignature
        try:
            told: Any = json.loads(base64.b64decode(policy, validate=True))
        except (ValueError, binascii.Error):
            raise BadSignature from None
        key, content_type, (_, least, most) = told["conditions"]
        given = {"key": fields.get("key"), "Content-Type": fields.get("Content-Type")}
        named = fields.keys() <= FIELDS
        if not named or given != key | content_type or now >= datetime.fromisoformat(told["expiration"]):
            raise BadSignature
        return Allowed(key["key"], content_type["Content-Type"], least, most)

    async def link(self, key: str, *, content_type: str, filename: str, lasts: timedelta, now: datetime) -> str:
        """Sign an address of our own."""
        told = {"expires": str(int((now + lasts).timestamp())), "type": content_type, "name": filename}
        signature = self._sign("link", key, *told.values())
        return f"{self.base_url}{PATH}/{quote(key)}?{urlencode(told | {'signature': signature})}"

    def check_link(self, key: str, query: Mapping[str, str], *, now: datetime) -> tuple[str, str]:
        """The type and the name of a link. Raises `BadSignature` unless it is as it was given, and has not ended."""
        told = [query.get(name, "") for name in ("expires", "type", "name")]
        wanted = self._sign("link", key, *told)
        if not hmac.compare_digest(wanted.encode(), query.get("signature", "").encode()):
            raise BadSignature
        if now.timestamp() >= int(told[0]):
            raise BadSignature
        return told[1], told[2]

    def path_of(self, key: str) -> Path:
        """Where an object lies. Raises `ValueError` for what is no key of ours."""
        if not KEY.fullmatch(key):
            raise ValueError("no key")
        return self.root / "objects" / key

    def new_upload(self, name: str) -> Path:
        """A file for something that arrives. It is not an object yet."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / name

    def keep_upload(self, arrived: Path, allowed: Allowed) -> None:
        """Make what has arrived the object. As in S3, a second upload takes the place of the first."""
        target = self.path_of(allowed.key)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _type_file(target).write_text(allowed.content_type)
        arrived.replace(target)

    async def look(self, key: str) -> Stored | None:
        """Its size and type."""
        return await asyncio.to_thread(_look, self.path_of(key))

    async def fetch(self, key: str, to: Path, *, most_bytes: int) -> str:
        """Copy it."""
        source = self.path_of(key)
        if not source.is_file():
            raise ObjectMissing("missing")
        return await write_down(_pieces(source), to, most_bytes=most_bytes)

    async def put(self, key: str, source: Path, *, content_type: str, sha256: str) -> None:
        """Copy it in, and give it its name only if nothing has it."""
        await asyncio.to_thread(self._put, key, source, content_type, sha256)

    def _put(self, key: str, source: Path, content_type: str, sha256: str) -> None:
        target = self.path_of(key)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        arrived = self.new_upload(f"put-{os.urandom(12).hex()}")
        try:
            shutil.copyfile(source, arrived)
            if digest_of(arrived) != sha256:
                raise ObjectTaken("the digest differs")
            _type_file(target).write_text(content_type)
            os.link(arrived, target)
        except FileExistsError:
            if digest_of(target) != sha256:
                raise ObjectTaken("taken") from None
        finally:
            arrived.unlink(missing_ok=True)

    async def begin_parts(self, key: str, *, content_type: str) -> str:
        """A folder for the parts."""
        upload_id = os.urandom(12).hex()
        place = self._parts_of(key, upload_id)
        await asyncio.to_thread(place.mkdir, parents=True, mode=0o700)
        await asyncio.to_thread((place / TYPE_FILE).write_text, content_type)
        return upload_id

    async def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """A file in it."""
        try:
            await asyncio.to_thread((self._parts_of(key, upload_id) / f"{number:05}").write_bytes, data)
        except FileNotFoundError:
            raise ObjectMissing("no upload") from None
        return f"{number:05}"

    async def finish_parts(self, key: str, upload_id: str, tags: Sequence[str]) -> None:
        """Put them together, and give the whole its name."""
        await asyncio.to_thread(self._finish_parts, self.path_of(key), self._parts_of(key, upload_id), tags)

    def _finish_parts(self, target: Path, place: Path, tags: Sequence[str]) -> None:
        whole = place / "whole"
        try:
            with whole.open("wb") as file:
                for tag in tags:
                    with (place / tag).open("rb") as part:
                        shutil.copyfileobj(part, file)
            content_type = (place / TYPE_FILE).read_text()
        except FileNotFoundError:
            raise ObjectMissing("no upload") from None
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _type_file(target).write_text(content_type)
        whole.replace(target)
        shutil.rmtree(place)

    async def abort_parts_below(self, prefix: str) -> int:
        """Delete their folders."""
        found = await asyncio.to_thread(lambda: list(self._incoming_parts().glob(f"{_flat(prefix)}*")))
        for place in found:
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        return len(found)

    async def read(self, key: str, start: int, size: int) -> bytes:
        """Read it there."""
        return await asyncio.to_thread(_read, self.path_of(key), start, size)

    def _incoming_parts(self) -> Path:
        return self.root / "incoming-parts"

    def _parts_of(self, key: str, upload_id: str) -> Path:
        self.path_of(key)
        return self._incoming_parts() / f"{_flat(key)}~{upload_id}"

    async def delete(self, key: str) -> None:
        """Delete it and its type, and the folders that it leaves empty."""
        await asyncio.to_thread(self._delete, self.path_of(key))

    def _delete(self, target: Path) -> None:
        for path in (target, _type_file(target)):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or gone
            for folder in target.relative_to(self.root / "objects").parents:
                if str(folder) != ".":
                    (self.root / "objects" / folder).rmdir()

    async def delete_below(self, prefix: str) -> int:
        """Delete a folder of objects."""
        return await asyncio.to_thread(self._delete_below, self.path_of(prefix.rstrip("/")))

    def _delete_below(self, folder: Path) -> int:
        found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        for path in found:
            self._delete(path)
        shutil.rmtree(folder, ignore_errors=True)
        return len(found)

    async def keys_below(self, prefix: str, *, after: str = "") -> list[str]:
        """Look for them."""
        return await asyncio.to_thread(self._keys_below, prefix, after)

    def _keys_below(self, prefix: str, after: str) -> list[str]:
        objects = self.root / "objects"
        there = (path for path in (objects / prefix).rglob("*") if path.is_file() and not path.name.startswith("."))
        found = sorted(str(path.relative_to(objects)) for path in there)
        return [key for key in found if key > after][:MOST_LISTED]

    async def parts_below(self, prefix: str) -> list[str]:
        """Look for their folders."""
        begun = await asyncio.to_thread(lambda: list(self._incoming_parts().glob(f"{_flat(prefix)}*")))
        return [path.name.rpartition("~")[0].replace("~", "/") for path in begun]

    async def close(self) -> None:
        """Nothing is open."""

    def _sign(self, *told: str) -> str:
        return hmac.digest(self.secret, json.dumps(told).encode(), "sha256").hex()


def _type_file(target: Path) -> Path:
    return target.with_name(f".{target.name}{TYPE_FILE}")


def _flat(key: str) -> str:
    """The key as one name: keys hold no `~`."""
    return key.replace("/", "~")


def _read(source: Path, start: int, size: int) -> bytes:
    try:
        with source.open("rb") as file:
            file.seek(start)
            return file.read(size)
    except FileNotFoundError:
        raise ObjectMissing("missing") from None


def _look(target: Path) -> Stored | None:
    try:
        return Stored(target.stat().st_size, _type_file(target).read_text())
    except FileNotFoundError:
        return None


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _pieces(source: Path) -> AsyncIterator[bytes]:
    with source.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, CHUNK):
            yield piece
