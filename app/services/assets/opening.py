"""The storage that the settings name."""

from app.clients.objects import Objects
from app.clients.objects_folder import Folder
from app.derived_keys import derive
from app.settings import Settings


def open_objects(settings: Settings) -> Objects:
    """S3 where a bucket is named, else the folder. Nothing is asked of it yet."""
    if settings.storage_folder is not None:
        return Folder(settings.storage_folder, settings.public_url, derive(settings, "storage links"))
    from app.clients.objects_s3 import S3  # AWS's libraries take 40 MB: only where they are needed

    assert settings.s3_secret_access_key is not None  # the settings have seen to it
    return S3(
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret=settings.s3_secret_access_key.get_secret_value(),
        endpoint_url=settings.s3_endpoint_url,
        style=settings.s3_style,
    )
