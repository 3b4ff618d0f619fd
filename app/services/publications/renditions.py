"""Which form of an asset a network gets: the original where it takes that, else the crop that loses least.

Whoever approves a publication approves the pictures and their words as they are then: so they are kept with it.
"""

from collections.abc import Mapping
from typing import Any

from app.db import Doc
from app.models.publications import Kind

FEED_RATIOS = (0.8, 1.91)
"""Width by height, from 4:5 to 1.91:1 (Meta, content publishing, meta-platform.md, section 5.3)."""
ROUNDING = 0.005
DESCRIBED = ("image", "carousel")
"""Kinds whose pictures Meta takes words for: a story with any is refused (meta-platform.md, section 5.2)."""
CROPS = ("4:5", "1:1", "1.91:1")


def rendition_of(kind: Kind, asset: Doc) -> Doc | None:
    """The rendition of the asset that a publication of this kind shows; none where the asset has none that would do.

    `{name, key, content_type, bytes, width, height, sha256}`. Pictures in the feed must have one of its ratios, all
    else goes out as it is.
    """
    found: dict[str, Doc] = {one["name"]: one for one in asset.get("renditions") or ()}
    original = found.get("original")
    if asset["kind"] == "video" or kind not in ("image", "carousel") or original is None or _fits(original):
        return original
    crops = [found[name] for name in CROPS if name in found]
    return min(crops, key=lambda one: abs(ratio(one) - ratio(original)), default=original)


def frozen(kind: Kind, assets: Mapping[str, Doc]) -> Doc:
    """What a publication keeps of its files as they are, by their ids: `{alt_text, renditions}` of what is shown.

    A change of an asset's focus or words then changes what is written later, and nothing that was approved.
    """
    return {
        asset_id: {"alt_text": alt_text_of(kind, asset), "renditions": _shown_of(kind, asset)}
        for asset_id, asset in assets.items()
    }


def as_frozen(publication: Mapping[str, Any], assets: Mapping[str, Doc]) -> dict[str, Doc]:
    """These assets as the publication keeps them; as they are where it keeps nothing of them."""
    kept = publication.get("shown") or {}
    return {asset_id: asset | kept.get(asset_id, {}) for asset_id, asset in assets.items()}


def alt_text_of(kind: Kind, asset: Doc) -> str:
    """The asset's own words for who does not see it, where a publication of this kind has any; else empty."""
    return asset.get("alt_text") or "" if kind in DESCRIBED and asset["kind"] == "image" else ""


def _shown_of(kind: Kind, asset: Doc) -> list[Doc]:
    """With the original, whose ratio says which crop is shown."""
    chosen = rendition_of(kind, asset)
    return [one for one in asset.get("renditions") or () if one["name"] == "original" or one == chosen]


def ratio(picture: Doc) -> float:
    """Width by height; 0 where they are not known."""
    return float(picture["width"]) / float(picture["height"]) if picture.get("width") and picture.get("height") else 0.0


def _fits(picture: Doc) -> bool:
    return within(ratio(picture), FEED_RATIOS)


def within(value: float, bounds: tuple[float, float]) -> bool:
    """Whether a ratio lies between these, as far as whole pixels can say."""
    return bounds[0] - ROUNDING <= value <= bounds[1] + ROUNDING
