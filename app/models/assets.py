"""The label's files, as the API shows and takes them."""

import unicodedata
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field

from app.models.base import ApiModel, Doc, Instant, Page, left_out

AssetKind = Literal["image", "video"]
AssetState = Literal["pending", "checking", "ready", "refused"]
ContentType = Literal["image/jpeg", "image/png", "image/webp", "video/mp4", "video/quicktime"]
RenditionName = Literal["original", "4:5", "1:1", "1.91:1", "9:16", "cover"]
LONGEST_NAME, LONGEST_ALT_TEXT = 200, 1000
"""An alternative text as long as Meta takes it."""
IMAGE_BYTES, VIDEO_BYTES = 30_000_000, 300_000_000
"""The largest uploads. Of a video Meta takes no more (meta-platform.md, section 5.3); an image is made smaller here."""
LARGEST: dict[AssetKind, int] = {"image": IMAGE_BYTES, "video": VIDEO_BYTES}
UNSEEN: Doc = {"chroma": None, "interlaced": None}
"""Of a video that was looked at before these were."""
EXAMPLE_ID = "ast_01k9zv3t5w8x2m4c6d7f9g1h3j"


def kind_of(content_type: str) -> AssetKind:
    """Whether it is an image or a video."""
    return "image" if content_type.startswith("image/") else "video"


def _plain_name(name: str) -> str:
    """A name that cannot lead anywhere, and looks like what it is."""
    if not name.strip():
        raise ValueError("must not be empty")
    if any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") or one in "/\\" for one in name):
        raise ValueError("must have no slashes, and no characters that cannot be seen or turn the writing round")
    if name.strip(". ") == "":
        raise ValueError("must have a letter or a digit")
    return name


def _says_something(text: str) -> str:
    if text and not text.strip():
        raise ValueError("must say something, or be empty")
    return text


Name = Annotated[
    str, AfterValidator(_plain_name), Field(min_length=1, max_length=LONGEST_NAME, examples=["sleeve-front.jpg"])
]
AltText = Annotated[
    str,
    AfterValidator(_says_something),
    Field(max_length=LONGEST_ALT_TEXT, examples=["A black sleeve with a white bird"]),
]


class Focus(ApiModel):
    """The point that stays in the picture when it is cut to another shape, from its top left corner."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"x": 0.5, "y": 0.3}]})

    x: Annotated[float, Field(ge=0, le=1)]
    """0 is the left edge, 1 the right one."""
    y: Annotated[float, Field(ge=0, le=1)]
    """0 is the upper edge, 1 the lower one."""


class AssetCreate(ApiModel):
    """A file that is going to be uploaded."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "sleeve-front.jpg", "content_type": "image/jpeg", "alt_text": "A black sleeve"}]
        }
    )

    name: Name
    """For people. Never part of an address."""
    content_type: ContentType
    """What the file is. It is looked at: one that is something else is refused."""
    bytes: Annotated[int, Field(ge=1, le=VIDEO_BYTES)] | None = None
    """Its size; storage takes no more. Without it, up to 30 MB (image) or 300 MB (video) are set aside until it is
    checked."""
    alt_text: AltText = ""
    focus: Focus | None = None
    """Of an image; by default its centre."""


