"""Files of this host: what they hold, and where ours are."""

from __future__ import annotations

import base64
import os

STATE_DIRECTORY = "/var/lib/ox-deploy"


def read(path: str) -> bytes | None:
    """Return a file's bytes, or None if there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def place_of(path: str, block: str | None) -> str:
    """Return where a file is in which a block is ours: what it is a link to stays the file of somebody else."""
    return os.path.realpath(path) if block else path


def read_present(path: str) -> bytes:
    """Return the bytes of a file that has to be there."""
    content = read(path)
    if content is None:
        raise FileNotFoundError(path)
    return content


def as_base64(data: bytes | None) -> str | None:
    """Return bytes as text for JSON."""
    return None if data is None else base64.b64encode(data).decode()


def pending_path(name: str) -> str:
    """Return the file that says: files of this service were written, but it does not use them yet."""
    return os.path.join(STATE_DIRECTORY, name + ".pending")


def block_lines(name: str) -> tuple[str, str]:
    """Return the lines around a part of a file that is ours while the rest belongs to others."""
    return f"# BEGIN ox-deploy {name}\n", f"# END ox-deploy {name}\n"


def block_in(text: str, name: str) -> str | None:
    """Return our block's inner text, or None if the file has none."""
    begin, end = block_lines(name)
    _, found, rest = text.partition(begin)
    inner, ended, _ = rest.partition(end)
    return inner if found and ended else None


def with_block(text: str, name: str, content: str) -> str:
    """Return the text with our block replaced, or added at the end."""
    begin, end = block_lines(name)
    block = begin + content + end if content else ""
    inner = block_in(text, name)
    if inner is not None:
        return text.replace(begin + inner + end, block, 1)
    # A mark that lost the other one belongs to nothing.
    text = text.replace(begin, "").replace(end, "")
    if text and not text.endswith("\n"):
        text += "\n"
    return text + block
