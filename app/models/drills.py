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
ExportPoint = Literal["export_after_sheet", "export_before_finish", "export_after_finish", "export_after_end"]
"""While an export is made: between its files, and around the moment when its object is there."""
ErasePoint = Literal[
    "erase_during_leave",
    "erase_during_records",
    "erase_after_step",
    "erase_before_end",
    "erase_after_end",
    "fan_before_erase",
    "fan_after_erase",
    "fan_before_end",
]
"""Within each step of a person's erasure, and after each; around a fan's."""
ConsentPoint = Literal[
    "notice_written",
    "notice_committed",
    "campaign_written",
    "campaign_committed",
    "usage_before_sum",
    "usage_summed",
    "usage_deleting",
    "usage_marked",
    "usage_sent",
]
"""Around each step of telling everybody something, of summing usage data up, and of passing it on."""
Point = Literal[SendPoint, LeavePoint, RefreshPoint, PublishPoint, ExportPoint, ErasePoint, ConsentPoint]
