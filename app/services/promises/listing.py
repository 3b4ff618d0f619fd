"""The list of promises: each sentence of sections 2 to 11 of the policy that binds us, and what shows that it holds."""

from app.services.promises import sections_2_3, sections_4_5, sections_6_11
from app.services.promises.promise import Promise

PROMISES: tuple[Promise, ...] = (*sections_2_3.PROMISES, *sections_4_5.PROMISES, *sections_6_11.PROMISES)
BY_ID = {promise.id: promise for promise in PROMISES}
"""By id."""
BINDS_NOBODY = {
    "Legal requirements — when required by law, regulation, or legal process": (
        "It says what others may ask for. Whom we must tell, people decide, outside of the software."
    ),
    "Business transfers — in connection with a merger, acquisition, or sale of assets": (
        "It says what may happen to the company."
    ),
    "We may share information with:": "Those whom we share it with follow, each with a promise of its own.",
    "Specifically:": "What it is follows, each with a promise of its own.",
    "Specific retention periods include:": "They follow, each with a promise of its own.",
    "However, no method of electronic transmission or storage is 100% secure.": "It says what cannot be promised.",
    "We may update this Privacy Policy from time to time.": "It says what may happen to the policy.",
    "Depending on your jurisdiction, you may have the right to:": "The rights follow, each with promises of its own.",
}
"""Sentences of sections 2 to 11 that promise nothing, and why."""
