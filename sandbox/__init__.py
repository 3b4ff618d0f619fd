"""The sandbox Meta: a small program that behaves like Instagram's API with Instagram Login.

It lets the product run and be tested with no Meta account. It imports nothing of the product, and the product imports
nothing of it: they meet over HTTP.
"""
