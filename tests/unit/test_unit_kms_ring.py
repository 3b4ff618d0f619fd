"""The ring `aws-kms`, against moto: what it seals opens for whom it was sealed; being away breaks nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from aiobotocore.session import get_session

from app import keys
from app.clients.aws import ATTEMPTS
from app.clients.kms import Kms
from app.services.vault.data_keys import DataKeys
from app.services.vault.envelope import Binding, SealBroken, seal, unseal
from app.services.vault.kms_private_ring import KmsPrivateRing
from app.services.vault.kms_ring import KmsPublicRing
from app.services.vault.private_ring import WatchedPrivateRing
from app.services.vault.ring import CannotUnwrap, RingUnavailable, WatchedPublicRing
from tests.house import NOBODY
from tools.child import Child

REGION = "eu-central-1"
BINDING = Binding("sec_1", "lbl_1", "con_1", "instagram", "access_token")
TOKEN = "IGAAcanary-0123456789"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any will do."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


async def new_key(url: str) -> str:
    """A key of KMS; its ARN."""
    async with get_session().create_client("kms", region_name=REGION, endpoint_url=url) as client:
        return str((await client.create_key())["KeyMetadata"]["Arn"])


@pytest.fixture
async def kms(moto_child: Child) -> AsyncIterator[Kms]:
    """A client."""
    found = Kms(region=REGION, endpoint_url=moto_child.url)
    yield found
    await found.close()


async def test_what_is_sealed_opens(moto_child: Child, kms: Kms) -> None:
    """For whom it was sealed, and for nobody else: KMS itself refuses another context, and so does a foreign key."""
    old, new = await new_key(moto_child.url), await new_key(moto_child.url)
    envelope = await seal(KmsPublicRing(kms, old), TOKEN, BINDING)
    assert envelope["key_id"] == old and TOKEN.encode() not in envelope["wrapped_key"]
    ring = KmsPrivateRing(kms, [new, old])
    assert ring.key_ids() == sorted([new, old])
    assert await unseal(ring, envelope, BINDING) == TOKEN
    for name in ("secret_id", "label_id", "connection_id", "provider", "purpose"):
        with pytest.raises(SealBroken):
            await unseal(KmsPrivateRing(kms, [old]), envelope, replace(BINDING, **{name: "another"}))
    for spoiled in (envelope["wrapped_key"][:-1] + b"\0", b"", b"nonsense"):
        with pytest.raises(SealBroken):
            await unseal(ring, envelope | {"wrapped_key": spoiled}, BINDING)


async def test_keys_that_are_not_ours_are_not_asked(moto_child: Child, kms: Kms) -> None:
    """Whoever can write to the database cannot have us trust a key of their own. A key that is gone opens nothing."""
    theirs, ours = await new_key(moto_child.url), await new_key(moto_child.url)
    planted = await seal(KmsPublicRing(kms, theirs), "planted", BINDING)
    with pytest.raises(SealBroken):
        await unseal(KmsPrivateRing(kms, [ours]), planted, BINDING)
    gone = f"{ours[:-12]}000000000000"
    with pytest.raises(CannotUnwrap):
        await KmsPrivateRing(kms, [gone]).unwrap(gone, planted["wrapped_key"], binding=BINDING)


async def test_kms_is_away(moto_child: Child, kms: Kms) -> None:
    """That says nothing about an envelope: it is never `SealBroken`. What was opened just before opens meanwhile."""
    key = await new_key(moto_child.url)
    envelope = await seal(KmsPublicRing(kms, key), TOKEN, BINDING)
    away = Kms(region=REGION, endpoint_url=NOBODY)
    with pytest.raises(RingUnavailable):
        await unseal(KmsPrivateRing(away, [key]), envelope, BINDING)
    with pytest.raises(RingUnavailable):
        await seal(KmsPublicRing(away, key), TOKEN, BINDING)
    ring = KmsPrivateRing(kms, [key])
    assert await unseal(ring, envelope, BINDING) == TOKEN
    ring._kms = away
    assert await unseal(ring, envelope, BINDING) == TOKEN
    await away.close()


@contextmanager
def refusing(code: str) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every call with this error of AWS's; its address, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers["X-Amz-Target"])
            body = json.dumps({"__type": code, "message": "canary"}).encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("code", "error", "tries"),
    [
        ("ThrottlingException", RingUnavailable, ATTEMPTS),
        ("AccessDeniedException", RingUnavailable, 1),
        ("ExpiredTokenException", RingUnavailable, 1),
        ("DisabledException", RingUnavailable, 1),
        ("KMSInvalidStateException", RingUnavailable, 1),
        ("IncorrectKeyException", CannotUnwrap, 1),
        ("NotFoundException", CannotUnwrap, 1),
        ("InvalidCiphertextException", CannotUnwrap, 1),
    ],
)
async def test_what_an_error_of_aws_means(code: str, error: type[Exception], tries: int) -> None:
    """Only what can never open is final; a disabled key, or a role that lost a right, can be put right again."""
    key = f"arn:aws:kms:{REGION}:123456789012:key/one"
    with refusing(code) as (url, asked):
        kms = Kms(region=REGION, endpoint_url=url)
        with pytest.raises(error) as raised:
            await KmsPrivateRing(kms, [key]).unwrap(key, b"wrapped", binding=BINDING)
        await kms.close()
    assert "canary" not in str(raised.value)
    assert asked == ["TrentService.Decrypt"] * tries


async def test_what_is_older_than_the_move_to_kms(moto_child: Child, kms: Kms, tmp_path: Path) -> None:
    """A local ring beside it opens it."""
    keys.create(tmp_path)
    envelope = await seal(WatchedPublicRing(tmp_path / "ring.public.json"), TOKEN, BINDING)
    key = await new_key(moto_child.url)
    both = KmsPrivateRing(kms, [key], WatchedPrivateRing(tmp_path / "ring.private.json"))
    assert await unseal(both, envelope, BINDING) == TOKEN
    assert both.key_ids() == sorted([key, "k1"])


class Fetched:
    """A source of data keys that counts."""

    def __init__(self) -> None:
        self.count, self.fails = 0, False

    async def fetch(self) -> bytes:
        """The next one."""
        self.count += 1
        await asyncio.sleep(0.01)
        if self.fails:
            raise RingUnavailable
        return b"%d" % self.count


async def test_data_keys_are_kept_for_minutes() -> None:
    """Fetched once while they are kept, again after that, and the longest unused goes when there are too many."""
    now, source = [0.0], Fetched()
    kept = DataKeys(most=2, life_s=300, timer=lambda: now[0])
    assert [await kept.get(name, source.fetch) for name in (b"a", b"b", b"a")] == [b"1", b"2", b"1"]
    assert [await kept.get(name, source.fetch) for name in (b"c", b"a", b"b")] == [b"3", b"1", b"4"]
    now[0] = 301
    assert await kept.get(b"b", source.fetch) == b"5"


async def test_who_asks_at_the_same_time_asks_once() -> None:
    """Also when the first gives up; a failure is everybody's, and is not kept."""
    kept, source = DataKeys(), Fetched()
    first = asyncio.create_task(kept.get(b"a", source.fetch))
    others = [asyncio.create_task(kept.get(b"a", source.fetch)) for _ in range(20)]
    await asyncio.sleep(0)
    first.cancel()
    assert (set(await asyncio.gather(*others)), source.count) == ({b"1"}, 1)
    source.fails = True
    failed = await asyncio.gather(*(kept.get(b"b", source.fetch) for _ in range(3)), return_exceptions=True)
    assert ([type(one) for one in failed], source.count) == ([RingUnavailable] * 3, 2)
    source.fails = False
    assert await kept.get(b"b", source.fetch) == b"3"
