"""People: their accounts, how they prove who they are, and where they are logged in."""
