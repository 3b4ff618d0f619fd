"""Images, in the process of `child.py`: read once, and written anew as JPEG without anything but the picture."""

import math
import mmap
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms
from PIL.JpegImagePlugin import JpegImageFile

from app.services.assets.refusal import Refused

Focus = tuple[float, float]
MOST_PIXELS = {"JPEG": 50_000_000, "PNG": 25_000_000, "WEBP": 9_000_000}
"""A JPEG can be decoded smaller than it is. Of the others all is in memory: of a PNG once, of a WebP four times."""
PIXEL_BYTES = 4
MOST_AT_ONCE, BESIDE = 156_000_000, 50_000_000
"""Bytes that reading an image may take; and of them what is made of it, once it is decoded."""
LEAST_SIDE = 16
LONGEST_SIDE = 2880
"""Of `original`: from it the other renditions are made again, for another focus. The tallest part of a photo that lies
on its side still fills a telephone, and a Page's picture its 2048 pixels."""
STRIP = 256
"""So many rows are made at a time."""
WIDEST = 1440
"""Meta makes what is wider smaller (meta-platform.md, section 5.3), as are the limits of ratio and size."""
MOST_BYTES = 4_000_000
"""What a Page takes (subcode 1366046); Instagram takes 8 MB."""
RATIOS = {"4:5": (0.8, "4x5"), "1:1": (1.0, "1x1"), "1.91:1": (1.91, "191x100"), "9:16": (0.5625, "9x16")}
"""Width by height, and the file's name."""
QUALITIES = (92, 85, 75, 60)
ORIENTATION = 0x0112
UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
"""How to turn a picture upright, by what EXIF says."""
FOREIGN = re.compile(rb"<script[\s>]|<!doctype html|<html[\s>]|<iframe[\s>]|<svg\s+xmlns|<\?php|%PDF-1", re.IGNORECASE)
"""What no image has in it. So long that pixels do not look like it by chance."""
END_OF_ZIP = b"PK\x05\x06"


def examine(source: Path, folder: Path, *, file_format: str, focus: Focus) -> dict[str, Any]:
    """Write `original` and its renditions; what they are. Raises `Refused`, and whatever a decoder raises."""
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        if is_mixed(raw):
            raise Refused("mixed_content")
    picture = _read(source, file_format)
    written = [_write(picture, folder, "original", "original")]
    return {"files": written + list(_cut_all(picture, folder, focus))}


def render(source: Path, folder: Path, *, focus: Focus) -> dict[str, Any]:
    """Write the renditions of an `original` of ours around another focus."""
    with Image.open(source, formats=["JPEG"]) as opened:
        opened.load()
        return {"files": list(_cut_all(opened, folder, focus))}


