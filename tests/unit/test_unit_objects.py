"""What the storages sign: parsed, because no stand-in of S3 checks it; and what a folder does with what it signed."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from app.clients.objects import Limits, ObjectMissing, Objects, ObjectsError, ObjectTaken, Upload
from app.clients.objects_folder import SIGNATURE, BadSignature, Folder
from app.clients.objects_s3 import S3
from app.db import Doc
from tests.flows.assets_harness import make_bucket
from tools.child import Child

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
KEY = "quarantine/lbl_1/ast_1"
LIMITS = Limits("image/jpeg", 5_000, timedelta(hours=1))
SECRET = "the-secret-key-of-the-storage"


def s3(*, endpoint_url: str | None = None, style: str = "virtual") -> S3:
    """One that is asked nothing."""
    told = {"bucket": "label-files", "region": "eu-central-1", "access_key_id": "AKIATEST", "secret": SECRET}
    return S3(**told, endpoint_url=endpoint_url, style=style)


def folder(root: Path = Path("/nowhere")) -> Folder:
    """One that is there when something is put into it."""
    return Folder(root, "https://api.label.example", b"k" * 32)


def policy_of(upload: Upload) -> Doc:
    """The policy in a form."""
    found: Doc = json.loads(base64.b64decode(upload.fields["policy"]))
    return found


@pytest.mark.parametrize("storage", [s3(), folder()], ids=["s3", "folder"])
async def test_a_form_lets_in_exactly_this(storage: Objects) -> None:
    """One key, one type, a range of sizes, an end; and every field that is sent is in the policy."""
    upload = await storage.presign_upload(KEY, LIMITS, now=NOW)
    policy = policy_of(upload)
    conditions = policy["conditions"]
    assert ["content-length-range", 1, 5_000] in conditions
    exact = {name: value for one in conditions if isinstance(one, dict) for name, value in one.items()}
    assert (exact["key"], exact["Content-Type"]) == (KEY, "image/jpeg")
    assert not [one for one in conditions if isinstance(one, list) and one[0] != "content-length-range"]
    covered = set(exact) | {"policy", "x-amz-signature", SIGNATURE}
    assert set(upload.fields) <= covered and "${filename}" not in json.dumps(policy)
    assert (upload.fields["key"], upload.fields["Content-Type"]) == (KEY, "image/jpeg")
    ends = datetime.fromisoformat(policy["expiration"])
    begins = NOW if isinstance(storage, Folder) else datetime.now(UTC)  # AWS's library looks at its own clock
    assert abs(ends - begins - timedelta(hours=1)) < timedelta(minutes=1)
    await storage.close()


async def test_the_form_of_s3_is_signed_as_aws_says() -> None:
    """Signature version 4 over the policy, computed anew; the host is the bucket's in its region."""
    storage = s3()
    upload = await storage.presign_upload(KEY, LIMITS, now=NOW)
    assert upload.url == "https://label-files.s3.eu-central-1.amazonaws.com/"
    fields = upload.fields
    assert fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    key = f"AWS4{SECRET}".encode()
    for part in fields["x-amz-credential"].split("/")[1:]:
        key = hmac.digest(key, part.encode(), "sha256")
    assert hmac.new(key, fields["policy"].encode(), hashlib.sha256).hexdigest() == fields["x-amz-signature"]
    await storage.close()


async def test_a_link_of_s3() -> None:
    """Of version 4, in the bucket's region, for minutes, with type and name signed in."""
    for style, endpoint, host, path in (
        ("virtual", None, "label-files.s3.eu-central-1.amazonaws.com", f"/{KEY}"),
        ("path", "https://s3.label.example", "s3.label.example", f"/label-files/{KEY}"),
    ):
        storage = s3(endpoint_url=endpoint, style=style)
        told = {"content_type": "image/jpeg", "filename": "a.jpg"}
        link = await storage.link(KEY, **told, lasts=timedelta(minutes=10), now=NOW)
        parts, query = urlsplit(link), parse_qs(urlsplit(link).query)
        assert (parts.scheme, parts.netloc, parts.path) == ("https", host, path) and link.isascii()
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"] and query["X-Amz-Expires"] == ["600"]
        assert query["response-content-disposition"] == ['attachment; filename="a.jpg"']
        assert query["response-content-type"] == ["image/jpeg"] and "X-Amz-Signature" in query
        await storage.close()


async def test_a_folder_takes_no_other_form() -> None:
    """Any field changed, left out or added, another policy, another signature, or its end passed."""
    storage = folder()
    fields = (await storage.presign_upload(KEY, LIMITS, now=NOW)).fields
    assert storage.check_upload(fields, now=NOW).most_bytes == 5_000
    wider = json.loads(base64.b64decode(fields["policy"]))
    wider["conditions"][2][2] = 10**9
    forged = base64.b64encode(json.dumps(wider).encode()).decode()
    bad: list[dict[str, str]] = [
        *(fields | {name: value + "x"} for name, value in fields.items()),
        *({kept: value for kept, value in fields.items() if kept != name} for name in fields),
        fields | {"policy": forged},
        fields | {"acl": "public-read"},
        fields | {"Content-Type": "text/html"},
    ]
    for one in bad:
        with pytest.raises(BadSignature):
            storage.check_upload(one, now=NOW)
    with pytest.raises(BadSignature):
        storage.check_upload(fields, now=NOW + LIMITS.lasts)


