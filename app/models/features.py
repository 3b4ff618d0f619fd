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
