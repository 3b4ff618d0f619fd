"""Versions of the privacy policy, as the API shows them."""

from datetime import date
from typing import Annotated

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant
from app.models.policies import NONE_ACCEPTED, Policies, Policy, current_of, newest_material

Version = Annotated[str, Field(min_length=1, max_length=40, examples=["2026-03-13"])]
Digest = Annotated[str, Field(examples=["ccca8b1df56dcac274556df955e5ad70f05aeec63f23727a9a4e2e19a71d5e87"])]


class PolicyOut(ApiModel):
    """A version of the privacy policy, without its text."""

    version: Version
    updated_on: date
    """Its "Last updated" line."""
    current: bool
    sha256: Digest
    """Of the text, in UTF-8."""
    material: bool
    """Whether everybody is told of it."""
    changes: str
    """What is new in it."""
    url: str
    """Where its text is, below the address of this API."""

    @classmethod
    def of(cls, policy: Policy, policies: Policies) -> "PolicyOut":
        """This version."""
        return cls(
            version=policy.version,
            updated_on=policy.updated_on,
            current=policy is policies[-1],
            sha256=policy.sha256,
            material=policy.material,
            changes=policy.changes,
            url=f"/v1/privacy/policies/{policy.version}",
        )


class PolicyText(PolicyOut):
    """A version with its text."""

    text: str

    @classmethod
    def whole(cls, policy: Policy, policies: Policies) -> "PolicyText":
        """This version and its text."""
        return cls(**PolicyOut.of(policy, policies).model_dump(), text=policy.text)


class PoliciesOut(ApiModel):
    """Every version, the newest first."""

    data: list[PolicyOut]


class PolicyAcceptance(ApiModel):
    """Which version the person has read and accepts."""

    version: Version
    """The current one."""


class PolicyAccepted(ApiModel):
    """What a person has accepted."""

    version: Version
    sha256: Digest
    at: Instant


class PolicyChange(ApiModel):
    """A change of the privacy policy that everybody is told of."""

    version: Version
    updated_on: date
    changes: str
    noticed_at: Instant | None
    """When the person was sent a mail about it; null until then."""

    @classmethod
    def for_user(cls, user: Doc, policies: Policies) -> "PolicyChange | None":
        """What this person has not accepted yet, or none."""
        none_yet = user["policy_version"] == NONE_ACCEPTED
        policy = current_of(policies) if none_yet else newest_material(policies)
        if policy is None or user["policy_version"] >= policy.version:
            return None
        noticed_at = user.get("policy_noticed_at") if user["policy_noticed"] >= policy.version else None
        return cls(version=policy.version, updated_on=policy.updated_on, changes=policy.changes, noticed_at=noticed_at)
