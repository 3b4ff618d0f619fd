"""Files as they are read by the process of their own: good ones of every kind, and hostile ones, each refused."""

import asyncio
import io
import json
import os
import resource
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.db import Doc
from app.services.assets import decoding, images
from app.services.assets.refusal import DETAILS, Refused
from tests.flows.assets_harness import encoded, jpeg, lying, picture, png_bomb, text_bomb, told_jpeg, video

CENTRE = {"x": 0.5, "y": 0.5}
ZIP = b"PK\x05\x06" + b"\0" * 18
PAGE = b"<html><script>alert(document.domain)</script></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
MB = 1024 * 1024


async def look_at(content: bytes, content_type: str, tmp_path: Path) -> decoding.Found:
    """What a file is."""
    source = tmp_path / "upload"
    source.write_bytes(content)
    (tmp_path / "out").mkdir(exist_ok=True)
    return await decoding.examine(source, tmp_path / "out", content_type=content_type, focus=CENTRE)


async def code_of(content: bytes, content_type: str, tmp_path: Path) -> str:
    """Why a file is refused."""
    with pytest.raises(Refused) as refused:
        await look_at(content, content_type, tmp_path)
    assert refused.value.detail == DETAILS[refused.value.code]
    return refused.value.code


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("PNG", "1"), ("WEBP", "RGBA"), ("JPEG", "CMYK")],
)
async def test_every_kind_of_image_becomes_a_jpeg(tmp_path: Path, file_format: str, mode: str) -> None:
    """Whatever its colours were: upright RGB, with what is transparent in white."""
    found = await look_at(encoded(picture(mode=mode), file_format), f"image/{file_format.lower()}", tmp_path)
    assert [one.name for one in found.files] == ["original", *images.RATIOS]
    with Image.open(tmp_path / "out" / "original.jpg") as shown:
        assert (shown.format, shown.mode, shown.size) == ("JPEG", "RGB", (640, 480))


async def test_grey_of_16_bits(tmp_path: Path) -> None:
    """Is as bright as it was."""
    content = encoded(Image.new("I;16", (100, 100), 32768), "PNG")
    await look_at(content, "image/png", tmp_path)
    with Image.open(tmp_path / "out" / "original.jpg") as shown:
        assert abs(int(shown.convert("L").getpixel((50, 50)) or 0) - 128) <= 2  # type: ignore[arg-type]


async def test_another_colour_space_becomes_srgb(tmp_path: Path) -> None:
    """The profile is used, and not kept; one that is nonsense is passed over."""
    await look_at(encoded(picture(), "JPEG", icc_profile=b"nonsense" * 40), "image/jpeg", tmp_path)
    with Image.open(tmp_path / "out" / "original.jpg") as shown:
        assert "icc_profile" not in shown.info


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_every_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    """The square that people see in a corner is there in what we write."""
    content = told_jpeg(orientation)
    with Image.open(io.BytesIO(content)) as told:
        corners = {1: (2, 2), 2: (-3, 2), 3: (-3, -3), 4: (2, -3), 5: (2, 2), 6: (-3, 2), 7: (-3, -3), 8: (2, -3)}
        turned = (told.height, told.width) if orientation > 4 else told.size
    await look_at(content, "image/jpeg", tmp_path)
    with Image.open(tmp_path / "out" / "original.jpg") as shown:
        assert shown.size == turned and len(shown.getexif()) == 0
        x, y = corners[orientation]
        corner = shown.getpixel((x % shown.width, y % shown.height))
        assert isinstance(corner, tuple) and corner[1] > 200


@given(
    width=st.integers(16, 5000),
    height=st.integers(16, 5000),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    name=st.sampled_from(list(images.RATIOS)),
)
@settings(max_examples=500, deadline=None)
def test_every_cut_is_inside_and_within_metas_ratio(width: int, height: int, x: float, y: float, name: str) -> None:
    """Wherever the focus is: inside the picture, around the focus as far as edges allow, never beyond Meta's range."""
    ratio, _ = images.RATIOS[name]
    box = images.box_of((width, height), ratio, (x, y))
    assert 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
    assert box[0] - 1 <= x * width <= box[2] + 1 and box[1] - 1 <= y * height <= box[3] + 1
    wide, high = images.size_of(box, ratio)
    assert wide <= images.WIDEST
    if wide > 100:
        assert abs(wide / high - ratio) < 0.05
        assert wide / high >= 0.8 or name == "9:16"
        assert wide / high <= 1.91


