"""What the flows of files share: files good and hostile, a label that uploads, and what lies in its storage."""

import io
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import httpx
from aiobotocore.session import get_session
from PIL import Image

from app.clients.objects_folder import Folder
from app.db import Doc
from tests.house import PASSWORD, House

BUCKET, REGION = "label-files", "eu-central-1"
GPS = 0x8825
SECRETS = (b"Exif", b"SECRET-CAMERA", b"SECRET-COMMENT", b"SECRET-PLACE")
"""What no file of ours may hold any more."""


def picture(width: int = 640, height: int = 480, mode: str = "RGB") -> Image.Image:
    """One whose left half is red and whose right half is blue, with a green square in its upper left corner."""
    found = Image.new("RGB", (width, height), "red")
    found.paste("blue", (width // 2, 0, width, height))
    found.paste("lime", (0, 0, width // 8, height // 8))
    return found.convert(mode)


def jpeg(found: Image.Image | None = None, **more: Any) -> bytes:
    """As a JPEG."""
    return encoded(found or picture(), "JPEG", **more)


def encoded(found: Image.Image, file_format: str, **more: Any) -> bytes:
    """As a file."""
    file = io.BytesIO()
    found.save(file, file_format, **more)
    return file.getvalue()


def told_jpeg(orientation: int = 6) -> bytes:
    """One that says where it was made, by whom, and how to turn it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "SECRET-CAMERA"
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (52.0, 31.0, 12.0)
    return jpeg(exif=exif.tobytes(), comment=b"SECRET-COMMENT")


def video(
    path: Path,
    *,
    seconds: int = 2,
    size: tuple[int, int] = (320, 568),
    codec: str = "libx264",
    sound: bool = True,
    pixels: str = "yuv420p",
    options: Doc | None = None,
) -> bytes:
    """An MP4 whose index is at its end, and that says where it was filmed."""
    with av.open(str(path), "w", format="mp4") as made:
        made.metadata.update({"location": "+52.5200+013.4050/", "comment": "SECRET-PLACE"})
        shown = made.add_stream(codec, rate=30)
        assert isinstance(shown, av.VideoStream)
        shown.width, shown.height, shown.pix_fmt = *size, pixels
        shown.options = options or {}
        heard = made.add_stream("aac", rate=44100) if sound else None
        for number in range(seconds * 30):
            image = Image.new("RGB", size, (number * 4 % 256, 20, 20))
            frame: Any = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
            made.mux(shown.encode(frame))
        made.mux(shown.encode())
        if heard is not None:
            assert isinstance(heard, av.AudioStream)
            for number in range(seconds * 44100 // 1024):
                silence = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
                for plane in silence.planes:
                    plane.update(bytes(plane.buffer_size))
                silence.sample_rate, silence.pts = 44100, number * 1024
                made.mux(heard.encode(silence))
            made.mux(heard.encode())
    return path.read_bytes()


def png_bomb(width: int = 32_000, height: int = 32_000) -> bytes:
    """About a thousand bytes that say that they are a gigapixel."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 4001 * 32, 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small PNG whose text unpacks to 200 MB."""
    found = encoded(picture(64, 64), "PNG")
    bomb = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000, 9))
    return found[:33] + bomb + found[33:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def lying(found: bytes, atom: bytes, factor: int) -> bytes:
    """A video whose `mvhd` or `mdhd` says that it is so many times as long."""
    at = found.index(atom)
    (length,) = struct.unpack(">I", found[at + 20 : at + 24])
    return found[: at + 20] + struct.pack(">I", length * factor) + found[at + 24 :]


@dataclass
class Shelf:
    """A label's owner who uploads, and the storage."""

    house: House
    owner: httpx.AsyncClient
    label_id: str
    outside: httpx.AsyncClient
    """Whoever follows an address that was given: to the storage, logged in nowhere."""
    stored: Callable[[], Awaitable[list[str]]] = field(repr=False)
    """Everything of the label that there is in the storage."""

    @property
    def path(self) -> str:
        """Where the label's files are."""
        return f"/v1/labels/{self.label_id}/assets"

    async def begin(self, content_type: str = "image/jpeg", status: int = 201, **more: Any) -> Doc:
        """Begin an upload."""
        body = {"name": "a file", "content_type": content_type} | more
        found = await self.owner.post(self.path, json=body)
        assert found.status_code == status, found.text
        shown: Doc = found.json()
        return shown

    async def send(self, asset: Doc, content: bytes, **fields: str) -> httpx.Response:
        """Send the file as the answer says."""
        upload = asset["upload"]
        return await self.outside.post(
            upload["url"], data=upload["fields"] | fields, files={"file": ("../../evil‮gpj.exe", content, "text/html")}
        )

    async def complete(self, asset: Doc, status: int = 202) -> Doc:
        """Complete it."""
        found = await self.owner.post(f"{self.path}/{asset['id']}/complete")
        assert found.status_code == status, found.text
        shown: Doc = found.json()
        return shown

    async def upload(self, content: bytes, content_type: str = "image/jpeg", **more: Any) -> Doc:
        """Upload a file and have it looked at; the asset then."""
        asset = await self.begin(content_type, **more)
        (await self.send(asset, content)).raise_for_status()
        await self.complete(asset)
        await self.house.work()
        return await self.get(asset["id"])

    async def get(self, asset_id: str) -> Doc:
        """The asset."""
        found: Doc = (await self.owner.get(f"{self.path}/{asset_id}")).raise_for_status().json()
        return found

    async def later(self, by: timedelta) -> None:
        """So much later, the owner logs in anew, and workers do what is due."""
        self.house.clock.offset += by
        body = {"email": "owner@example.com", "password": PASSWORD}
        answer = (await self.house.http.post("/v1/sessions", json=body)).raise_for_status()
        self.owner.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        await self.house.work()

    async def used_bytes(self) -> int:
        """How much room the label's files take."""
        return int((await self.owner.get(self.path)).raise_for_status().json()["used_bytes"])

    async def fetch(self, asset: Doc, name: str) -> httpx.Response:
        """A rendition, by its link."""
        [url] = [one["url"] for one in asset["renditions"] if one["name"] == name]
        return await self.outside.get(url)


def all_in_folder(storage: Folder) -> list[str]:
    """Every file that there is in a folder, whatever it is."""
    found = (path for path in storage.root.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(storage.root)) for path in found)


async def all_in_bucket(url: str) -> list[str]:
    """The keys of all objects that there are in a bucket."""
    async with s3_client(url) as client:
        found = await client.list_objects_v2(Bucket=BUCKET)
    return sorted(one["Key"] for one in found.get("Contents", []))


async def make_bucket(url: str) -> None:
    """Make the bucket, unless it is there."""
    async with s3_client(url) as client:
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            await client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})


