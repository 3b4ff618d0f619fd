"""A stand-in for Stripe under `/stripe`: billing as `api.stripe.com` does it, for the objects that SoundOps uses.

Facts: Stripe's API reference for version 2026-10-28.endive, and the types of its SDK 16.1.0.
"""
