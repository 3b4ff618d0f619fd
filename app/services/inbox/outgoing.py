"""What the label sends: its content, what of it Meta takes on which network, and how it is stored and recognised."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from app.db import Doc
from app.errors import FieldError, InvalidInput
from app.services.inbox.words import tokens

MediaType = Literal["image", "video", "audio", "file"]
MOST_BYTES: dict[MediaType, int] = {"image": 8_000_000, "video": 25_000_000, "audio": 25_000_000, "file": 25_000_000}
"""Of what Meta fetches for a message (meta-platform.md, section 3.1)."""
INSTAGRAM_BYTES = 1000
MESSENGER_CHARACTERS = 2000
OWN_POST, HEART = "media_share", "like_heart"
ALIKE: dict[str, Collection[str]] = {
    OWN_POST: (OWN_POST, "MEDIA_SHARE", "ig_post", "ig_reel", "share", "reel"),
    HEART: (HEART, "sticker", "image"),
    "audio": ("audio", "file"),
}
"""Under which names Meta may show an attachment that went out as another."""


@dataclass(frozen=True)
class Attachment:
    """A file that Meta fetches from a public address; we never do."""

    type: MediaType
    url: str


@dataclass(frozen=True)
class OwnFile:
    """A file of the label's own, to which Meta is given a link when it is sent."""

    type: MediaType
    asset_id: str
    size_bytes: int


@dataclass(frozen=True)
class QuickReply:
    """A button under a text; the fan's tap comes back as a message with the payload."""

    title: str
    payload: str


@dataclass(frozen=True)
class Outgoing:
    """One message: exactly one of text, attachment, own file, own post and sticker."""

    text: str | None = None
    attachment: Attachment | None = None
    file: OwnFile | None = None
    media_id: str | None = None
    """A post of the account's own, by Meta's id."""
    sticker: Literal["like_heart"] | None = None
    quick_replies: tuple[QuickReply, ...] = ()
    reply_to: str | None = None
    """Meta's id of the message that it answers."""

    def check(self, network: str) -> None:
        """Raise `InvalidInput` for what Meta does not take on this network."""
        trouble = self._trouble(network)
        if trouble:
            raise InvalidInput(errors=(FieldError(*trouble),))

    def _trouble(self, network: str) -> tuple[str, str] | None:
        text = self.text or ""
        if self.file and self.file.size_bytes > MOST_BYTES[self.file.type]:
            return "/asset_id", f"the {self.file.type} of a message must be at most {MOST_BYTES[self.file.type]} bytes"
        if network == "facebook":
            if len(text) > MESSENGER_CHARACTERS:
                return "/text", f"must be at most {MESSENGER_CHARACTERS} characters on Messenger"
            if self.media_id is not None:
                return "/media_id", "a post of the account's own can be sent on Instagram only"
            return ("/sticker", "this sticker can be sent on Instagram only") if self.sticker else None
        if len(text.encode()) > INSTAGRAM_BYTES:
            return "/text", f"must be at most {INSTAGRAM_BYTES} bytes of UTF-8 on Instagram (Meta's limit)"
        return None

    def stored(self) -> Doc:
        """What a message's `content` holds of it, in the form of what comes in."""
        original: Doc = {"kind": "message"}
        if self.text is not None:
            original["text"] = self.text
        if attachments := self._attachments():
            original["attachments"] = attachments
        if self.quick_replies:
            original["quick_replies"] = [{"title": one.title, "payload": one.payload} for one in self.quick_replies]
        if self.reply_to:
            original["reply_to"] = {"provider_id": self.reply_to}
        words = tokens(self.text) if self.text else []
        return {"original": original} | ({"words": words} if words else {})

    def _attachments(self) -> list[Doc]:
        if self.attachment:
            return [{"type": self.attachment.type, "url": self.attachment.url}]
        if self.file:
            return [{"type": self.file.type, "asset_id": self.file.asset_id}]
        if self.media_id:
            return [{"type": OWN_POST, "provider_id": self.media_id}]
        return [{"type": self.sticker}] if self.sticker else []


def file_of(original: Doc) -> str | None:
    """The label's own file that a stored message sends."""
    return next((one["asset_id"] for one in original.get("attachments", []) if "asset_id" in one), None)


def body_of(original: Doc, *, link: str | None = None) -> Doc:
    """The `message` of Meta's Send API for a stored message (meta-platform.md, section 3.1).

    `link` leads to the label's own file, where it sends one.
    """
    body: Doc = {"text": original["text"]} if "text" in original else {}
    for one in original.get("attachments", []):
        attachment: Doc = {"type": one["type"]}
        if one["type"] == OWN_POST:
            attachment = {"type": "MEDIA_SHARE", "payload": {"id": one["provider_id"]}}
        elif one["type"] != HEART:
            attachment["payload"] = {"url": link or one["url"]}
        body["attachment"] = attachment
    if replies := original.get("quick_replies"):
        body["quick_replies"] = [{"content_type": "text", **one} for one in replies]
    return body


def may_be(original: Doc, text: str | None, types: Collection[str]) -> bool:
    """Whether a message that Meta shows with this text and these attachments can be this one of ours.

    Meta shows no address that we know: of an attachment only its kind tells.
    """
    if "text" in original:
        return bool(text == original["text"])
    wanted = [one["type"] for one in original.get("attachments", [])]
    if wanted == [HEART] and not types:  # the Conversations API shows none of it
        return not text
    if text or len(types) != len(wanted):
        return False
    return all(found in ALIKE.get(kind, (kind,)) for kind, found in zip(wanted, types, strict=True))
