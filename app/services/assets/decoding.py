"""Having what people have uploaded read, by a process that has no secrets, little memory and little time (`child.py`).

What that process says is not believed more than the file was: it is parsed strictly, and its files are looked at.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.models.assets import RenditionName
from app.services.assets.refusal import Refused

ROOT = Path(__file__).parents[3]
LONGEST_ANSWER = 16 * 1024
SCRATCH, ABANDONED_S = "soundops-asset-", 3600
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
NO_VIDEOS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"M4A ", b"M4B ")
"""Brands of the same container that are pictures or sound."""
Side = Annotated[int, Field(ge=1, le=20_000)]


@dataclass(frozen=True)
class Limits:
    """What the process may take. `wall_s` is the time on the clock, `cpu_s` what it computes for.

    `memory_bytes` counts addresses, also of libraries of which next to nothing is in memory (of FFmpeg 100 MB): so many
    that a worker and its child together stay below 300 MB.
    """

    wall_s: int
    cpu_s: int
    memory_bytes: int
    file_bytes: int


IMAGE = Limits(wall_s=30, cpu_s=20, memory_bytes=192 * 1024**2, file_bytes=16 * 1024**2)
VIDEO = Limits(wall_s=90, cpu_s=60, memory_bytes=280 * 1024**2, file_bytes=320 * 1024**2)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Written(_Strict):
    """A file that the process has written."""

    name: RenditionName
    file: Annotated[str, Field(pattern=r"^[a-z0-9]+\.(jpg|mp4)$")]
    width: Side
    height: Side


class Video(_Strict):
    """What is in a video."""

    container: Literal["mp4"]
    video_codec: Literal["h264", "hevc"]
    audio_codec: Literal["aac"] | None
    audio_channels: Annotated[int, Field(ge=0, le=64)] | None
    audio_rate: Annotated[int, Field(ge=0, le=1_000_000)] | None
    fps: Annotated[float, Field(gt=0, le=100_000)]
    chroma: Annotated[str, Field(pattern=r"^4:\d:\d$")] | None
    interlaced: bool
    bitrate: Annotated[int, Field(ge=0)]
    moov_first: bool


class Found(_Strict):
    """What a file is, and what was made of it."""

    files: Annotated[list[Written], Field(min_length=1, max_length=8)]
    duration_ms: Annotated[int, Field(ge=1, le=10**9)] | None = None
    video: Video | None = None


class _Answer(_Strict):
    found: Found | None = None
    refused: str | None = None


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one file's work. Those of workers that died are cleared away."""
    place = Path(tempfile.gettempdir())
    for old in place.glob(f"{SCRATCH}*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > ABANDONED_S:
                for left in old.iterdir():
                    left.unlink()
                old.rmdir()
    with tempfile.TemporaryDirectory(prefix=SCRATCH, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def check_type(source: Path, content_type: str) -> None:
    """Raise `Refused` unless the file begins as one of this type does."""
    with source.open("rb") as file:
        head = file.read(16)
    if not head:
        raise Refused("empty_file")
    is_it = {
        "image/jpeg": head.startswith(b"\xff\xd8\xff"),
        "image/png": head.startswith(b"\x89PNG\r\n\x1a\n"),
        "image/webp": head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    }.get(content_type, head[4:8] == b"ftyp" and head[8:12] not in NO_VIDEOS)
    if not is_it:
        raise Refused("wrong_type")


async def examine(source: Path, folder: Path, *, content_type: str, focus: dict[str, float]) -> Found:
    """What the file is; its renditions are in `folder` then. Raises `Refused`."""
    check_type(source, content_type)
    if content_type not in FORMATS:
        return await run("video", source, folder, {}, limits=VIDEO)
    told = {"format": FORMATS[content_type], "focus": [focus["x"], focus["y"]]}
    return await run("image", source, folder, told, limits=IMAGE)


async def render(original: Path, folder: Path, *, focus: dict[str, float]) -> Found:
    """The renditions of an original of ours around a focus. Raises `Refused`."""
    return await run("render", original, folder, {"focus": [focus["x"], focus["y"]]}, limits=IMAGE)


async def run(what: str, source: Path, folder: Path, options: dict[str, Any], *, limits: Limits) -> Found:
    """Have the process do it, and end it when its time is over. Raises `Refused`."""
    told = json.dumps(options | {"limits": asdict(limits)})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-s", "-m", "app.services.assets.child", what, str(source), str(folder), told),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "1", "LC_ALL": "C.UTF-8"},
        start_new_session=True,
        limit=LONGEST_ANSWER,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(limits.wall_s):
            said = await process.stdout.readline()
            status = await process.wait()
    except TimeoutError:
        raise Refused("took_too_long") from None
    except ValueError:  # more than it has to say
        raise Refused("broken_file") from None
    finally:
        await _end(process)
    if -status in (signal.SIGALRM, signal.SIGXCPU):
        raise Refused("took_too_long")
    return _believed(said, folder)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _believed(said: bytes, folder: Path) -> Found:
    """What the process found. Raises `Refused` for what it refused, and for what it cannot mean."""
    try:
        answer = _Answer.model_validate_json(said)
    except ValidationError:  # it died, or something took it over
        raise Refused("broken_file") from None
    if answer.found is None:
        raise Refused(answer.refused or "broken_file")
    for one in answer.found.files:
        file = folder / one.file
        if file.is_symlink() or not file.is_file():
            raise Refused("broken_file")
        check_type(file, "image/jpeg" if one.file.endswith(".jpg") else "video/mp4")
    return answer.found
