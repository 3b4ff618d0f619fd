"""Publishing: each post goes out once, or it is said that nobody knows."""
