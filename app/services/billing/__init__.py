"""Billing: plans, what they entitle to, and how a label buys one."""
