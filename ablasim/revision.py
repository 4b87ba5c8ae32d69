"""Which ablasim computes: its version, and a digest of its sources and its catalogue.

A study that goes on after a pause must not mix the numbers of two programs. The version alone does
not tell two of them apart while ablasim is being developed.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from ablasim import __version__
from ablasim.errors import InputFileError

PACKAGE = Path(__file__).resolve().parent
DECIDES = ("*.py", "catalogue/**/*.yaml")
"""Files of the package that numbers can hang on."""
DIGITS = 12


@cache
def revision() -> str:
    """The version and the first digits of the digest, as in "0.1.0+3f0c5a1b77de"."""
    return f"{__version__}+{digest_of(PACKAGE)[:DIGITS]}"


def sources_changed() -> bool:
    """Whether the files on disk are others than when `revision` was asked first."""
    return not revision().endswith(f"+{digest_of(PACKAGE)[:DIGITS]}")


def require_revision(wanted: str) -> None:
    """Refuse to compute for whoever runs another ablasim, or did when its sources were others.

    Raises:
        InputFileError: this process has another revision.
    """
    if revision() != wanted:
        raise InputFileError(
            f"this process has ablasim {revision()} and was asked by {wanted}: numbers of two"
            " programs are not mixed. Let all have the same one and start again"
        )


def digest_of(package: Path) -> str:
    """SHA-256 of the names and contents of the files below a directory that numbers hang on."""
    found = hashlib.sha256()
    for path in sorted({path for pattern in DECIDES for path in package.rglob(pattern)}):
        name = path.relative_to(package).as_posix().encode()
        content = path.read_bytes()
        found.update(b"%d %d " % (len(name), len(content)) + name + content)
    return found.hexdigest()
