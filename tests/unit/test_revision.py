"""A digest of the sources tells two programs of one version apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablasim import __version__
from ablasim.revision import DIGITS, digest_of, revision, sources_changed


def test_any_source_and_any_number_of_the_catalogue_counts(tmp_path: Path) -> None:
    (tmp_path / "catalogue").mkdir()
    (tmp_path / "solve").mkdir()
    source, number = tmp_path / "solve" / "heat.py", tmp_path / "catalogue" / "tissues.yaml"
    source.write_text("a = 1\n")
    number.write_text("k: 0.5\n")
    seen = {digest_of(tmp_path)}
    for path, text in ((source, "a = 2\n"), (number, "k: 0.6\n"), (tmp_path / "new.py", "")):
        path.write_text(text)
        seen.add(digest_of(tmp_path))
    source.rename(tmp_path / "solve" / "cold.py")
    assert len(seen | {digest_of(tmp_path)}) == 5
    before = digest_of(tmp_path)
    (tmp_path / "notes.md").write_text("no number hangs on it")
    assert digest_of(tmp_path) == before


def test_it_begins_with_the_version() -> None:
    version, digest = revision().split("+")
    assert version == __version__ and len(digest) == DIGITS


def test_sources_that_change_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not sources_changed()
    (tmp_path / "other.py").write_text("")
    monkeypatch.setattr("ablasim.revision.PACKAGE", tmp_path)
    assert sources_changed()
