"""Rules and what they did, on the data map."""

from app.models.collection import CONTRACT, EXPIRES, INTEREST, Collection, Index, Part, named, up

COLLECTIONS = (
    Collection(
        name="rules",
        purpose="What a label has done by itself with what fans write.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="until the rule or the label is deleted",
        ground=CONTRACT,
        export=("name", "when", "conditions", "actions", "created_at"),
        parts=(named("created_by", "actions[].assignee", export=("label_id", "name", "created_at"), what="a rule"),),
        indexes=(Index(up("label_id", "position", "_id")),),
    ),
    Collection(
        name="rule_runs",
        purpose="Which rule matched what, why, and what became of it: ids and codes, never content.",
        tenant=True,
        subject="fan",
        personal="technical",
        retention="30 days",
        ground=CONTRACT,
        of_connection="erase",
        export=("rule_id", "when", "target", "at"),
        parts=(Part("fan", ("target",), "delete", export=("when", "at"), holds="written"),),
        indexes=(
            Index(up("label_id", "rule_id", "target"), unique=True),
            Index((("label_id", 1), ("rule_id", 1), ("_id", -1))),
            Index(up("label_id", "rule_id", "fan", "answered_at"), present="answered_at"),
            Index(up("label_id", "target")),
            Index(up("label_id", "due_at"), present="due_at"),
            EXPIRES,
        ),
    ),
    Collection(
        name="rule_cursors",
        purpose="Up to which event a label's rules have looked.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="as long as the label has rules",
        ground=INTEREST,
        indexes=(Index(up("label_id"), unique=True),),
    ),
)
