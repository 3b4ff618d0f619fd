"""Who may do what: one table of permissions by roles and partners' scopes. What is not in it is refused."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["owner", "admin", "editor", "agent", "analyst"]
Permission = Literal[
    "label:read",
    "label:write",
    "label:own",
    "label:leave",
    "members:read",
    "members:invite",
    "members:write",
    "clients:read",
    "clients:write",
    "clients:decide",
    "audit:read",
    "support:end",
    "connections:read",
    "connections:write",
    "inbox:read",
    "inbox:write",
    "comments:read",
    "comments:write",
    "rules:read",
    "rules:write",
    "insights:read",
    "operations:read",
    "operations:write",
    "stream:read",
    "numbers:read",
    "publishing:read",
    "publishing:write",
    "assets:read",
    "assets:write",
    "publishing:approve",
    "billing:read",
    "billing:orders",
    "billing:write",
    "privacy:read",
    "privacy:write",
]
Scope = Literal[
    "label:read",
    "members:read",
    "members:invite",
    "connections:read",
    "inbox:read",
    "inbox:write",
    "comments:read",
    "comments:write",
    "insights:read",
    "operations:read",
    "stream:read",
    "publishing:read",
    "publishing:write",
    "assets:read",
    "assets:write",
    "billing:read",
]
"""The permissions that a partner's API client can be given: those of the table with `partner`."""
MetaScope = Literal[
    "members:invite",
    "connections:read",
    "inbox:read",
    "inbox:write",
    "comments:read",
    "comments:write",
    "insights:read",
]
"""Those of them that need the owner's decision: `META_SCOPES`."""


@dataclass(frozen=True)
class Rule:
    """Who has a permission, and under which conditions."""

    roles: frozenset[Role]
    partner: bool = False
    """A partner's API client may be given it, as a scope."""
    meta: bool = False
    """It reaches data from Meta, or lets somebody in who does: partners need the owner's recorded decision that this
    operates the service."""
    support: bool = False
    """Our support may use it, for a reason and a time that the label sees."""
    dangerous: bool = False
    """It needs a log-in of the last minutes."""
    while_deleting: bool = False
    """It is there until a label that is going to be deleted is gone."""


_OWNER: frozenset[Role] = frozenset(("owner",))
_ADMINS: frozenset[Role] = frozenset(("owner", "admin"))
_DESK: frozenset[Role] = _ADMINS | {"agent"}
_ALL: frozenset[Role] = _DESK | {"editor", "analyst"}

PERMISSIONS: dict[Permission, Rule] = {
    "label:read": Rule(_ALL, partner=True, support=True, while_deleting=True),
    "label:write": Rule(_ADMINS),
    "label:own": Rule(_OWNER, dangerous=True, while_deleting=True),
    "label:leave": Rule(_ALL, while_deleting=True),
    "members:read": Rule(_ALL, partner=True, support=True),
    "members:invite": Rule(_ADMINS, partner=True, meta=True),
    "members:write": Rule(_ADMINS, dangerous=True),
    "clients:read": Rule(_ADMINS, support=True),
    "clients:write": Rule(_ADMINS, dangerous=True),
    "clients:decide": Rule(_OWNER, dangerous=True),
    "audit:read": Rule(_OWNER, support=True, while_deleting=True),
    "support:end": Rule(_OWNER, support=True, while_deleting=True),
    "connections:read": Rule(_ALL, partner=True, meta=True, support=True),
    "connections:write": Rule(_ADMINS, dangerous=True),
    "inbox:read": Rule(_DESK, partner=True, meta=True),
    "inbox:write": Rule(_DESK, partner=True, meta=True),
    "comments:read": Rule(_DESK | {"editor"}, partner=True, meta=True),
    "comments:write": Rule(_DESK, partner=True, meta=True),
    "insights:read": Rule(_ADMINS | {"editor", "analyst"}, partner=True, meta=True),
    "rules:read": Rule(_DESK | {"editor"}),
    "rules:write": Rule(_ADMINS),
    "operations:read": Rule(_ALL, partner=True, support=True, while_deleting=True),
    "operations:write": Rule(_DESK),
    "stream:read": Rule(_ALL, partner=True),
    "numbers:read": Rule(_ADMINS | {"analyst"}),
    "publishing:read": Rule(_ADMINS | {"editor", "analyst"}, partner=True),
    "publishing:write": Rule(_ADMINS | {"editor"}, partner=True),
    "assets:read": Rule(_ALL, partner=True),
    "assets:write": Rule(_DESK | {"editor"}, partner=True),
    "publishing:approve": Rule(_ADMINS),
    "billing:read": Rule(_ADMINS | {"analyst"}, partner=True, support=True, while_deleting=True),
    "billing:orders": Rule(_ADMINS),
    "billing:write": Rule(_ADMINS, dangerous=True),
    "privacy:read": Rule(_ADMINS),
    "privacy:write": Rule(_ADMINS, dangerous=True),
}
MAY_GRANT: dict[Role, frozenset[Role]] = {
    "owner": _ALL,
    "admin": _ALL - _OWNER,
    "editor": frozenset(),
    "agent": frozenset(),
    "analyst": frozenset(),
}
"""Which roles somebody of a role may give, change and take away."""
META_SCOPES: frozenset[Permission] = frozenset(name for name, rule in PERMISSIONS.items() if rule.partner and rule.meta)
