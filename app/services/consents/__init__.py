"""What people have consented to: a ledger that only grows, the visitors' cookie, and who must not be mailed again."""
