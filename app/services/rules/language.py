"""Which languages a text may be in (py3langid, 139 languages, its model comes with it).

Fans write three words. What cannot be told apart is told as several languages, and what has hardly a letter as `und`,
so that "surely not English" can be said: neither of `en` and `und`.
"""

from functools import cache
from typing import Any

UNDETERMINED = "und"
FEWEST_LETTERS = 4
LONGEST = 600
"""Characters that are looked at; more do not change the answer."""
PLAUSIBLE = 3.0
"""Languages whose likelihood is within this of the best one's, as logarithms: 20 times less likely is not plausible."""


def languages_of(text: str) -> frozenset[str]:
    """The plausible languages, as ISO 639-1 where that has one. The first call in a process takes two seconds."""
    text = text[:LONGEST]
    if sum(letter.isalpha() for letter in text) < FEWEST_LETTERS:
        return frozenset((UNDETERMINED,))
    ranked = _identifier().rank(text.casefold())
    best = ranked[0][1]
    found = {str(language) for language, score in ranked if score >= best - PLAUSIBLE}
    return frozenset(UNDETERMINED if language == "zxx" else language for language in found)


def warm_up() -> None:
    """Load the model: in a thread, before anything is asked of it on the event loop."""
    _identifier()


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # half a second and numpy: only who needs it

    return LanguageIdentifier.from_model_file(MODEL_FILE)
