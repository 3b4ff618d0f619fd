"""Labels, the tenants: what they are, who works for them, who is asked to, and how one ends."""
