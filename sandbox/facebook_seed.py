"""Who lives on the Facebook side: three people and their Pages. Fixed, so that tests and demos repeat."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.seed import FAN_STRIDE, Fan, fan_number

FIRST_PAGE_FAN = 6_700_000_000_000_000
ALL_TASKS = ("ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE")
NEW_PAGE_TASKS = tuple(f"PROFILE_PLUS_{task}" for task in ALL_TASKS)
"""How the same tasks are called on Pages of the new experience."""
PERMISSIONS = (
    "public_profile",
    "email",
    "pages_show_list",
    "business_management",
    "pages_read_engagement",
    "pages_manage_metadata",
    "pages_messaging",
    "pages_manage_posts",
    "pages_read_user_content",
    "pages_manage_engagement",
    "read_insights",
    "instagram_basic",
    "instagram_content_publish",
    "instagram_manage_comments",
    "instagram_manage_messages",
    "instagram_manage_insights",
    "instagram_manage_contents",
    "instagram_manage_engagement",
    "ads_management",
    "ads_read",
)
"""What Facebook Login knows. Source: meta-platform.md, section 8.2."""


@dataclass(frozen=True)
class Page:
    """A Facebook Page."""

    number: int
    id: str
    name: str
    instagram_id: str | None = None
    """The linked Instagram account, as seeded."""
    in_business: bool = False
    """Held through a Business Manager: listed only with `business_management`."""


@dataclass(frozen=True)
class Person:
    """Someone with a Facebook account. `id` is the app-scoped one (ASID)."""

    id: str
    handle: str
    name: str
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By Page, as seeded."""


PAGES = (
    Page(0, "100000000000001", "Nightjar Records", "17841400000000001"),
    Page(1, "100000000000002", "Low Tide Tapes", "17841400000000002"),
    Page(2, "100000000000003", "Night Market"),
    Page(3, "100000000000004", "Old Mill Sound", "17841400000000003"),
    Page(4, "100000000000005", "Harbour Nights", in_business=True),
)
_NIGHTJAR, _LOW_TIDE, _MARKET, _OLD_MILL, _HARBOUR = (page.id for page in PAGES)
PEOPLE = (
    Person(
        "700000000000101",
        "robin",
        "Robin Vale",
        {_NIGHTJAR: ALL_TASKS, _LOW_TIDE: ALL_TASKS, _MARKET: ALL_TASKS},
    ),
    Person("700000000000102", "sasha", "Sasha Okafor", {_LOW_TIDE: ALL_TASKS, _OLD_MILL: ALL_TASKS}),
    Person("700000000000103", "kim", "Kim Larsen", {_OLD_MILL: ("ANALYZE",), _HARBOUR: NEW_PAGE_TASKS}),
)
POSTS = {f"{page.id}_{555_000_000_000_001 + page.number}": page for page in PAGES}
"""One post a Page."""


def find_person(name: str) -> Person | None:
    """The person of this handle, name or id."""
    return next((p for p in PEOPLE if name in (p.handle, p.name, p.id)), None)


def find_page(name: str) -> Page | None:
    """The Page of this name or id."""
    return next((p for p in PAGES if name in (p.name, p.id)), None)


def page_scoped_id(fan: Fan, page: Page) -> str:
    """The PSID under which this Page knows the fan."""
    return str(FIRST_PAGE_FAN + FAN_STRIDE * page.number + fan.number)


def fan_of_page(psid: str) -> tuple[Fan, Page] | None:
    """Who this PSID is, and towards which Page."""
    if not (psid.isascii() and psid.isdecimal()):
        return None
    page_number, number = divmod(int(psid) - FIRST_PAGE_FAN, FAN_STRIDE)
    fan = fan_number(number)
    if fan is None or not 0 <= page_number < len(PAGES):
        return None
    return fan, PAGES[page_number]
