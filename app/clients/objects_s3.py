"""The storage in S3, or in what speaks like it. Source: other-services.md, section 1."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.clients.aws import Opening
from app.clients.objects import (
    CHUNK,
    Limits,
    ObjectMissing,
    ObjectTaken,
    StorageUnavailable,
    Stored,
    Upload,
    write_down,
)

READ_S = 20
MISSING = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")
TAKEN = ("412", "PreconditionFailed", "ConditionalRequestConflict")
DIGEST = "sha256"
"""The name under which an object of ours carries its digest, which an S3 without checksums keeps too."""


class S3:
    """One bucket; the connection is made with the first call."""

    def __init__(
        self, *, bucket: str, region: str, access_key_id: str, secret: str, endpoint_url: str | None, style: str
    ) -> None:
        self._bucket = bucket
        where = {
            "region_name": region,
            "endpoint_url": endpoint_url,
            "aws_access_key_id": access_key_id,
            "aws_secret_access_key": secret,
        }
        self._aws = Opening(
            "s3",
            read_s=READ_S,
            where=where,
            signature_version="s3v4",  # without it, links come in the old style
            s3={"addressing_style": style},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    async def presign_upload(self, key: str, limits: Limits, *, now: datetime) -> Upload:
        """Sign a POST policy: exact key, exact type, a range of sizes, an end."""
        client = await self._aws.client()
        signed = await client.generate_presigned_post(
            Bucket=self._bucket,
            Key=key,
            Fields={"Content-Type": limits.content_type, "success_action_status": "204"},
            Conditions=[
                {"Content-Type": limits.content_type},
                {"success_action_status": "204"},
                ["content-length-range", 1, limits.most_bytes],
            ],
            ExpiresIn=int(limits.lasts.total_seconds()),
        )
        return Upload(signed["url"], {str(name): str(value) for name, value in signed["fields"].items()})

    async def link(self, key: str, *, content_type: str, filename: str, lasts: timedelta, now: datetime) -> str:
        """Sign a GET; the type and the name are signed in."""
        client = await self._aws.client()
        asked = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentType": content_type,
            "ResponseContentDisposition": f'attachment; filename="{filename}"',
        }
        return str(
            await client.generate_presigned_url("get_object", Params=asked, ExpiresIn=int(lasts.total_seconds()))
        )

    async def look(self, key: str) -> Stored | None:
        """HEAD."""
        try:
            async with self._answers() as client:
                found = await client.head_object(Bucket=self._bucket, Key=key)
        except ObjectMissing:
            return None
        return Stored(int(found["ContentLength"]), str(found.get("ContentType", "")))

    async def fetch(self, key: str, to: Path, *, most_bytes: int) -> str:
        """GET, piece by piece: no more than one piece is ever in memory."""
        async with self._answers() as client:
            found = await client.get_object(Bucket=self._bucket, Key=key)
            async with found["Body"] as body:
                return await write_down(_pieces(body), to, most_bytes=most_bytes)

    async def put(self, key: str, source: Path, *, content_type: str, sha256: str) -> None:
        """PUT with `If-None-Match: *` and the checksum, which S3 compares."""
        with source.open("rb") as body:
            try:
                async with self._answers() as client:
                    await client.put_object(
                        Bucket=self._bucket,
                        Key=key,
                        Body=body,
                        ContentType=content_type,
                        IfNoneMatch="*",
                        ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                        Metadata={DIGEST: sha256},
                    )
                return
            except ObjectTaken:
                pass
        async with self._answers() as client:
            there = await client.head_object(Bucket=self._bucket, Key=key)
        if there.get("Metadata", {}).get(DIGEST) != sha256:
            raise ObjectTaken("taken")

    async def begin_parts(self, key: str, *, content_type: str) -> str:
        """Begin a multipart upload."""
        async with self._answers() as client:
            begun = await client.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
        return str(begun["UploadId"])

    async def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """PUT one part."""
        asked = {"Bucket": self._bucket, "Key": key, "UploadId": upload_id, "PartNumber": number}
        async with self._answers() as client:
            return str((await client.upload_part(**asked, Body=data))["ETag"])

    async def finish_parts(self, key: str, upload_id: str, tags: Sequence[str]) -> None:
        """Complete the multipart upload."""
        parts = [{"ETag": tag, "PartNumber": number} for number, tag in enumerate(tags, 1)]
        async with self._answers() as client:
            await client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
            )

    async def abort_parts_below(self, prefix: str) -> int:
        """List and abort, page by page."""
        count = 0
        after: dict[str, str] = {}
        while True:
            async with self._answers() as client:
                page = await client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix, **after)
                for found in page.get("Uploads", []):
                    await client.abort_multipart_upload(
                        Bucket=self._bucket, Key=found["Key"], UploadId=found["UploadId"]
                    )
                    count += 1
            if not page.get("IsTruncated"):
                return count
            after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    async def read(self, key: str, start: int, size: int) -> bytes:
        """GET a range."""
        async with self._answers() as client:
            found = await client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{start + size - 1}")
            async with found["Body"] as body:
                return bytes(await body.read())

    async def delete(self, key: str) -> None:
        """DELETE, which says the same where nothing was."""
        async with self._answers() as client:
            await client.delete_object(Bucket=self._bucket, Key=key)

    async def delete_below(self, prefix: str) -> int:
        """List and delete, page by page, until nothing is listed."""
        count = 0
        while True:
            async with self._answers() as client:
                page = await client.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
                keys = [found["Key"] for found in page.get("Contents", [])]
                await asyncio.gather(*(client.delete_object(Bucket=self._bucket, Key=key) for key in keys))
            count += len(keys)
            if not keys:
                return count

    async def keys_below(self, prefix: str, *, after: str = "") -> list[str]:
        """List a page."""
        async with self._answers() as client:
            page = await client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, StartAfter=after)
        return [str(found["Key"]) for found in page.get("Contents", [])]

    async def parts_below(self, prefix: str) -> list[str]:
        """List multipart uploads."""
        async with self._answers() as client:
            page = await client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix)
        return [str(found["Key"]) for found in page.get("Uploads", [])]

    async def close(self) -> None:
        """Close the connections."""
        await self._aws.close()

    @asynccontextmanager
    async def _answers(self) -> AsyncIterator[Any]:
        """The client; what it raises, as one of ours."""
        try:
            yield await self._aws.client()
        except ClientError as exc:
            code = str(exc.response.get("Error", {}).get("Code", "unknown"))
            if code in MISSING:
                raise ObjectMissing(code) from None
            raise (ObjectTaken if code in TAKEN else StorageUnavailable)(code) from None
        except (BotoCoreError, OSError, TimeoutError) as exc:
            raise StorageUnavailable(type(exc).__name__) from None


async def _pieces(body: Any) -> AsyncIterator[bytes]:
    while piece := await body.read(CHUNK):
        yield piece
