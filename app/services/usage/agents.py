"""A browser's own description, reduced to two words from closed lists at once; the rest of it is never kept."""

import re

OTHER = "other"
BROWSERS = (
    ("Edge", re.compile(r"\bEdg(?:e|A|iOS)?/")),
    ("Opera", re.compile(r"\bOPR/|\bOpera\b")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/")),
    ("Chrome", re.compile(r"\b(?:Chrome|CriOS|Chromium)/")),
    ("Safari", re.compile(r"\bSafari/")),
)
"""In this order: most browsers name others, too."""
SYSTEMS = (
    ("iOS", re.compile(r"\b(?:iPhone|iPad|iPod)\b")),
    ("Android", re.compile(r"\bAndroid\b")),
    ("Windows", re.compile(r"\bWindows\b")),
    ("macOS", re.compile(r"\bMac OS X\b|\bMacintosh\b")),
    ("ChromeOS", re.compile(r"\bCrOS\b")),
    ("Linux", re.compile(r"\bLinux\b")),
)


def browser_of(agent: str) -> str:
    """The family of the browser."""
    return next((name for name, pattern in BROWSERS if pattern.search(agent)), OTHER)


def system_of(agent: str) -> str:
    """The family of the operating system."""
    return next((name for name, pattern in SYSTEMS if pattern.search(agent)), OTHER)
