"""Limits on what may be spent: what a budget is, which requests it governs, and what they have spent of it."""
