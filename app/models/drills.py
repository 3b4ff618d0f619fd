"""The points at which a drill may end a worker."""

from typing import Literal

SendPoint = Literal["before_intent", "before_call", "during_call", "after_call", "after_record"]
"""Around one call that sends something."""
LeavePoint = Literal[
    "leave_before_erase",
    "leave_during_erase",
    "leave_after_erase",
    "leave_before_unsubscribe",
    "leave_after_unsubscribe",
    "leave_before_revoke",
    "leave_after_revoke",
    "leave_before_destroy",
    "leave_after_destroy",
    "leave_before_verify",
    "leave_after_verify",
    "leave_after_end",
]
"""Around each call to a provider, and each step that destroys something, of a disconnect."""
RefreshPoint = Literal["refresh_answered"]
"""With a refreshed token in hand that is not stored yet."""
PublishPoint = Literal[
    "publish_before_container",
    "publish_after_container",
    "publish_after_ready",
    "publish_before_intent",
    "publish_before_call",
    "publish_during_call",
    "publish_after_call",
    "publish_after_record",
    "publish_before_comment",
    "publish_after_comment",
]
"""Around each call of a publication, and what is written down between them."""
Point = Literal[SendPoint, LeavePoint, RefreshPoint, PublishPoint]