HOSTILE = {
    "no bytes": (b"", "image/jpeg", "empty_file"),
    "a GIF that is a script": (b"GIF89a/*" + b"\0" * 40 + b"*/=1;alert(1)", "image/jpeg", "wrong_type"),
    "a GIF": (encoded(picture(), "GIF"), "image/png", "wrong_type"),
    "a PNG called JPEG": (encoded(picture(), "PNG"), "image/jpeg", "wrong_type"),
    "an SVG": (SVG, "image/png", "wrong_type"),
    "a page": (PAGE, "image/jpeg", "wrong_type"),
    "a playlist": (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", "video/mp4", "wrong_type"),
    "a JPEG with a page behind it": (jpeg() + PAGE, "image/jpeg", "mixed_content"),
    "a JPEG with a page in its comment": (jpeg(comment=PAGE), "image/jpeg", "mixed_content"),
    "a JPEG with an archive behind it": (jpeg() + b"PK\x03\x04evil" + ZIP, "image/jpeg", "mixed_content"),
    "a JPEG that is a document": (jpeg() + b"%PDF-1.7\n", "image/jpeg", "mixed_content"),
    "a JPEG that is PHP": (jpeg(comment=b"<?php system($_GET[0]);"), "image/jpeg", "mixed_content"),
    "a gigapixel": (png_bomb(), "image/png", "too_many_pixels"),
    "a very long line": (png_bomb(2**31 - 1, 1), "image/png", "too_many_pixels"),
    "51 megapixels": (encoded(Image.new("1", (10_000, 5_100)), "PNG"), "image/png", "too_many_pixels"),
    "26 megapixels, not of a JPEG": (encoded(Image.new("1", (5_200, 5_000)), "PNG"), "image/png", "too_many_pixels"),
    "10 megapixels of a WebP": (encoded(Image.new("RGB", (4_000, 2_500)), "WEBP"), "image/webp", "too_many_pixels"),
    "a JPEG that is read as a whole": (
        encoded(Image.new("RGB", (7000, 7000)), "JPEG", progressive=True, subsampling=0),
        "image/jpeg",
        "needs_too_much_memory",
    ),
    "a single pixel": (encoded(picture(1, 1), "PNG"), "image/png", "too_small"),
    "one that moves": (
        encoded(picture(), "WEBP", save_all=True, append_images=[Image.new("RGB", (640, 480))]),
        "image/webp",
        "animated_image",
    ),
    "text that unpacks to 200 MB": (text_bomb(), "image/png", "broken_file"),
    "half a JPEG": (jpeg()[: len(jpeg()) // 2], "image/jpeg", "broken_file"),
    "half a PNG": (encoded(picture(), "PNG")[:200], "image/png", "broken_file"),
    "the beginning of a JPEG": (b"\xff\xd8\xff\xe0" + os.urandom(5000), "image/jpeg", "broken_file"),
    "a size that is a lie": (png_bomb(4000, 4000), "image/png", "broken_file"),
    "the beginning of a video": (b"\0\0\0\x20ftypisom" + os.urandom(5000), "video/mp4", "broken_file"),
    "a picture in a video's container": (b"\0\0\0\x20ftypheic" + os.urandom(500), "video/mp4", "wrong_type"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_hostile_files_are_refused(tmp_path: Path, what: str) -> None:
    """Each with a stable code, and within a few seconds."""
    content, content_type, code = HOSTILE[what]
    assert await code_of(content, content_type, tmp_path) == code


async def test_videos_that_are_none_of_ours(tmp_path: Path) -> None:
    """Another codec, half of one, and one that stands still; a header that lies is corrected."""
    good = video(tmp_path / "good.mp4")
    assert (await look_at(good, "video/quicktime", tmp_path)).video is not None
    old = video(tmp_path / "old.mp4", codec="mpeg4")
    assert await code_of(old, "video/mp4", tmp_path) == "unsupported_codec"
    for atom in (b"mvhd", b"mdhd"):  # what a header says is not believed, and not kept
        corrected = await look_at(lying(good, atom, 1000), "video/mp4", tmp_path)
        assert corrected.duration_ms is not None and abs(corrected.duration_ms - 2000) < 100
        with av.open(str(tmp_path / "out" / "original.mp4")) as ours:
            assert ours.duration is not None and ours.duration < 2_200_000
    at = good.index(b"stts") + 12  # one entry: so many frames, each so long
    still = good[: at + 4] + struct.pack(">I", struct.unpack(">I", good[at + 4 : at + 8])[0] * 60) + good[at + 8 :]
    assert await code_of(still, "video/mp4", tmp_path) == "wrong_duration"
    assert await code_of(good[: len(good) // 2], "video/mp4", tmp_path) == "broken_file"
    first = (await look_at(video(tmp_path / "mute.mp4", sound=False), "video/mp4", tmp_path)).video
    assert first is not None and first.audio_codec is None


@pytest.mark.parametrize("filling", [bytes, os.urandom])
async def test_a_video_with_a_hole(tmp_path: Path, filling: Callable[[int], bytes]) -> None:
    """Its index and its first pictures are there, and what should be the others is not: it is broken."""
    whole = video(tmp_path / "made.mp4", seconds=10, sound=False)
    start, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    first, last = start + (end - start) // 2, start + (end - start) * 9 // 10
    holed = whole[:first] + filling(last - first) + whole[last:]
    assert await code_of(holed, "video/mp4", tmp_path) == "broken_file"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
async def test_what_a_camera_writes_between_the_pictures_is_gone(tmp_path: Path, codec: str) -> None:
    """Messages of its own in every picture (SEI): the encoder's settings, or where a drone was."""
    content = video(tmp_path / "made.mp4", codec=codec, sound=False)
    if codec == "libx264":
        assert b"x264 - core" in content
    await look_at(content, "video/mp4", tmp_path)
    ours = (tmp_path / "out" / "original.mp4").read_bytes()
    assert b"x264 - core" not in ours
    with av.open(str(tmp_path / "out" / "original.mp4")) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 60


@pytest.mark.parametrize(
    ("pixels", "more", "chroma", "interlaced"),
    [
        ("yuv420p", {}, "4:2:0", False),
        ("yuv422p", {}, "4:2:2", False),
        ("yuv444p10le", {}, "4:4:4", False),
        ("yuv420p", {"flags": "+ildct+ilme", "x264-params": "tff=1"}, "4:2:0", True),
    ],
)
async def test_how_a_video_is_stored_is_told(
    tmp_path: Path, pixels: str, more: dict[str, str], chroma: str, interlaced: bool
) -> None:
    """Its colours and its lines, so that what Meta does not take is known before anybody waits."""
    found = await look_at(video(tmp_path / "made.mp4", pixels=pixels, options=more), "video/mp4", tmp_path)
    assert found.video is not None
    assert (found.video.chroma, found.video.interlaced) == (chroma, interlaced)


async def test_what_we_write_is_no_larger_than_a_page_takes(tmp_path: Path) -> None:
    """However small the upload was: the encoder of it may have been a better one."""
    noise = Image.merge("RGB", [Image.effect_noise((2880, 2880), 90) for _ in range(3)])
    found = await look_at(encoded(noise, "JPEG", quality=40), "image/jpeg", tmp_path)
    assert all((tmp_path / "out" / one.file).stat().st_size <= 4_000_000 for one in found.files)


async def test_a_video_that_was_filmed_upright(tmp_path: Path) -> None:
    """Its pictures lie on their side, and it says so: what we say of it is upright, and so is what we write."""
    lying_down = video(tmp_path / "made.mp4", size=(640, 360))
    at = lying_down.index(b"tkhd") + 44  # the matrix of the picture
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 360 << 16, 0, 1 << 30)
    found = await look_at(lying_down[:at] + quarter + lying_down[at + 36 :], "video/mp4", tmp_path)
    assert [(one.width, one.height) for one in found.files] == [(360, 640), (360, 640)]
    with av.open(str(tmp_path / "out" / "original.mp4")) as ours:
        frame = next(ours.decode(video=0))
        assert abs(frame.rotation) == 90 and (frame.width, frame.height) == (640, 360)


async def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    """It reads from a pipe into which nobody writes: after its time it is gone, with whatever it had begun."""
    os.mkfifo(tmp_path / "upload")
    limits = replace(decoding.IMAGE, wall_s=2)
    told = {"format": "JPEG", "focus": [0.5, 0.5]}
    with pytest.raises(Refused) as refused:
        await decoding.run("image", tmp_path / "upload", tmp_path, told, limits=limits)
    assert refused.value.code == "took_too_long"
    assert not _children()


async def test_a_decoder_ends_by_itself_when_its_worker_has_gone(tmp_path: Path) -> None:
    """Nobody is there to end it: its own clock does."""
    os.mkfifo(tmp_path / "upload")
    process = await _start(tmp_path, wall_s=2)
    async with asyncio.timeout(20):
        assert await process.wait() < 0


async def test_a_decoder_that_takes_memory_is_stopped(tmp_path: Path) -> None:
    """Its own limit stops it, not the machine's."""
    (tmp_path / "upload").write_bytes(encoded(Image.new("RGB", (5000, 5000)), "PNG"))
    limits = replace(decoding.IMAGE, memory_bytes=100 * MB)
    told = {"format": "PNG", "focus": [0.5, 0.5]}
    with pytest.raises(Refused) as refused:
        await decoding.run("image", tmp_path / "upload", tmp_path, told, limits=limits)
    assert refused.value.code == "needs_too_much_memory"


async def test_the_worker_itself_takes_little(tmp_path: Path) -> None:
    """Through all of it: the largest image that we take, and every bomb, cost this process next to nothing."""
    before = _own_mb()
    largest = encoded(Image.new("RGBA", (5000, 5000), (9, 9, 9, 128)), "PNG")
    grown = _own_mb()  # by making it
    for content, content_type in ((largest, "image/png"), (png_bomb(), "image/png"), (text_bomb(), "image/png")):
        try:
            await look_at(content, content_type, tmp_path)
        except Refused:
            continue
    assert _own_mb() - grown < 30, (before, grown, _own_mb())


PHOTO = (6000, 4000)
"""24 megapixels, as cameras make them."""
LARGE: Mapping[str, tuple[tuple[int, int], str, str, Doc]] = {
    "a camera's": (PHOTO, "RGB", "JPEG", {}),
    "a camera's, progressive": (PHOTO, "RGB", "JPEG", {"progressive": True}),
    "a camera's, progressive, all colours": (PHOTO, "RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    "a printer's": (PHOTO, "CMYK", "JPEG", {}),
    "the largest JPEG": ((8688, 5754), "RGB", "JPEG", {}),
    "a square that cannot be halved": ((5750, 5750), "RGB", "JPEG", {}),
    "the largest PNG": ((5000, 5000), "RGBA", "PNG", {}),
    "the largest WebP": ((3000, 3000), "RGBA", "WEBP", {"method": 0}),
}


@pytest.mark.parametrize("what", LARGE)
async def test_what_people_really_have_is_read_in_little_memory(tmp_path: Path, what: str) -> None:
    """With its worker, 120 MB (test_flows_assets_running.py), it stays below 300 MB, and what is written is large."""
    size, mode, file_format, more = LARGE[what]
    (tmp_path / "upload").write_bytes(encoded(picture(*size, mode=mode), file_format, **more))
    told = {"format": file_format, "focus": [0.5, 0.5]}
    assert await peak_mb_of("image", tmp_path, told, decoding.IMAGE) < CHILD_MB
    with Image.open(tmp_path / "original.jpg") as shown:
        assert images.WIDEST <= max(shown.size) <= images.LONGEST_SIDE
        red, blue = (shown.getpixel((shown.width * part // 4, shown.height // 2)) for part in (1, 3))
        assert isinstance(red, tuple) and red[0] > 200 and isinstance(blue, tuple) and blue[2] > 200


async def test_a_large_video_is_read_in_little_memory(tmp_path: Path) -> None:
    """4K, as telephones film it."""
    video(tmp_path / "upload", seconds=1, size=(3840, 2160))
    assert await peak_mb_of("video", tmp_path, {}, decoding.VIDEO) < CHILD_MB


CHILD_MB = 180
"""What may be in memory of a process that reads a file; its worker has 120 MB (test_flows_assets_running.py)."""


async def peak_mb_of(what: str, folder: Path, told: Doc, limits: decoding.Limits) -> int:
    """The most that the process ever had in memory while it read `upload`, which it must have taken."""
    look = (
        "import sys; from app.services.assets import child; print(child.main(sys.argv[1:]));"
        "print(open('/proc/self/status').read())"
    )
    options = json.dumps(told | {"limits": asdict(limits)})
    arguments = ["-c", look, what, str(folder / "upload"), str(folder), options]
    env = {"PYTHONPATH": str(decoding.ROOT), "MALLOC_ARENA_MAX": "1"}
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=env, stdout=asyncio.subprocess.PIPE)
    said = (await process.communicate())[0].decode()
    assert said.startswith("{'found'"), said
    [peak] = [line.split()[1] for line in said.splitlines() if line.startswith("VmHWM")]
    return int(peak) // 1024


async def test_a_child_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the worker's environment holds is not in its child's."""
    monkeypatch.setenv("SOUNDOPS_S3_SECRET_ACCESS_KEY", "canary")
    os.mkfifo(tmp_path / "upload")
    looking = asyncio.create_task(
        decoding.run("image", tmp_path / "upload", tmp_path, {"format": "JPEG", "focus": [0, 0]}, limits=decoding.IMAGE)
    )
    async with asyncio.timeout(10):
        while not (found := _children()):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
    environment = await asyncio.to_thread(Path(f"/proc/{found[0]}/environ").read_bytes)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert b"PYTHONPATH" in environment and b"SOUNDOPS" not in environment
    assert not _children()  # broken off, it is ended


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"not json\n",
        b'{"found": {"files": []}}\n',
        b'{"found": {"files": [{"name": "original", "file": "../../etc/passwd", "width": 1, "height": 1}]}}\n',
        b'{"found": {"files": [{"name": "original", "file": "gone.jpg", "width": 1, "height": 1}]}}\n',
        b'{"found": {"files": [{"name": "original", "file": "page.jpg", "width": 1, "height": 1}]}}\n',
        b'{"found": {"files": [{"name": "original", "file": "link.jpg", "width": 1, "height": 1}]}}\n',
        b'{"refused": "something it made up"}\n',
    ],
)
def test_a_child_is_not_believed(tmp_path: Path, said: bytes) -> None:
    """What a decoder that was taken over might say leads nowhere."""
    (tmp_path / "page.jpg").write_bytes(PAGE)
    (tmp_path / "real").write_bytes(jpeg())
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real")
    with pytest.raises(Refused):
        decoding._believed(said, tmp_path)


def _own_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MB


def _children() -> list[str]:
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [one for one in found if b"assets.child" in Path(f"/proc/{one}/cmdline").read_bytes()]


async def _start(folder: Path, *, wall_s: int) -> asyncio.subprocess.Process:
    limits = {"wall_s": wall_s, "cpu_s": 20, "memory_bytes": 768 * MB, "file_bytes": MB}
    told = json.dumps({"format": "JPEG", "focus": [0, 0], "limits": limits})
    arguments = ["-m", "app.services.assets.child", "image", str(folder / "upload"), str(folder), told]
    env = {"PYTHONPATH": str(decoding.ROOT)}
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, env=env)
