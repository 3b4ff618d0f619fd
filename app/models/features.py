"""What a label may switch on for a connected account, and the provider's permissions ("scopes") that this needs.

Source: Meta, Instagram Login and Facebook Login, 2026-02 (meta-platform.md, section 8.2); Spotify, 2026-08.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Provider = Literal["instagram", "facebook", "spotify"]
"""Where an account's owner logs in."""
AccountKind = Literal["instagram", "page", "spotify_user"]
"""What is connected. Behind a Facebook log-in there are Pages, and the Instagram accounts linked with them."""
Feature = Literal["messages", "comments", "publishing", "insights", "catalogue"]
Duty = Literal["connect", "choose", "refresh", "check", "subscribe", "disconnect"]
"""What we do with a token to keep the connection itself in order, whichever features are on."""
UsedFor = Feature | Duty


@dataclass(frozen=True)
class Needs:
    """The scopes that an account of one kind needs."""

    basic: tuple[str, ...]
    features: dict[Feature, tuple[str, ...]]


NEEDS: dict[tuple[Provider, AccountKind], Needs] = {
    ("instagram", "instagram"): Needs(
        ("instagram_business_basic",),
        {
            "messages": ("instagram_business_manage_messages",),
            "comments": ("instagram_business_manage_comments",),
            "publishing": ("instagram_business_content_publish",),
            "insights": ("instagram_business_manage_insights",),
        },
    ),
    ("facebook", "page"): Needs(
        ("pages_show_list", "pages_read_engagement"),
        {
            "messages": ("pages_messaging", "pages_manage_metadata"),
            "comments": ("pages_read_user_content", "pages_manage_engagement", "pages_manage_metadata"),
            "publishing": ("pages_manage_posts",),
            "insights": ("read_insights",),
        },
    ),
    ("facebook", "instagram"): Needs(
        ("instagram_basic", "pages_show_list", "pages_read_engagement"),
        {
            "messages": ("instagram_manage_messages", "pages_manage_metadata"),
            "comments": ("instagram_manage_comments", "pages_manage_metadata"),
            "publishing": ("instagram_content_publish",),
            "insights": ("instagram_manage_insights",),
        },
    ),
    ("spotify", "spotify_user"): Needs((), {"catalogue": ()}),
}
WITH_WEBHOOKS: frozenset[Feature] = frozenset(("messages", "comments"))


def features_of(provider: Provider) -> frozenset[Feature]:
    """What can be switched on for an account of this provider."""
    return frozenset(feature for (name, _), needs in NEEDS.items() if name == provider for feature in needs.features)


def asked_scopes(provider: Provider, features: Collection[Feature], kind: AccountKind | None = None) -> list[str]:
    """The scopes that these features need, each once: of all kinds of account that a log-in may lead to, or of one."""
    needed = [needs for (name, of), needs in NEEDS.items() if name == provider and kind in (None, of)]
    scopes = [scope for needs in needed for scope in needs.basic]
    scopes += [scope for needs in needed for feature in features for scope in needs.features.get(feature, ())]
    return list(dict.fromkeys(scopes))


def granted_features(
    provider: Provider, kind: AccountKind, features: Collection[Feature], granted: Collection[str]
) -> list[Feature]:
    """Those of the features whose scopes were granted."""
    needs = NEEDS[provider, kind].features
    return [feature for feature in features if feature in needs and set(needs[feature]) <= set(granted)]


BY_TASKS: dict[Feature, str] = {
    "messages": "MESSAGING",
    "comments": "MODERATE",
    "publishing": "CREATE_CONTENT",
    "insights": "ANALYZE",
}
"""What a person must be allowed to do on a Page before a token of theirs can do it, there or on Instagram behind it."""
SUBSCRIBES = ("MODERATE", "CREATE_CONTENT", "MANAGE")
"""Any one of these lets a person switch a Page's webhooks on."""
NEW_PAGES = "PROFILE_PLUS_"
EVERYTHING = "FULL_CONTROL"


def missing_scopes(provider: Provider, kind: AccountKind, feature: Feature, granted: Collection[str]) -> list[str]:
    """The scopes that this feature of such an account takes and that were not granted."""
    return [scope for scope in asked_scopes(provider, [feature], kind) if scope not in granted]


def missing_tasks(feature: Feature, tasks: Collection[str]) -> list[str]:
    """The tasks that a person would need on the Page for this feature, and does not have.

    On Pages of the new kind, tasks are called `PROFILE_PLUS_…` (Meta, Page tasks, 2026-02).
    """
    have = {task.removeprefix(NEW_PAGES) for task in tasks}
    if EVERYTHING in have:
        return []
    needed = [BY_TASKS[feature]] if feature in BY_TASKS else []
    if feature in WITH_WEBHOOKS and not have.intersection(SUBSCRIBES):
        needed.append(SUBSCRIBES[0])
    return [task for task in dict.fromkeys(needed) if task not in have]
