"""Mail: an outbox through operations, and what is written in it."""