def _read(source: Path, file_format: str) -> Image.Image:
    """The picture as we keep it; what it was decoded from is out of memory then. Raises `Refused`."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS[file_format] // 2  # Pillow itself refuses twice as many, before it reads them
    try:
        with Image.open(source, formats=[file_format]) as opened:
            if min(opened.size) < LEAST_SIDE:
                raise Refused("too_small")
            if file_format != "JPEG" and getattr(opened, "is_animated", False):
                raise Refused("animated_image")
            return _upright_rgb(opened)
    except Image.DecompressionBombError:
        raise Refused("too_many_pixels") from None


def is_mixed(raw: bytes | mmap.mmap) -> bool:
    """Whether the file would be taken for a page, a script, a document or an archive by somebody else."""
    if FOREIGN.search(raw):
        return True
    at = raw.rfind(END_OF_ZIP, -65_557 - len(END_OF_ZIP))  # the longest comment that an archive ends with
    return at >= 0 and at + 22 + int.from_bytes(raw[at + 20 : at + 22], "little") <= len(raw)


def _upright_rgb(opened: Image.Image) -> Image.Image:
    """The picture, upright, in sRGB, on white, as large as `original` may be, and nothing else."""
    orientation = int(opened.getexif().get(ORIENTATION, 1))
    profile = opened.info.get("icc_profile")
    if isinstance(opened, JpegImageFile):
        scale = scale_of(opened)
        opened.draft(None, (opened.width // scale, opened.height // scale))
    opened.load()
    picture = _made_small(opened, profile)
    for step in UPRIGHT.get(orientation, ()):
        picture = picture.transpose(step)
    return picture


def scale_of(opened: JpegImageFile) -> int:
    """By what a JPEG is divided as it is decoded: 1, 2, 4 or 8. Raises `Refused` where no such picture would do.

    Of a progressive one, libjpeg has every coefficient in memory at once, two bytes each.
    """
    pixels, longest = opened.width * opened.height, max(opened.size)
    most = max((high * wide for _, high, wide, _ in opened.layer), default=1) or 1
    samples = sum(high * wide for _, high, wide, _ in opened.layer) / most
    held = pixels * samples * 2 if opened.info.get("progressive") else 0.0
    scale = 1
    while scale < 8 and longest >= 2 * scale * LONGEST_SIDE:
        scale *= 2
    while max(held, BESIDE) + pixels * PIXEL_BYTES / scale**2 > MOST_AT_ONCE:
        scale *= 2
        if scale > 8 or longest < scale * WIDEST:
            raise Refused("needs_too_much_memory")
    return scale


def _made_small(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """As large as `original` may be, made a strip at a time: no copy is ever made of the whole picture."""
    width, height = picture.size
    scale = max(max(width, height) / LONGEST_SIDE, 1.0)
    small = Image.new("RGB", (max(round(width / scale), 1), max(round(height / scale), 1)))
    around = math.ceil(3 * scale) + 1  # so many rows beyond its own a resampled one is made of
    for top in range(0, small.height, STRIP):
        rows = min(STRIP, small.height - top)
        above, below = (at * height / small.height for at in (top, top + rows))
        first, last = max(math.floor(above) - around, 0), min(math.ceil(below) + around, height)
        strip = _flat(picture.crop((0, first, width, last)), profile)
        box = (0.0, above - first, float(width), below - first)
        small.paste(strip.resize((small.width, rows), Image.Resampling.LANCZOS, box=box), (0, top))
    return small


def _flat(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits of grey
        picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if picture.mode in ("LA", "PA") or (picture.mode != "RGBA" and "transparency" in picture.info):
        picture = picture.convert("RGBA")
    if picture.mode == "RGBA":
        below = Image.new("RGB", picture.size, "white")
        below.paste(picture, mask=picture.getchannel("A"))
        picture = below
    elif picture.mode == "P":
        picture = picture.convert("RGB")
    if profile and (turned := _in_srgb(picture, profile)):
        return turned
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image | None:
    """The picture with sRGB's colours; None for a profile that does not fit it."""
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _cut_all(picture: Image.Image, folder: Path, focus: Focus) -> Iterator[dict[str, Any]]:
    for name, (ratio, slug) in RATIOS.items():
        yield _write(cut(picture, ratio, focus), folder, name, slug)


def box_of(size: tuple[int, int], ratio: float, focus: Focus) -> tuple[int, int, int, int]:
    """The largest part of this ratio, as near to the focus as the picture's edges allow."""
    width, height = size
    wide, high = (min(width, round(height * ratio)), min(height, round(width / ratio)))
    wide, high = max(wide, 1), max(high, 1)
    left = min(max(round(focus[0] * width - wide / 2), 0), width - wide)
    top = min(max(round(focus[1] * height - high / 2), 0), height - high)
    return left, top, left + wide, top + high


def size_of(box: tuple[int, int, int, int], ratio: float) -> tuple[int, int]:
    """The size in which that part is written: never wider, and never beyond the ratio, or Meta would refuse it."""
    wide = max(min(box[2] - box[0], WIDEST), 1)
    return wide, max(math.ceil(wide / ratio) if ratio > 1 else math.floor(wide / ratio), 1)


def cut(picture: Image.Image, ratio: float, focus: Focus) -> Image.Image:
    """That part of the picture."""
    box = box_of(picture.size, ratio, focus)
    return picture.resize(size_of(box, ratio), Image.Resampling.LANCZOS, box=box)


def write_jpeg(picture: Image.Image, to: Path) -> None:
    """Write a JPEG of 4 MB at most."""
    for quality in QUALITIES:
        picture.save(to, "JPEG", quality=quality)
        if to.stat().st_size <= MOST_BYTES:
            return
    write_jpeg(picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)), to)


def _write(picture: Image.Image, folder: Path, name: str, slug: str) -> dict[str, Any]:
    file = folder / f"{slug}.jpg"
    write_jpeg(picture, file)
    return {"name": name, "file": file.name, "width": picture.width, "height": picture.height}
