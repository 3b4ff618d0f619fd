"""The settings of the storage: S3 or what speaks like it, or a folder on this machine for development."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from app.setting_kinds import HttpUrl

NEEDED = ("s3_bucket", "s3_region", "s3_access_key_id", "s3_secret_access_key")
"""What an S3 cannot do without. Keys of a role would end before the links that are signed with them."""


class StorageSettings(BaseSettings):
    """Where files are kept."""

    storage_folder: Path | None = None
    """A folder of this machine, instead of S3: for development; API and workers must share it."""
    s3_endpoint_url: HttpUrl | None = None
    """Where the S3 is, if not at AWS's own address. Browsers and Meta must reach it too."""
    s3_bucket: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")
    s3_region: str = ""
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr | None = None
    s3_addressing: Literal["virtual", "path"] | None = None
    """Whether the bucket is in the host's name or in the path; by default `path` with an endpoint of its own."""
    label_storage_bytes: int = Field(default=20 * 1024**3, ge=1)
    """How much a label's files may take, in bytes."""

    @property
    def s3_style(self) -> Literal["virtual", "path"]:
        """How the bucket is addressed."""
        return self.s3_addressing or ("path" if self.s3_endpoint_url else "virtual")

    def check_storage(self, environment: str) -> None:
        """Raise `ValueError` unless there is exactly one storage, and in production a real one."""
        given = [name for name in (*NEEDED, "s3_endpoint_url", "s3_addressing") if getattr(self, name)]
        if environment == "production":
            if self.storage_folder:
                raise ValueError("storage_folder: must not be set in production; set s3_bucket")
            if self.s3_endpoint_url and not self.s3_endpoint_url.startswith("https://"):
                raise ValueError("s3_endpoint_url: must be https in production")
        if given or environment == "production":
            for name in NEEDED:
                if not getattr(self, name):
                    raise ValueError(f"{name}: is missing")
            if self.storage_folder:
                raise ValueError("storage_folder: must not be set beside s3_bucket")
        elif self.storage_folder is None:
            raise ValueError("storage_folder: must be set, or s3_bucket")
