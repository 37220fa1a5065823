"""What a run must keep to.

The laws of declared deviations, the properties of each step, the comparison of two steps.
"""
