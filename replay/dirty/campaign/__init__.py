"""Campaigns: many traces over all steps and lanes, what they reach, and what is kept of them."""
