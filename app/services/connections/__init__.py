"""Connections: an account at a provider, connected by its owner's log-in there, kept alive, and left again."""