async def test_a_folder_follows_no_other_link() -> None:
    """Neither of another key, type, name or end, nor after its end."""
    storage = folder()
    told = {"content_type": "image/jpeg", "filename": "a.jpg"}
    link = urlsplit(await storage.link(KEY, **told, lasts=timedelta(minutes=10), now=NOW))
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert storage.check_link(KEY, query, now=NOW) == ("image/jpeg", "a.jpg")
    bad = [query | {name: value + "1"} for name, value in query.items()]
    for one in (*bad, query | {"type": "text/html"}, {}):
        with pytest.raises(BadSignature):
            storage.check_link(KEY, one, now=NOW)
    with pytest.raises(BadSignature):
        storage.check_link(f"{KEY}2", query, now=NOW)
    with pytest.raises(BadSignature):
        storage.check_link(KEY, query, now=NOW + timedelta(minutes=10))


ASTRAY = ["../a", "a/../b", "/etc/passwd", "a//b", ".hidden", "a/.type", "a\\b", "ä", "a\0b", ""]


@pytest.mark.parametrize("key", ASTRAY)
def test_no_key_leads_out_of_a_folder(key: str) -> None:
    """Whatever signed it."""
    with pytest.raises(ValueError, match="no key"):
        folder().path_of(key)


@pytest.mark.parametrize("kind", ["folder", "s3"])
async def test_an_object_is_never_overwritten(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The same again is the same; another one is refused, and so is what does not have its digest."""
    storage: Objects = folder(tmp_path / "storage")
    if kind == "s3":
        moto: Child = request.getfixturevalue("moto_child")
        await make_bucket(moto.url)
        storage = s3(endpoint_url=moto.url, style="path")
    file, other, key = tmp_path / "one", tmp_path / "other", f"labels/lbl_{kind}/ast_1/original-1.jpg"
    file.write_bytes(b"one" * 1000)
    other.write_bytes(b"another")
    told = {"content_type": "image/jpeg"}
    for _ in range(2):
        await storage.put(key, file, **told, sha256=hashlib.sha256(b"one" * 1000).hexdigest())
    with pytest.raises(ObjectTaken):
        await storage.put(key, other, **told, sha256=hashlib.sha256(b"another").hexdigest())
    found = await storage.look(key)
    assert found is not None and (found.size_bytes, found.content_type) == (3000, "image/jpeg")
    digest = await storage.fetch(key, tmp_path / "back", most_bytes=3000)
    assert digest == hashlib.sha256((tmp_path / "back").read_bytes()).hexdigest()
    await storage.fetch(key, tmp_path / "cut", most_bytes=10)
    assert (tmp_path / "cut").stat().st_size == 11  # one more than was asked for, so that it shows
    assert await storage.delete_below(f"labels/lbl_{kind}/") == 1
    await storage.delete(key)
    assert await storage.look(key) is None
    with pytest.raises(ObjectMissing):
        await storage.fetch(key, tmp_path / "gone", most_bytes=10)
    await storage.close()


@pytest.mark.parametrize("kind", ["folder", "s3"])
async def test_an_object_in_parts(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It is there when it is finished, can be read from anywhere, and what was never finished can be thrown away."""
    storage: Objects = folder(tmp_path / "storage")
    if kind == "s3":
        moto: Child = request.getfixturevalue("moto_child")
        await make_bucket(moto.url)
        storage = s3(endpoint_url=moto.url, style="path")
    parts, below = [b"a" * 5 * 1024**2, b"b" * 5 * 1024**2, b"end"], f"exports/usr_{kind}/"
    key = f"{below}exp_1-1"
    upload = await storage.begin_parts(key, content_type="application/octet-stream")
    tags = [await storage.put_part(key, upload, number, part) for number, part in enumerate(parts, 1)]
    assert await storage.look(key) is None
    await storage.finish_parts(key, upload, tags)
    found = await storage.look(key)
    assert found is not None and found.size_bytes == sum(map(len, parts))
    assert await storage.read(key, 5 * 1024**2 - 2, 4) == b"aabb"
    assert await storage.read(key, found.size_bytes - 3, 100) == b"end"
    left = await storage.begin_parts(f"{below}exp_2-1", content_type="application/octet-stream")
    await storage.put_part(f"{below}exp_2-1", left, 1, b"half")
    other = await storage.begin_parts("exports/usr_other/exp_3-1", content_type="application/octet-stream")
    assert await storage.keys_below(below) == [key] and await storage.keys_below(below, after=key) == []
    assert await storage.parts_below(below) == [f"{below}exp_2-1"]
    assert await storage.abort_parts_below(below) == 1
    assert await storage.abort_parts_below(below) == 0
    with pytest.raises(ObjectsError):  # moto answers 500, S3 404
        await storage.put_part(f"{below}exp_2-1", left, 2, b"more")
    assert await storage.put_part("exports/usr_other/exp_3-1", other, 1, b"half")
    assert await storage.abort_parts_below("exports/usr_other/") == 1
    with pytest.raises(ObjectMissing):
        await storage.read(f"{below}exp_2-1", 0, 10)
    assert await storage.delete_below(below) == 1
    await storage.close()
