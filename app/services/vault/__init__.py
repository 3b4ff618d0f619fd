"""The vault: provider tokens, sealed by anyone, opened only by a process that holds the private ring (a worker)."""
