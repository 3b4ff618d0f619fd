"""What can be chosen after a log-in that leads to several accounts, as the API shows and takes it."""

from typing import Annotated

from pydantic import Field

from app.models.base import ApiModel, Doc, Page
from app.models.connections import Features
from app.models.features import AccountKind, Feature, missing_scopes, missing_tasks

AccountId = Annotated[str, Field(min_length=1, max_length=64, examples=["100000000000001"])]


class MissingOut(ApiModel):
    """Why a feature cannot be used with an account."""

    feature: Feature
    scopes: list[str]
    """What was not granted: log in again to grant it."""
    tasks: list[str]
    """What the person who logged in may not do on the Page: its administrator gives these tasks."""


class ChoiceOut(ApiModel):
    """A Page, or an Instagram account behind one, that can be connected."""

    provider_id: AccountId
    kind: AccountKind
    name: str
    username: str | None
    """Of an Instagram account."""
    picture_url: str | None
    """The provider's own address; it expires."""
    usable_features: list[Feature]
    missing: list[MissingOut]
    connected_as: str | None
    """The connection by which the label has this account already."""

    @classmethod
    def of(cls, choice: Doc, connection: Doc, *, connected_as: str | None) -> "ChoiceOut":
        """The choice of this row of a pending connection."""
        shown = {name: choice[name] for name in ("provider_id", "kind", "name", "username", "picture_url")}
        missing = [
            MissingOut(
                feature=feature,
                scopes=missing_scopes(connection["provider"], choice["kind"], feature, connection["granted_scopes"]),
                tasks=missing_tasks(feature, choice["tasks"]),
            )
            for feature in connection["features"]
        ]
        usable = [one.feature for one in missing if not (one.scopes or one.tasks)]
        lacking = [one for one in missing if one.scopes or one.tasks]
        return cls(**shown, usable_features=usable, missing=lacking, connected_as=connected_as)


class ChoicePage(Page[ChoiceOut]):
    """What can be chosen."""


class ChosenAccount(ApiModel):
    """An account to connect."""

    provider_id: AccountId
    features: Features | None = None
    """What to switch on, of what the log-in was begun with; all of that when left out."""


class AccountsChosen(ApiModel):
    """The accounts to connect, each named once."""

    accounts: Annotated[
        list[ChosenAccount],
        Field(min_length=1, max_length=20, examples=[[{"provider_id": "100000000000001", "features": ["insights"]}]]),
    ]


class DroppedFeature(ApiModel):
    """A feature that was left out."""

    feature: Feature
    reason: str
    """`scope_missing`, `task_missing`, or what the provider answered to the trial, as a stable code."""


class ChoiceResult(ApiModel):
    """What came of an account that was chosen."""

    provider_id: AccountId
    connection_id: str | None
    """The connection that has the account now, or had it before."""
    problem: str | None
    """Why it was not connected, as a stable code."""
    verified: list[Feature]
    """Those that were tried out and are on."""
    dropped_features: list[DroppedFeature]
