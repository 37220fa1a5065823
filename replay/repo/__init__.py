"""The user's own series: commits of any git repository, built, called and compared.

``git`` reads the repository without a trace in it, ``building`` runs the user's build
command on each commit, ``shapes`` reads what the library says of its functions,
``binding`` and ``bindingfile`` say which calls to make, ``runner`` makes them in a process
of its own, ``targets`` turns trees into libraries that can be called, ``campaign`` compares
them in pairs on traces of a ``language``, ``judging`` says what that means for each,
``code`` proves that two commits have the same code or names the functions that differ,
``lines`` and ``reach`` tell which of the changed lines traces came by, and
``verify`` puts it together for a history and ``searching`` asks only some of its
commits. Of what is read here only the build command, the library it makes, and a model that
was asked for are ever executed.
"""
