"""What Meta counts in a text: characters, hashtags and mentions.

Meta says how many it takes, not what it counts (meta-platform.md, section 5.2). We count as its apps show it, and in
doubt one more rather than one less: a caption that we refuse is corrected in a minute, one that Meta refuses is not
published when it was promised.

- a character is one of Unicode's; `wide_characters` counts those beyond its first plane (most emoji) as two;
- a hashtag is `#` or `＃` before a letter, a digit, an underscore or an emoji, also right after another hashtag, but
  not within a word or an address;
- a mention is `@` or `＠` before a letter, a digit or an underscore, but not within a word: no address of a mail.
"""

import re

_WORD = r"\w\u200d\ufe0f\u20e3\u2600-\u27bf\U0001f000-\U0001faff"
_HASHTAGS = re.compile(rf"(?<![\w&/#＃])((?:[#＃][{_WORD}]+)+)")
_MENTIONS = re.compile(r"(?<![\w.+-])[@＠](?=\w)")


def characters(text: str) -> int:
    """How many characters it has."""
    return len(text)


def wide_characters(text: str) -> int:
    """The same as UTF-16 counts, which some of Meta's clients do."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def hashtags(text: str) -> int:
    """How many hashtags it has; one that stands twice counts twice."""
    return sum(len(re.findall("[#＃]", run)) for run in _HASHTAGS.findall(text))


def mentions(text: str) -> int:
    """How many accounts it names."""
    return len(_MENTIONS.findall(text))
