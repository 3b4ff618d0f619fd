"""Backups, and what must not come back with one. docs/backups.md."""
