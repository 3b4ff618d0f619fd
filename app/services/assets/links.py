"""Short-lived signed links to our own objects: for whoever looks at a file here, and for a provider that fetches it."""

from datetime import datetime, timedelta

from app.clients.objects import Objects
from app.db import Doc
from app.errors import AssetNotFound

PREVIEW = timedelta(minutes=10)
PROVIDER = timedelta(hours=24)
"""Meta fetches while a container is being made, again until it is finished, and after trouble of its own; a container
ends after 24 hours (meta-platform.md, section 5)."""
SLUGS = {"4:5": "4x5", "1:1": "1x1", "1.91:1": "191x100", "9:16": "9x16"}
"""Names of renditions where only letters and digits can stand."""
EXTENSIONS = {"image/jpeg": "jpg", "video/mp4": "mp4"}


def rendition_of(asset: Doc, name: str) -> Doc:
    """The rendition of this name. Raises `AssetNotFound`."""
    found: Doc | None = next((one for one in asset["renditions"] if one["name"] == name), None)
    if found is None:
        raise AssetNotFound(f"The asset has no rendition {name}")
    return found


async def link_for_provider(storage: Objects, asset: Doc, rendition_name: str, *, now: datetime) -> str:
    """An address, ASCII only, by which a provider has the rendition for a day. Raises `AssetNotFound`."""
    return await _link(storage, asset, rendition_of(asset, rendition_name), lasts=PROVIDER, now=now)


async def previews(storage: Objects, asset: Doc, *, now: datetime) -> dict[str, str]:
    """Addresses of all its renditions, by name, for ten minutes."""
    return {one["name"]: await _link(storage, asset, one, lasts=PREVIEW, now=now) for one in asset["renditions"]}


async def _link(storage: Objects, asset: Doc, rendition: Doc, *, lasts: timedelta, now: datetime) -> str:
    """As a download under a name of ours: what people call it stands in no address and no header."""
    slug = SLUGS.get(rendition["name"], rendition["name"])
    filename = f"{asset['_id']}-{slug}.{EXTENSIONS[rendition['content_type']]}"
    told = {"content_type": rendition["content_type"], "filename": filename}
    return await storage.link(rendition["key"], **told, lasts=lasts, now=now)