def s3_client(url: str) -> Any:
    """AWS's own client."""
    told = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing-secret"}
    return get_session().create_client("s3", region_name=REGION, endpoint_url=url, **told)


def s3_env(url: str) -> dict[str, str]:
    """The settings of a bucket there."""
    return {
        "SOUNDOPS_STORAGE_FOLDER": "",
        "SOUNDOPS_S3_ENDPOINT_URL": url,
        "SOUNDOPS_S3_BUCKET": BUCKET,
        "SOUNDOPS_S3_REGION": REGION,
        "SOUNDOPS_S3_ACCESS_KEY_ID": "testing",
        "SOUNDOPS_S3_SECRET_ACCESS_KEY": "testing-secret",
    }


@asynccontextmanager
async def shelf_of(house: House) -> AsyncIterator[Shelf]:
    """A label with an owner, and its storage."""
    owner = await house.person()
    async with shelf_for(house, owner, await house.label(owner)) as found:
        yield found


@asynccontextmanager
async def shelf_for(house: House, owner: httpx.AsyncClient, label_id: str) -> AsyncIterator[Shelf]:
    """The files of a label that is there."""
    storage, url = house.api.objects, house.api.settings.s3_endpoint_url

    async def everything() -> list[str]:
        found = all_in_folder(storage) if isinstance(storage, Folder) else await all_in_bucket(str(url))
        return [one for one in found if label_id in one or one.startswith("incoming/")]

    transport = httpx.ASGITransport(house.app) if isinstance(storage, Folder) else None
    async with httpx.AsyncClient(transport=transport, trust_env=False) as outside:
        yield Shelf(house, owner, label_id, outside, everything)
