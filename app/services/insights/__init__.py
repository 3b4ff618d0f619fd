"""Insights: what Meta tells of accounts and what they post, kept day by day, and what can honestly be said of it."""
