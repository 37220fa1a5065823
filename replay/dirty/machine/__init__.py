"""Machines that run a trace: one step, many steps in lockstep, and what is recorded of them."""
