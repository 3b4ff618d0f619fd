"""Partners: API clients of a label, their secrets, scopes and tokens."""
