"""Consents, usage and marketing mail on the data map."""

from app.models.collection import CONSENT, DUTY_TO_SHOW, EXPIRES, INTEREST, Collection, Index, Part, up

DECIDED = ("purpose", "decision", "text_version", "text_digest", "language", "how", "gpc", "at")
USED = ("kind", "name", "browser", "system", "at")

COLLECTIONS = (
    Collection(
        name="consents",
        purpose="Who consented to what, by which words, when and how; withdrawals and refusals too. Only added to.",
        tenant=False,
        subject="team",
        personal="technical",
        retention="of an account: as long as it; of a visitor: 30 months, as long as what it allowed may be here",
        ground=DUTY_TO_SHOW,
        export=DECIDED,
        parts=(Part("user", ("subject",), "delete", export=DECIDED),),
        indexes=(
            Index(up("subject", "seq"), unique=True),
            Index(up("subject", "purpose", "seq")),
            Index(up("purpose", "decision", "_id")),
            EXPIRES,
        ),
    ),
    Collection(
        name="usage_events",
        purpose="Which pages and features somebody used who consents to that. No addresses, no words.",
        tenant=False,
        subject="team",
        personal="technical",
        retention="until its month is summed up, 23 to 24 months; until the consent is withdrawn",
        ground=CONSENT,
        export=USED,
        parts=(Part("user", ("subject",), "delete", export=USED),),
        indexes=(
            Index(up("subject", "consent_seq")),
            Index(up("batch", "_id")),
            Index(up("month")),
            EXPIRES,
        ),
        fields=("_id", "subject", "consent_seq", "batch", "month", "expires_at", "forward", *USED),
    ),
    Collection(
        name="usage_months",
        purpose="Monthly sums of usage, each about 10 people or more.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="as long as the service: it is about nobody",
        ground=INTEREST,
        erasure="keep",
    ),
    Collection(
        name="campaigns",
        purpose="Marketing mails that our staff has started: their words, and how far they are.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="24 months",
        ground=INTEREST,
        erasure="keep",
        indexes=(EXPIRES,),
    ),
    Collection(
        name="suppressions",
        purpose="Keyed hashes of addresses that must get no marketing mail any more.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="as long as the service: who said no is not asked again by mistake",
        ground=INTEREST,
        erasure="keep",
    ),
)
