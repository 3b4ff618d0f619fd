"""Who lives in the sandbox: three accounts, their media, and their fans. Fixed, so that tests and demos repeat."""

from dataclasses import dataclass

FAN_STRIDE = 1_000_000
FIRST_FAN = 900_000_000_000_010


@dataclass(frozen=True)
class Account:
    """An Instagram professional account. `id` is what Meta calls `user_id`; `scoped_id` is its app-scoped `id`."""

    number: int
    id: str
    scoped_id: str
    self_scoped_id: str
    username: str
    name: str
    biography: str
    followers: int


@dataclass(frozen=True)
class Media:
    """Something an account has posted."""

    id: str
    account_id: str
    caption: str
    product_type: str
    posted_ms: int
    media_type: str | None = None
    """Of one that was published here; the seed's follow from `product_type`."""


@dataclass(frozen=True)
class Fan:
    """A person who may write. Every account knows the same fan under another id."""

    number: int
    handle: str
    username: str
    name: str

    def scoped_id(self, account: Account) -> str:
        """The IGSID this account sees."""
        return str(FIRST_FAN + FAN_STRIDE * account.number + self.number)


ACCOUNTS = (
    Account(
        0,
        "17841400000000001",
        "7000000000000011",
        "980000000000001",
        "nightjar.records",
        "Nightjar Records",
        "Night music on vinyl.",
        18200,
    ),
    Account(
        1,
        "17841400000000002",
        "7000000000000012",
        "980000000000002",
        "lowtide.tapes",
        "Low Tide Tapes",
        "Ambient and field recordings.",
        4100,
    ),
    Account(
        2,
        "17841400000000003",
        "7000000000000013",
        "980000000000003",
        "oldmill.sound",
        "Old Mill Sound",
        "Folk, slowly.",
        950,
    ),
)

_NAMES = ("Mara", "Jonas", "Ines", "Teo", "Ada", "Kofi", "Lena", "Ravi", "Nora", "Emil", "Yuki", "Sami")
FANS = tuple(Fan(n, name.lower(), f"{name.lower()}.listens", name) for n, name in enumerate(_NAMES, 1))

_POSTS = (("Out on Friday: the new record.", "FEED"), ("A day in the studio.", "REELS"), ("Tour dates.", "FEED"))
MEDIA = {
    media.id: media
    for account in ACCOUNTS
    for n, (caption, product_type) in enumerate(_POSTS)
    for media in [
        Media(
            str(18_000_000_000_000_001 + 100 * account.number + n), account.id, caption, product_type, 1_795_000_000_000
        )
    ]
}


def find_account(name: str) -> Account | None:
    """The account of this username or of any of its ids."""
    return next((a for a in ACCOUNTS if name in (a.username, a.id, a.scoped_id)), None)


def media_of(account: Account) -> list[Media]:
    """What this account has posted, first the first."""
    return [media for media in MEDIA.values() if media.account_id == account.id]


def find_fan(name: str) -> Fan | None:
    """The fan of this handle, username or scoped id. Beyond the named twelve, any `fan13` to `fan999000` exists."""
    named = next((fan for fan in FANS if name in (fan.handle, fan.username)), None)
    if named:
        return named
    if name.startswith("fan") and name[3:].isdecimal():
        return fan_number(int(name[3:]))
    scoped = fan_of_scoped_id(name)
    return scoped[0] if scoped else None


def fan_number(number: int) -> Fan | None:
    """The nth fan, from 1."""
    if not 1 <= number <= 999_000:
        return None
    return (
        FANS[number - 1]
        if number <= len(FANS)
        else Fan(number, f"fan{number}", f"fan{number}.listens", f"Fan {number}")
    )


def fan_of_scoped_id(igsid: str) -> tuple[Fan, Account] | None:
    """Who this IGSID is, and towards which account."""
    if not (igsid.isascii() and igsid.isdecimal()):
        return None
    account_number, number = divmod(int(igsid) - FIRST_FAN, FAN_STRIDE)
    fan = fan_number(number)
    if fan is None or not 0 <= account_number < len(ACCOUNTS):
        return None
    return fan, ACCOUNTS[account_number]
