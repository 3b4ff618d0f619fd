"""What addresses are compared by."""


def email_key(email: str) -> str:
    """What an address is compared by: its letters' case makes no other person of it."""
    return email.strip().lower()
