"""The storage of development, over HTTP: uploads and downloads by what `objects_folder.py` has signed.

It stands where S3 stands in production, so it is no part of the contract: callers follow the addresses that they are
given. In front of the routes, because an upload is larger than any other body, and goes to a file piece by piece.
"""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import parse_qsl, unquote

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from app.clients.objects import CHUNK
from app.clients.objects_folder import FIELDS, PATH, Allowed, BadSignature, Folder
from app.errors import MethodNotAllowed, NotFound, RequestTimeout
from app.receive import ClientGone
from app.storage_errors import InvalidUpload, LinkRefused, UploadRefused, UploadSizeRefused

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

RECEIVE_WITHIN_S = 600.0
FIELD_BYTES, MOST_FIELDS = 8 * 1024, 10
FORM_BYTES = 64 * 1024
"""What a form takes beside its file."""


def is_ours(path: str) -> bool:
    """Whether a request is for the storage."""
    return path == PATH or path.startswith(f"{PATH}/")


async def serve(storage: Folder, scope: Scope, receive: Receive, send: Send, *, now: datetime) -> None:
    """Answer a request for the storage. Raises `Problem`, `ClientGone`."""
    if scope["method"] == "POST" and scope["path"] == PATH:
        await _take_upload(storage, scope, receive, now=now)
        await Response(status_code=204)(scope, receive, send)
    elif scope["method"] == "GET" and scope["path"] != PATH:
        await _link_of(storage, scope, now=now)(scope, receive, send)
    else:
        raise MethodNotAllowed


def _link_of(storage: Folder, scope: Scope, *, now: datetime) -> FileResponse:
    key = unquote(scope["path"].removeprefix(f"{PATH}/"))
    try:
        query = dict(parse_qsl(scope["query_string"].decode(), strict_parsing=True, max_num_fields=MOST_FIELDS))
        content_type, filename = storage.check_link(key, query, now=now)
        path = storage.path_of(key)
    except (BadSignature, ValueError):
        raise LinkRefused from None
    if not path.is_file():
        raise NotFound
    return FileResponse(path, media_type=content_type, filename=filename, content_disposition_type="attachment")


async def _take_upload(storage: Folder, scope: Scope, receive: Receive, *, now: datetime) -> None:
    """Take a form, and keep its file. Nothing stays of one that is refused."""
    arrived = storage.new_upload(f"upload-{os.urandom(12).hex()}")
    with arrived.open("xb") as file:
        form = _Form(file, lambda fields: _allowed(storage, fields, now))
        try:
            async with asyncio.timeout(RECEIVE_WITHIN_S):
                await _read(receive, form, MultipartParser(_boundary(scope), form.callbacks()))
            file.flush()
            await asyncio.to_thread(storage.keep_upload, arrived, form.end())
        except MultipartParseError:
            raise InvalidUpload from None
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            arrived.unlink(missing_ok=True)


async def _read(receive: Receive, form: "_Form", parser: MultipartParser) -> None:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        piece = message.get("body", b"")
        form.count(len(piece))
        parser.write(piece)
        if not message.get("more_body"):
            parser.finalize()
            return


class _Form:
    """A form as it arrives: small fields, and last the file, whose bytes go straight on."""

    def __init__(self, file: BinaryIO, check: Callable[[dict[str, str]], Allowed]) -> None:
        self._file, self._check = file, check
        self._fields: dict[str, str] = {}
        self._header, self._value = bytearray(), bytearray()
        self._name, self._data = "", bytearray()
        self._allowed: Allowed | None = None
        self._size = self._received = 0
        self._is_whole = False

    def callbacks(self) -> "MultipartCallbacks":
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._grow(self._header, data[start:end]),
            "on_header_value": lambda data, start, end: self._grow(self._value, data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end_all,
        }

    def count(self, more: int) -> None:
        """So many bytes more have come. Raises `UploadSizeRefused`."""
        self._received += more
        if self._received > FORM_BYTES + (self._allowed.most_bytes if self._allowed else CHUNK):
            raise UploadSizeRefused

    def end(self) -> Allowed:
        """What was let in, once all of it is there. Raises `InvalidUpload`, `UploadSizeRefused`."""
        if self._allowed is None or not self._is_whole:
            raise InvalidUpload
        if self._size < self._allowed.least_bytes:
            raise UploadSizeRefused
        return self._allowed

    def _begin(self) -> None:
        if self._allowed is not None or len(self._fields) >= MOST_FIELDS:  # the file is the last field
            raise InvalidUpload
        self._name, self._data = "", bytearray()

    def _grow(self, buffer: bytearray, more: bytes) -> None:
        buffer += more
        if len(buffer) > FIELD_BYTES:
            raise InvalidUpload

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode("ascii", "replace")
            if self._name == "file":
                self._allowed = self._check(self._fields)
        self._header, self._value = bytearray(), bytearray()

    def _take(self, data: bytes) -> None:
        if self._allowed is None:
            self._grow(self._data, data)
            return
        self._size += len(data)
        if self._size > self._allowed.most_bytes:
            raise UploadSizeRefused
        self._file.write(data)

    def _end_part(self) -> None:
        if self._allowed is None:
            if not self._name or self._name in self._fields:
                raise InvalidUpload
            self._fields[self._name] = self._data.decode("utf-8", "replace")

    def _end_all(self) -> None:
        self._is_whole = True


def _allowed(storage: Folder, fields: dict[str, str], now: datetime) -> Allowed:
    if not fields.keys() >= FIELDS:  # one is missing, or comes behind the file
        raise InvalidUpload
    try:
        return storage.check_upload(fields, now=now)
    except BadSignature:
        raise UploadRefused from None


def _boundary(scope: Scope) -> bytes:
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    kind, options = parse_options_header(types[0] if len(types) == 1 else b"")
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise InvalidUpload
    return options[b"boundary"]
