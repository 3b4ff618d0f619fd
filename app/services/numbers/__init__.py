"""The team's numbers: how long fans waited for an answer, how long conversations were open, and what is open now."""
