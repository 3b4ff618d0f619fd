"""What is published, or prepared to be, as the sandbox knows it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.seed import MEDIA, Account, Media, media_of

CONTAINER_LIFE_MS = 24 * 3_600_000
Status = Literal["IN_PROGRESS", "FINISHED", "PUBLISHED", "ERROR", "EXPIRED"]
Form = Literal["post", "photo", "video", "reel", "story"]


@dataclass
class Container:
    """Something that Instagram has been given to be published."""

    id: str
    account_id: str
    media_type: str
    """`IMAGE`, `REELS`, `STORIES`, `CAROUSEL`, or `VIDEO` of a carousel's item."""
    created_ms: int
    ready_ms: int
    """When it is processed; 0 is never."""
    is_video: bool = False
    is_item: bool = False
    caption: str = ""
    children: list[str] = field(default_factory=list)
    failed: bool = False
    expired: bool = False
    media_id: str | None = None
    """Once it is published."""

    def status(self, now_ms: int) -> Status:
        """How far it is."""
        if self.media_id:
            return "PUBLISHED"
        if self.expired or now_ms - self.created_ms >= CONTAINER_LIFE_MS:
            return "EXPIRED"
        if not self.ready_ms or now_ms < self.ready_ms:
            return "IN_PROGRESS"
        return "ERROR" if self.failed else "FINISHED"


@dataclass
class PageItem:
    """A post, photo or video of a Page, shown or not."""

    id: str
    account_id: str
    """The Page."""
    form: Form
    text: str
    created_ms: int
    published: bool
    ready_ms: int
    """When it is processed; 0 is never."""
    uploaded: bool = True
    failed: bool = False
    expired: bool = False
    link: str | None = None
    media: list[str] = field(default_factory=list)
    """What a post shows."""
    post_id: str | None = None
    """The post that shows a photo, video, reel or story."""

    def status(self, now_ms: int) -> Status:
        """How far it is."""
        if self.published:
            return "PUBLISHED"
        if self.expired:
            return "EXPIRED"
        if not self.uploaded or not self.ready_ms or now_ms < self.ready_ms:
            return "IN_PROGRESS"
        return "ERROR" if self.failed else "FINISHED"


@dataclass
class Rules:
    """How publishing goes, for everybody."""

    image_s: float = 0.0
    """So long an image is processed."""
    video_s: float = 2.0
    quota_total: int = 50
    containers_total: int = 400


@dataclass
class Posted:
    """All of it."""

    containers: dict[str, Container] = field(default_factory=dict)
    media: dict[str, Media] = field(default_factory=dict)
    """Published here; the seed's are not among them."""
    items: dict[str, PageItem] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Deleted media and posts."""
    orders: list[dict[str, Any]] = field(default_factory=list)
    """How the next containers, and the next videos of Pages, behave."""
    rules: Rules = field(default_factory=Rules)

    def find_media(self, media_id: str) -> Media | None:
        """The media of this id, the seed's or one that was published, unless it is deleted."""
        return None if media_id in self.gone else self.media.get(media_id) or MEDIA.get(media_id)

    def media_of(self, account: Account) -> list[Media]:
        """What this account has posted and not deleted, first the first."""
        own = [media for media in self.media.values() if media.account_id == account.id]
        return [media for media in [*media_of(account), *own] if media.id not in self.gone]

    def find_item(self, item_id: str) -> PageItem | None:
        """The post, photo or video of this id, or what is shown by the post of this id, unless it is deleted."""
        found = self.items.get(item_id) or next((one for one in self.items.values() if one.post_id == item_id), None)
        return None if found is None or found.id in self.gone else found

    def page_of_post(self, post_id: str) -> str | None:
        """The Page that shows this post, if one that was published here is."""
        item = self.find_item(post_id)
        shown = item is not None and item.published and post_id in (item.post_id, item.id)
        return item.account_id if item and shown else None
