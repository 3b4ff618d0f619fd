"""The ring that the settings choose, for whoever seals. `private_ring.py` has the half that opens."""

from app.services.vault.ring import PublicRing, WatchedPublicRing
from app.settings import Settings


def open_public_ring(settings: Settings) -> PublicRing:
    """The ring that new secrets are sealed with. Raises `BadRing`."""
    if settings.vault_ring == "aws-kms":
        from app.clients.kms import Kms  # botocore is large, and a local ring does without
        from app.services.vault.kms_ring import KmsPublicRing

        return KmsPublicRing(Kms(region=settings.kms_in, endpoint_url=settings.kms_endpoint_url), settings.kms_keys[0])
    assert settings.vault_public_ring_file, "the settings refuse a local ring without its file"
    return WatchedPublicRing(settings.vault_public_ring_file)
