"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace_file(target: Path, data: bytes, mode: int | None = None) -> None:
    """Put ``data`` where ``target`` is; on any failure the old file stays, and nothing else.

    Args:
        target: the file; its folder is there.
        data: its content.
        mode: its permissions; those of any new file by default.

    Raises:
        OSError: it cannot be written.
    """
    # The temporary file lies beside the target, as a rename works in one file system only.
    temporary = target.with_name(f".replay-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
