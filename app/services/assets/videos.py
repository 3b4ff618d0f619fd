"""Videos, in the process of `child.py`: read to their end, and put into a container of ours without being recoded.

The new container begins with its index (`moov`), as Meta wants it, and holds nothing but picture and sound: where and
with what it was filmed is not in it any more.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from app.services.assets.images import WIDEST, write_jpeg
from app.services.assets.refusal import Refused

CODECS = {"h264": "filter_units=remove_types=6", "hevc": "filter_units=remove_types=39-40"}
"""And what takes out of its pictures what is none: SEI, into which encoders and cameras write what they like (H.264,
7.4.1; H.265, 7.4.2.2)."""
SOUND = ("aac",)
MOST_PIXELS = 9_000_000
"""4096 × 2160: a decoder holds many pictures at once."""
LEAST_SIDE = 16
COVER_AT_S = 1.0
SLACK_S, SLACK = 1.0, 0.1
"""How far what a video says of its length may be from what is there: so many seconds, or this part of it."""
SLOWEST_FPS = 1.0


@dataclass(frozen=True)
class Seen:
    """A picture of it, small and upright, and what it is like: its size upright, its colours (`4:2:0`), its lines."""

    cover: Image.Image
    width: int
    height: int
    chroma: str | None
    interlaced: bool


@dataclass(frozen=True)
class Copied:
    """What was read and written anew."""

    length_s: float
    frames: int


def examine(source: Path, folder: Path) -> dict[str, Any]:
    """Write `original` and `cover`; what they are. Raises `Refused`, and whatever a decoder raises."""
    target, cover = folder / "original.mp4", folder / "cover.jpg"
    with _opened(source) as opened:
        picture, sound = _streams(opened)
        told = _told(opened, picture, sound)
        lengths_s = _said(opened, picture)
        seen = _seen(opened, picture)
    with _opened(source) as opened:
        copied = _copy(opened, target)
    _check_length(copied, lengths_s)
    write_jpeg(seen.cover, cover)
    size = target.stat().st_size
    told |= {"chroma": seen.chroma, "interlaced": seen.interlaced}
    told["fps"] = told["fps"] or round(copied.frames / copied.length_s, 3)
    return {
        "files": [
            {"name": "original", "file": target.name, "width": seen.width, "height": seen.height},
            {"name": "cover", "file": cover.name, "width": seen.cover.width, "height": seen.cover.height},
        ],
        "duration_ms": round(copied.length_s * 1000),
        "video": told | {"bitrate": round(size * 8 / copied.length_s), "moov_first": is_moov_first(target)},
    }


def _opened(source: Path) -> InputContainer:
    """By FFmpeg's reader of MP4 and MOV alone: any other might follow lists to other files."""
    return av.open(str(source), "r", format="mov", options={"protocol_whitelist": "file"})


def _streams(opened: InputContainer) -> tuple[VideoStream, AudioStream | None]:
    """The picture, and the sound if there is one. Raises `Refused` for what Meta does not take."""
    if not opened.streams.video:
        raise Refused("no_video")
    picture, sound = opened.streams.video[0], next(iter(opened.streams.audio), None)
    if picture.codec_context.name not in CODECS or (sound and sound.codec_context.name not in SOUND):
        raise Refused("unsupported_codec")
    if picture.width * picture.height > MOST_PIXELS:
        raise Refused("too_many_pixels")
    if min(picture.width, picture.height) < LEAST_SIDE:
        raise Refused("too_small")
    return picture, sound


def _told(opened: InputContainer, picture: VideoStream, sound: AudioStream | None) -> dict[str, Any]:
    return {
        "container": "mp4",
        "video_codec": picture.codec_context.name,
        "audio_codec": sound.codec_context.name if sound else None,
        "audio_channels": sound.codec_context.channels if sound else None,
        "audio_rate": sound.codec_context.sample_rate if sound else None,
        "fps": round(float(picture.average_rate), 3) if picture.average_rate else None,
    }


