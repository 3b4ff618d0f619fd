"""What fans write, on the data map."""

from app.models.collection import CONTRACT, EXPIRES, INTEREST, THIRTY_DAYS, Collection, Index, up

COLLECTIONS = (
    Collection(
        name="webhook_inbox",
        purpose="Changes that Meta delivered: the change until it is worked off, then only a keyed hash.",
        tenant=False,
        subject="fan",
        personal="content",
        retention=f"the change until it is worked off, at most {THIRTY_DAYS}; the hash 36 days",
        ground=INTEREST,
        indexes=(Index(up("due_at"), present="due_at"), EXPIRES),
    ),
    Collection(
        name="parked_changes",
        purpose="Changes of a kind we do not know yet, for an engineer to look at: their form and ids, no text.",
        tenant=True,
        subject="fan",
        personal="technical",
        retention=f"7 days, at most {THIRTY_DAYS}",
        ground=INTEREST,
        of_connection="erase",
        indexes=(EXPIRES,),
    ),
    Collection(
        name="conversations",
        purpose="Who talks with a label.",
        tenant=True,
        subject="fan",
        personal="identity",
        retention="as long as its newest message",
        ground=CONTRACT,
        of_connection="erase",
        export=("participant", "status", "tags", "last_message_at"),
        indexes=(
            Index(up("label_id", "connection_id", "participant.provider_id"), unique=True),
            *(
                Index((("label_id", 1), *up(*by), ("last_message_at", -1), ("_id", -1)), present="last_message_at")
                for by in ((), ("status",), ("assignee",), ("is_unread",), ("connection_id",), ("tags",))
            ),
            Index(up("recount_at"), present="recount_at"),
            Index(up("wake_at"), present="wake_at"),
            Index(up("profile_due_at"), present="profile_due_at"),
            Index(up("participant.provider_id")),
            EXPIRES,
        ),
    ),
    Collection(
        name="messages",
        purpose="What fans write and what the label answers.",
        tenant=True,
        subject="fan",
        personal="content",
        retention=THIRTY_DAYS,
        ground=CONTRACT,
        of_connection="erase",
        export=("direction", "content", "sent_at", "deleted_at"),
        indexes=(
            Index(up("label_id", "connection_id", "provider_id"), unique=True, present="provider_id"),
            Index((("label_id", 1), ("conversation_id", 1), ("ordered_at", -1), ("_id", -1))),
            Index((("label_id", 1), ("content.words", 1), ("ordered_at", -1), ("_id", -1)), present="content.words"),
            EXPIRES,
        ),
    ),
    Collection(
        name="notes",
        purpose="What the team writes to itself about a conversation.",
        tenant=True,
        subject="fan",
        personal="content",
        retention="as long as the conversation's newest message when it was written; later ones do not lengthen it",
        ground=CONTRACT,
        of_connection="erase",
        export=("text", "created_at"),
        indexes=(Index((("label_id", 1), ("conversation_id", 1), ("created_at", -1), ("_id", -1))), EXPIRES),
    ),
    Collection(
        name="saved_replies",
        purpose="Answers that a label's team sends again and again: their text with variables, and no fan's data.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="as long as the label",
        ground=CONTRACT,
        indexes=(Index(up("label_id", "name_key"), unique=True), Index(up("label_id", "_id"))),
    ),
    Collection(
        name="comments",
        purpose="Comments on the label's media.",
        tenant=True,
        subject="fan",
        personal="content",
        retention=THIRTY_DAYS,
        ground=CONTRACT,
        of_connection="erase",
        export=("author", "content", "media", "sent_at"),
        indexes=(
            Index(up("label_id", "connection_id", "provider_id"), unique=True),
            *(
                Index((("label_id", 1), *up(*by), ("sent_at", -1), ("_id", -1)))
                for by in ((), ("status",), ("media.provider_id",))
            ),
            Index((("label_id", 1), ("content.words", 1), ("sent_at", -1), ("_id", -1)), present="content.words"),
            Index(up("author.provider_id")),
            EXPIRES,
        ),
    ),
)
