"""What a label asks of billing, on the data map."""

from app.models.collection import CONTRACT, EXPIRES, Collection, Index, named, up

COLLECTIONS = (
    Collection(
        name="billing_orders",
        purpose="What people of a label asked of billing: a checkout, a change, the portal. No card, no name.",
        tenant=True,
        subject="team",
        personal="technical",
        retention="90 days",
        ground=CONTRACT,
        export=("kind", "plan", "interval", "created_at"),
        parts=(named("asked_by", export=("kind", "plan", "interval", "created_at"), what="an order"),),
        indexes=(
            Index(up("label_id", "running"), unique=True, present="running"),
            Index(up("label_id", "asked_by")),
            EXPIRES,
        ),
    ),
    Collection(
        name="billing_links",
        purpose="Addresses of the checkout and the portal, sealed, as long as they work.",
        tenant=True,
        subject="team",
        personal="secret",
        retention="23 hours at most",
        ground=CONTRACT,
        indexes=(EXPIRES,),
    ),
)