def _said(opened: InputContainer, picture: VideoStream) -> list[float]:
    """How long the container and its picture say that they are, in seconds."""
    said = [opened.duration / av.time_base] if opened.duration else []
    if picture.duration and picture.time_base:
        said.append(float(picture.duration * picture.time_base))
    return said


def _seen(opened: InputContainer, picture: VideoStream) -> Seen:
    """A picture from near the beginning. It shows that the video can be decoded at all."""
    picture.codec_context.thread_count = 1
    said = _said(opened, picture)
    at_s = min(COVER_AT_S, min(said, default=0.0) / 2)
    opened.seek(int(at_s * av.time_base))
    for frame in opened.decode(picture):
        quarters = round(frame.rotation / 90) % 4  # against the clock
        width, height = (frame.width, frame.height) if quarters % 2 == 0 else (frame.height, frame.width)
        cover = _small(frame, min(1.0, WIDEST / width, 4 * WIDEST / height)).rotate(90 * quarters, expand=True)
        return Seen(cover, width, height, chroma_of(frame.format.name), frame.interlaced_frame)
    raise Refused("broken_file")


def _small(frame: VideoFrame, scale: float) -> Image.Image:
    """The picture as people see it, made small before anything else is made of it: a copy of 4K takes 33 MB."""
    size = {"width": max(round(frame.width * scale), 2), "height": max(round(frame.height * scale), 2)}
    image: Image.Image = frame.reformat(**size, format="rgb24").to_image()  # type: ignore[no-untyped-call]
    return image


def chroma_of(pixels: str) -> str | None:
    """How its colours are stored, by FFmpeg's name of the format (`yuv420p10le`); None if it is another."""
    if found := re.match(r"yuvj?(\d)(\d)(\d)p", pixels):
        return ":".join(found.groups())
    return {"gbr": "4:4:4", "gra": "4:0:0"}.get(pixels[:3])


def _copy(opened: InputContainer, target: Path) -> Copied:
    """Write picture and sound, and nothing else, into a new container; how long it is by what is in it."""
    picture, sound = _streams(opened)
    first, last, frames = float("inf"), 0.0, 0
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart", "use_editlist": "0"}) as written:
        into = {one.index: written.add_stream_from_template(one) for one in (picture, sound) if one}
        clean = BitStreamFilterContext(CODECS[picture.codec_context.name], picture, into[picture.index])
        for packet in opened.demux([one for one in (picture, sound) if one]):
            if packet.dts is None:  # the end of a stream
                continue
            if packet.is_corrupt:
                raise Refused("broken_file")
            found = [packet]
            if packet.stream.index == picture.index:
                if packet.pts is not None:
                    at_s = float(packet.pts * packet.time_base)
                    first, last = min(first, at_s), max(last, at_s + float((packet.duration or 0) * packet.time_base))
                    frames += 1
                found = clean.filter(packet)  # raises where it is not made of such units: zeros, noise
            for one in found:
                one.stream = into[packet.stream.index]
                written.mux(one)
    if not frames:
        raise Refused("no_video")
    return Copied(last - first, frames)


def _check_length(copied: Copied, said: Sequence[float]) -> None:
    """Raise `Refused` for a video that is much longer or shorter than it says, or stands still."""
    real_s = copied.length_s
    if real_s <= 0 or copied.frames / real_s < SLOWEST_FPS:
        raise Refused("wrong_duration")
    if any(abs(one - real_s) > max(SLACK_S, SLACK * real_s) for one in said):
        raise Refused("wrong_duration")


def is_moov_first(path: Path) -> bool:
    """Whether the index comes before what it indexes."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, name = struct.unpack(">I4s", file.read(8))
            if name in (b"moov", b"mdat"):
                return bool(name == b"moov")
            if length == 1:
                (length,) = struct.unpack(">Q", file.read(8))
            if length < 8:
                return False
            at += length
    return False