class AssetChange(ApiModel):
    """What is changed. What is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"focus": {"x": 0.5, "y": 0.2}}]})

    name: Annotated[Name, Field(default_factory=left_out)]
    alt_text: Annotated[AltText, Field(default_factory=left_out)]
    focus: Annotated[Focus, Field(default_factory=left_out)]
    """Of an image; its renditions are made anew."""

    def stored(self) -> Doc:
        """What is given, as it is stored."""
        return self.model_dump(exclude_unset=True)


class UploadOut(ApiModel):
    """How to send the file: a form (`multipart/form-data`) of these fields, and last the file as `file`."""

    url: str
    method: Literal["POST"]
    fields: dict[str, str]
    """Send each as it is, before the file."""
    headers: dict[str, str]
    """Send each as it is; none so far."""
    expires_at: Instant


class RenditionOut(ApiModel):
    """A form of the file that is ready to be used."""

    name: RenditionName
    """`original` is the image as a JPEG without what the camera wrote into it, or the video; a ratio is an image cut to
    it around the focus; `cover` is a frame of a video."""
    content_type: str
    bytes: int
    width: int
    height: int
    url: str
    """Leads to it for ten minutes, as a download; whoever has it needs no log-in."""


class VideoOut(ApiModel):
    """What is in a video."""

    container: str
    video_codec: str
    audio_codec: str | None
    fps: float
    bitrate: int
    """Bits a second, all told."""
    chroma: str | None
    """How its colours are stored, `4:2:0` as Meta takes it; null where it was not looked at."""
    interlaced: bool | None
    """Whether its pictures are halves, every other line; null where it was not looked at."""
    moov_first: bool
    """Whether it can be played before all of it is there, as Meta wants it."""
    audio_channels: int | None
    audio_rate: int | None
    """Samples a second."""


class AssetProblem(ApiModel):
    """Why a file was refused."""

    code: str
    detail: str


class AssetOut(ApiModel):
    """A file of the label's."""

    id: Annotated[str, Field(examples=[EXAMPLE_ID])]
    kind: AssetKind
    state: AssetState
    """`pending`: not uploaded yet; `checking`; `ready`; `refused`: `problem` says why."""
    name: str
    content_type: str
    """What was declared; the renditions have their own."""
    bytes: int | None
    """Of what was uploaded; null until then."""
    sha256: str | None
    """Of what was uploaded, in hex."""
    width: int | None
    """Upright, as people see it."""
    height: int | None
    duration_ms: int | None
    """Of a video."""
    video: VideoOut | None
    focus: Focus | None
    """Of an image."""
    alt_text: str
    renditions: list[RenditionOut]
    duplicate_of: str | None
    """An older file of the label's with the same bytes."""
    problem: AssetProblem | None
    upload: UploadOut | None
    """Where to send the file; only in the answer that made it."""
    operation_id: str | None
    """What is done with it, or was last: the check, or its renditions for another focus."""
    created_by: str
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, asset: Doc, *, links: dict[str, str] | None = None, upload: UploadOut | None = None) -> Self:
        """The asset of this document; `links` lead to its renditions, by name."""
        found = links or {}
        return cls(
            id=asset["_id"],
            kind=asset["kind"],
            state=asset["state"],
            name=asset["name"],
            content_type=asset["content_type"],
            bytes=asset["bytes"],
            sha256=asset.get("sha256"),
            width=asset["width"],
            height=asset["height"],
            duration_ms=asset["duration_ms"],
            video=VideoOut(**UNSEEN | asset["video"]) if asset["video"] else None,
            focus=Focus(**asset["focus"]) if asset["focus"] else None,
            alt_text=asset["alt_text"],
            renditions=[_rendition(one, found[one["name"]]) for one in asset["renditions"] if one["name"] in found],
            duplicate_of=asset["duplicate_of"],
            problem=AssetProblem(**asset["problem"]) if asset["problem"] else None,
            upload=upload,
            operation_id=asset["operation_id"],
            created_by=asset["created_by"],
            created_at=asset["created_at"],
            updated_at=asset["updated_at"],
        )


def _rendition(found: Doc, url: str) -> RenditionOut:
    shown = {name: found[name] for name in ("name", "content_type", "bytes", "width", "height")}
    return RenditionOut(**shown, url=url)


class AssetPage(Page[AssetOut]):
    """A label's files, the newest first."""

    used_bytes: int
    """What the label's files take in the storage, with what uploads under way may add."""
    most_bytes: int
    """What they may take."""


class UseOut(ApiModel):
    """Something that a file is used in."""

    kind: Literal["message", "publication"]
    id: str
    state: str
    needed: bool
    """It has not gone out yet, so that the file cannot be deleted."""


class UsesOut(ApiModel):
    """Where a file is used: of each kind the newest 100 that need it, and the newest 100 others."""

    data: list[UseOut]
