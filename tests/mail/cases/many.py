"""Writes many1.mbox and many2.mbox, each N new files; titles and one line differ between them."""

import sys
from pathlib import Path

count = int(sys.argv[1])
for version, (verb, line) in enumerate((("add", "b"), ("put", "bb")), 1):
    mails = [
        f"From x Mon Sep 17 00:00:00 2001\nFrom: A B <a@b>\nDate: Wed, 6 Nov 2013 12:00:00 +0000\n"
        f"Subject: [PATCH {i}/{count}] {verb} file {i}\n\nm\n---\ndiff --git a/f{i} b/f{i}\n"
        f"new file mode 100644\n--- /dev/null\n+++ b/f{i}\n@@ -0,0 +1,3 @@\n+line {i}\n"
        f"+{line}\n+c\n"
        "-- \n2.40\n\n"
        for i in range(1, count + 1)
    ]
    Path(f"many{version}.mbox").write_text("".join(mails))
