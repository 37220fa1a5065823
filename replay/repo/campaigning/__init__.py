"""Campaigns on the commits of a range: verify, for as long as one likes, and resumable."""
