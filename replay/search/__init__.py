"""The search that knows no subject.

Languages of traces, the campaign, the shrinker, bisection, and what they find, as values.
"""
