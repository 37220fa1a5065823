"""Patches as they come by mail: a series read from a mailbox, and two versions compared.

Mail is data that anybody may have sent: nothing of it is executed, and what is shown of
it has no control characters left.
"""
