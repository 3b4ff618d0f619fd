"""What can be seen of a text without knowing what it says: links, emoji, letters that hide or pose as others. Pure."""

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b

_LINK = re.compile(
    r"(?:https?://|\bwww\.)(?P<addressed>[^\s/?#:]+)"
    r"|(?<![\w@.-])(?P<bare>(?:[\w-]+\.)+[a-z]{2,24})(?P<path>/\w)?(?![@-])\b",
    re.IGNORECASE,
)
"""An address, or a bare name of a site. Neither way can read the same text twice, so its time is linear."""
_SITES = frozenset(
    (
        *("com", "net", "org", "info", "biz", "io", "co", "app", "dev", "link", "shop", "store", "xyz", "top", "site"),
        *("online", "live", "club", "fm", "tv", "ly", "gg", "cc", "vip", "win", "bid", "icu", "page", "wiki", "ink"),
        *("music", "band", "rocks", "ru", "uk", "fr", "nl", "pl", "se", "dk", "eu", "ch", "br", "jp", "cn", "au"),
    )
)
"""Endings of names that are sites by themselves. Others are only where a path follows: `Yes.Me too` is none."""
_SPACES = re.compile(r"\s+")
_HIDDEN = frozenset("\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u180e\u202a\u202b\u202d\u202e")
_EMOJI_PARTS = frozenset("\u200d\ufe0f\u20e3")
_POSING = str.maketrans("авекмнорстухіјѕԁɡοαεινκρτυχ", "abekmhopctyxijsdgoaeivkptux")
"""Cyrillic and Greek letters that look like Latin ones."""


def hosts_in(text: str) -> tuple[str, ...]:
    """The sites that a text links to, each once, lower case, without `www.`; bare names like `bandcamp.com` too."""
    found: dict[str, None] = {}
    for link in _LINK.finditer(text):
        host = (link["addressed"] or link["bare"]).casefold().rpartition("@")[2].removeprefix("www.").strip(".,;)!]")
        if "." in host and (link["addressed"] or link["path"] or host.rpartition(".")[2] in _SITES):
            found[host] = None
    return tuple(found)


def is_emoji_only(text: str) -> bool:
    """Whether there is an emoji, and nothing beside emoji and spaces."""
    bare = _SPACES.sub("", text)
    return any(_is_emoji(character) for character in bare) and all(
        _is_emoji(character) or character in _EMOJI_PARTS or 0xE0020 <= ord(character) <= 0xE007F for character in bare
    )


def hidden_in(text: str) -> int:
    """How many characters nobody can see. What joins emoji or belongs to a script that needs it is none of them."""
    return sum(character in _HIDDEN for character in text)


def lookalikes_in(text: str) -> int:
    """How many words mix Latin letters with Cyrillic or Greek ones, or are written in mathematical letters."""
    return sum(_is_posing(word) for word in text.split())


def plain(text: str) -> str:
    """The text as phrases are looked for in it: folded, nothing hidden, no disguise, single spaces."""
    shown = "".join(character for character in text if character not in _HIDDEN)
    folded = unicodedata.normalize("NFKC", shown).casefold()
    undisguised = " ".join(word.translate(_POSING) if _is_posing(word) else word for word in folded.split())
    letters = "".join(character if character.isalnum() else " " for character in undisguised)
    return _SPACES.sub(" ", letters).strip()


def same_text_key(label_id: str, text: str) -> str | None:
    """What two texts have in common that say the same; none of a text too short to say anything.

    It tells nothing of the text across labels, and stands beside it in `content`, so that it goes with it.
    """
    said = plain(text)
    if len(said) < 12:
        return None
    return blake2b(said.encode("utf-8", "replace"), key=label_id.encode()[:64], digest_size=12).hexdigest()


def same_text(label_id: str, text: str | None) -> dict[str, str]:
    """What goes into a comment's `content`, so that others that say the same are found."""
    key = same_text_key(label_id, text or "")
    return {"same": key} if key else {}


def _is_emoji(character: str) -> bool:
    if ord(character) < 0x203C:
        return False
    return unicodedata.category(character) == "So" or 0x1F3FB <= ord(character) <= 0x1F3FF or character in "‼⁉"


def _is_posing(word: str) -> bool:
    scripts = {_script(character) for character in word if character.isalpha()}
    return "mathematical" in scripts or ("LATIN" in scripts and bool(scripts & {"CYRILLIC", "GREEK"}))


@lru_cache(4096)
def _script(character: str) -> str:
    if 0x1D400 <= ord(character) <= 0x1D7FF:
        return "mathematical"
    return unicodedata.name(character, "").partition(" ")[0]
