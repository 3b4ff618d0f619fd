"""The privacy policy: every version that was published, its text as data, its version the day of its last update.

A new version is a new file beside the others and a line here, with what has changed. A text that was published is never
edited: its hash stands here, and a test compares it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

_FOLDER = Path(__file__).parent / "policy_texts"


@dataclass(frozen=True)
class Policy:
    """One version of the privacy policy."""

    version: str
    """The day of its "Last updated" line, as `2026-03-13`: so a later version is a greater one."""
    text: str
    sha256: str
    """Of the text, in UTF-8."""
    material: bool
    """Whether everybody is told of it (section 11): the first one changed nothing for anybody."""
    changes: str
    """What is new in it, for who is told."""

    @property
    def updated_on(self) -> date:
        """Its "Last updated" line."""
        return date.fromisoformat(self.version)


def make_policy(version: str, text: str, *, material: bool, changes: str) -> Policy:
    """A version of this text."""
    return Policy(version, text, hashlib.sha256(text.encode()).hexdigest(), material, changes)


def _published(version: str, *, material: bool, changes: str) -> Policy:
    return make_policy(version, (_FOLDER / f"{version}.txt").read_text("utf-8"), material=material, changes=changes)


NONE_ACCEPTED = "0"
"""Stands where a version would, and before every one: of somebody who has accepted none that was ever posted."""
Policies = Sequence[Policy]
"""The oldest first; the last one is current."""
POLICIES: Policies = (_published("2026-03-13", material=False, changes="The first version."),)


def current_of(policies: Policies) -> Policy:
    """The version that is current."""
    return policies[-1]


def version_of(policies: Policies, version: str) -> Policy | None:
    """The version of this name, or none."""
    return next((policy for policy in policies if policy.version == version), None)


def newest_material(policies: Policies) -> Policy | None:
    """The last version that everybody is told of, or none."""
    return next((policy for policy in reversed(policies) if policy.material), None)
