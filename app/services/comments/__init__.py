"""Comments: reading them, and acting on them."""
