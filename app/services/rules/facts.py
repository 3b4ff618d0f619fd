"""What is known of one message or comment when rules look at it.

Made once and then only read: what rules make of it depends on nothing else, so that a preview and the later effect
cannot differ.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from app.models.rule_runs import TargetKind
from app.models.rules import When
from app.services.inbox import words
from app.services.rules import spam, texts
from app.services.rules.language import languages_of

OLD_AFTER = timedelta(hours=1)
"""What we got so long after it was written was read back, not delivered: nobody expects an answer to it."""


@dataclass(frozen=True)
class Facts:
    """One message or comment. `whens` are what it counts as."""

    target_kind: TargetKind
    target: str
    whens: frozenset[When]
    label_id: str
    connection_id: str
    text: str = field(repr=False)
    sent_at: datetime
    received_at: datetime
    conversation_id: str | None = None
    own: bool = False
    """Whether the account wrote it, by whatever hand: no rule ever looks at that."""
    author_id: str | None = None
    author_handle: str | None = None
    first_contact: bool = False
    """Whether we held nothing of this fan's when it came."""
    same_text: bool = False
    """Whether somebody else had written the same in the hour before."""
    timezone: str = "UTC"
    """The label's."""

    @property
    def old(self) -> bool:
        """Whether it came long after it was written."""
        return self.received_at - self.sent_at > OLD_AFTER

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the text, as the search has them."""
        return frozenset(words.tokens(self.text))

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """The sites that the text links to."""
        return texts.hosts_in(self.text)

    @cached_property
    def emoji_only(self) -> bool:
        """Whether there are emoji and nothing else."""
        return texts.is_emoji_only(self.text)

    @cached_property
    def languages(self) -> frozenset[str]:
        """Which languages it may be in."""
        return languages_of(self.text)

    @cached_property
    def spam(self) -> spam.Spam:
        """How much like spam it looks, and why."""
        return spam.score(
            self.text,
            hosts=self.hosts,
            first_contact=self.first_contact,
            same_text=self.same_text,
        )
