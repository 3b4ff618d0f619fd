"""Images, in the process of `child.py`: read once, and written anew as JPEG without anything but the picture."""

import math
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms

from app.services.assets.refusal import Refused

Focus = tuple[float, float]
MOST_PIXELS = 50_000_000
LEAST_SIDE = 16
LONGEST_SIDE = 4096
"""Of `original`: from it the other renditions are made again, for another focus."""
WIDEST = 1440
"""Meta makes what is wider smaller (meta-platform.md, section 5.3), as are the limits of ratio and size."""
MOST_BYTES = 8_000_000
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
    raw = source.read_bytes()
    if is_mixed(raw):
        raise Refused("mixed_content")
    Image.MAX_IMAGE_PIXELS = None  # we look ourselves, before anything is decoded
    with Image.open(BytesIO(raw), formats=[file_format]) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise Refused("too_many_pixels")
        if min(opened.size) < LEAST_SIDE:
            raise Refused("too_small")
        if file_format != "JPEG" and getattr(opened, "is_animated", False):
            raise Refused("animated_image")
        picture = _upright_rgb(opened)
    written = [_write(picture, folder, "original", "original")]
    return {"files": written + list(_cut_all(picture, folder, focus))}


def render(source: Path, folder: Path, *, focus: Focus) -> dict[str, Any]:
    """Write the renditions of an `original` of ours around another focus."""
    with Image.open(source, formats=["JPEG"]) as opened:
        opened.load()
        return {"files": list(_cut_all(opened, folder, focus))}


def is_mixed(raw: bytes) -> bool:
    """Whether the file would be taken for a page, a script, a document or an archive by somebody else."""
    if FOREIGN.search(raw):
        return True
    at = raw.rfind(END_OF_ZIP, -65_557 - len(END_OF_ZIP))  # the longest comment that an archive ends with
    return at >= 0 and at + 22 + int.from_bytes(raw[at + 20 : at + 22], "little") <= len(raw)


def _upright_rgb(opened: Image.Image) -> Image.Image:
    """The picture, upright, in sRGB, on white, as large as `original` may be, and nothing else.

    No copy is made of the whole picture where none is needed: 50 megapixels take 200 MB.
    """
    orientation = int(opened.getexif().get(ORIENTATION, 1))
    profile = opened.info.get("icc_profile")
    opened.draft(None, (LONGEST_SIDE, LONGEST_SIDE))
    opened.load()
    picture = _flat(opened, profile)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    for step in UPRIGHT.get(orientation, ()):
        picture = picture.transpose(step)
    picture.info = {}
    return picture


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
    """Write a JPEG of 8 MB at most."""
    for quality in QUALITIES:
        picture.save(to, "JPEG", quality=quality, optimize=True)
        if to.stat().st_size <= MOST_BYTES:
            return
    write_jpeg(picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)), to)


def _write(picture: Image.Image, folder: Path, name: str, slug: str) -> dict[str, Any]:
    file = folder / f"{slug}.jpg"
    write_jpeg(picture, file)
    return {"name": name, "file": file.name, "width": picture.width, "height": picture.height}
