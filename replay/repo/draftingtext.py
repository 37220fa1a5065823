"""What stands at the head of a drafted binding."""

from __future__ import annotations

from typing import Final

HEAD: Final = """\
# What replay verify calls in {name}, and what it looks at.
#
# Written by replay init from the library's debug information: the prototypes are facts,
# the roles and ranges are guesses. Look through them: a range should hold what the
# library must cope with and no more, and small ranges find more than wide ones. What is
# given no range takes any value of its type: small ones first, then the constants that
# the code holds and what is beside them, then any.
#
#   range = [0, 9]        a number             handle = "KIND"     an object made by an op
#   choices = [0, 1, 4]   one of these         makes = "KIND"      where a new object is put
#   bytes = [0, 16]       a buffer to read     storage = "KIND"    memory for a new object
#   inout = [0, 16]       and to change        length_of = "P"     the length of parameter P
#   out = 16              a buffer to fill     value = 0           always this
#   string = [0, 64]      characters; also     null = true         always NULL
#                         alphabet = "abc"     flags = [1, 2, 4]   any of these bits together
#   elements = [0, 16]    an array of so many  pointer = true      where a pointer is put
#   fields = {{}}           a struct; also fields = {{ x = {{ range = [0, 9] }} }}
#   start = [0, 64]       a pointer to a number that starts as one of these: with
#                         out = "P" on a buffer, the room in it, in elements
#   strings = [0, 3]      an array of strings, which length_of counts
#   string = {{ from = ["a", "b"] }}, or {{ template = "{{word}}-{{digits}}" }}, or {{ grammar = {{
#                         start = ["{{digit}}", "{{digit}}+{{start}}"] }} }}
#
#   callback = {{ returns = [0, 1], stop = 7 }}  a function that notes its calls, returns 0 or 1,
#                         and 7 at the call at which a trace has it stop; callback = true gives 0
#   user_of = "CB"        what CB is given as its user data (shown as: user)
#   function = "NAME"     the address of a function, of the library or one that it needs
#   compare = 4           a function that orders two elements of 4 bytes
#   gives = "KIND"        a pointer to a number that names a KIND: a later handle = "KIND"
#   handle = "KIND", consumes = true           an object that is dead behind the call
#
# Of an op: gives = "KIND" where it returns such a number; dies_with = "P" where what it makes
# is dead once the object P is; ends = "KIND" where the KIND objects of its own objects are dead
# behind it; where = ["want <= n", "lo + 1 < hi"] for what must hold between integers and
# lengths. [library] fail_malloc = true has an allocation fail now and then, alike at all commits.
#
# An op may also have: name, weight = 3 (drawn more often), live = 2 (objects at once),
# varargs = [["%d %s", "int", "string"]] (formats of a variadic function, and what they take),
# returns = "ignored", optional = true (not at every commit), makes, destroys, requires.
# Where a commit has another function for an op:
#
#   [[map]]
#   commits = "A..B"
#   op = "NAME"
#   function = "OTHER"
#   args = ["a", "b", 0]

format = "{format}"
"""
