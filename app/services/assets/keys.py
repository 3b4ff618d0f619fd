"""Where objects lie in the storage. Keys are made of ids and digests alone, never of what people call their files."""

from app.services.assets.links import EXTENSIONS, SLUGS


def quarantine(label_id: str, asset_id: str) -> str:
    """Where an upload arrives. Nothing is ever served from there."""
    return f"quarantine/{label_id}/{asset_id}"


def of_asset(label_id: str, asset_id: str) -> str:
    """What the keys of an asset's objects begin with."""
    return f"labels/{label_id}/{asset_id}/"


def of_rendition(label_id: str, asset_id: str, name: str, *, sha256: str, content_type: str) -> str:
    """The place of a rendition: made twice of the same, it is the same object."""
    slug = SLUGS.get(name, name)
    return f"{of_asset(label_id, asset_id)}{slug}-{sha256[:24]}.{EXTENSIONS[content_type]}"


def of_label(label_id: str) -> tuple[str, str]:
    """What the keys of everything of a label begin with."""
    return f"labels/{label_id}/", f"quarantine/{label_id}/"
