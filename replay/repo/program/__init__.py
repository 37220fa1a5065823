"""Programs instead of libraries: each commit's program is run, and compared with the one before.

A *case* is what one run is given: arguments, standard input, files. Cases come from an
inputs file, see ``inputs``; the program of a commit is what the build makes, see
``packing``; and two of them do the same where all that ``running`` sees of a case is alike.
"""
