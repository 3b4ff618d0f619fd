"""Usage analytics: noted after a consent, passed on after a consent, summed up without people before 24 months."""
