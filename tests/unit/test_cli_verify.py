"""`ablasim verify`: names, JSON alone on stdout, the exit code of a failure, the page."""

from __future__ import annotations

import json
import subprocess
import sys
from math import inf, nan
from pathlib import Path

import pytest

from ablasim import cli
from ablasim.verify import Case, Tolerance, registry
from ablasim.verify.case import VALUE, Row, relative
from ablasim.verify.registry import Family


def case(name: str, computed: float, *, quick: bool = True) -> Case:
    def compute() -> list[Row]:
        return [relative("theta", "K", 40.0, computed)]

    limits = {VALUE: Tolerance(0.01)}
    return Case(name, f"the case {name}", "exact", "a book", "a slip", limits, compute, quick)


@pytest.fixture(autouse=True)
def three_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that pass and one that fails instead of those of the product."""
    cases = (case("A1", 40.1), case("A2", 40.2, quick=False), case("B1", 41.0, quick=False))
    monkeypatch.setattr(registry, "families", lambda: (Family("made_up", "Made up", cases),))
    monkeypatch.setattr("ablasim.verify.families", registry.families)
    monkeypatch.setattr("ablasim.verify.page.families", registry.families)


def test_json_is_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "A*", "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)["cases"]
    assert [one["name"] for one in found] == ["A1: theta", "A2: theta"]
    for one in found:
        assert {
            "name", "kind", "reference", "computed", "error", "tolerance", "passed", "source",
        } <= set(one)  # fmt: skip
    assert found[0]["reference"] == 40.0 and found[0]["computed"] == 40.1
    assert found[0]["error"] == pytest.approx(0.0025) and found[0]["tolerance"] == 0.01
    assert found[0]["passed"] is True and found[0]["kind"] == "exact"
    assert "verify" in printed.err  # progress


def test_a_failing_case_is_shown_and_gives_its_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Catches a failure that only a reader of the table would notice."""
    assert cli.main(["verify"]) == 1
    printed = capsys.readouterr()
    assert "B1" in printed.err and "1 of 3 cases fail" in printed.err
    assert "3 cases: 2 pass, 1 fail" in printed.out
    assert cli.main(["verify", "b1", "--json", "-q"]) == 1
    (one,) = json.loads(capsys.readouterr().out)["cases"]
    assert one["passed"] is False and one["error"] == pytest.approx(0.025)


def test_the_quick_half(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "--quick", "--json", "-q"]) == 0
    assert [one["case"] for one in json.loads(capsys.readouterr().out)["cases"]] == ["A1"]


def test_the_list_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["A1", "A2", "B1"]
    assert cli.main(["verify", "--list", "--json", "B*"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["cases"]
    assert one == {
        "name": "B1", "kind": "exact", "quick": False, "title": "the case B1", "source": "a book",
    }  # fmt: skip


def test_an_unknown_name_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "A1", "A7"]) == 2
    message = capsys.readouterr()
    assert "got 'A7'" in message.err and "--list" in message.err
    assert "Traceback" not in message.err and message.out == ""
    assert cli.main(["verify", "B1", "--quick"]) == 2
    assert "quick half" in capsys.readouterr().err


def test_the_page_goes_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    assert cli.main(["verify", "-o", str(page)]) == 1
    text = page.read_text(encoding="utf-8")
    assert "## Made up" in text and "| B1 | theta | K | 40 | 41 | 2.5 % | 1 % | **FAIL** |" in text
    assert cli.main(["verify", "-o", str(tmp_path / "absent" / "page.md")]) == 2
    monkeypatch.chdir(tmp_path)
    assert cli.main(["verify", "--write"]) == 2  # not the source tree
    (tmp_path / "docs").mkdir()
    assert cli.main(["verify", "A1", "--write", "-q"]) == 0
    assert (tmp_path / "docs" / "verification.md").is_file()
    assert "Traceback" not in capsys.readouterr().err


def test_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "--help"]) == 0
    assert "1 if one fails" in " ".join(capsys.readouterr().out.split())


def test_the_list_loads_nothing_heavy() -> None:
    code = (
        "import sys; from ablasim import cli; code = cli.main(['verify', '--list']); "
        "heavy = ('jax', 'vtkmodules', 'pyvista', 'SimpleITK', 'mmgpy', 'matplotlib', 'skfem'); "
        "print(code, [name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_what_is_kept_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches parts of a long verification that lose each other, and numbers that change on the
    way through the file."""
    file, page, runs = tmp_path / "kept.json", tmp_path / "page.md", list[str]()

    def counted(name: str, computed: float) -> Case:
        def compute() -> list[Row]:
            runs.append(name)
            return [relative("theta", "K", 40.0, computed), Row("open", "K", nan, 1 / 3, inf, None)]

        return Case(name, "", "exact", "s", "c", {VALUE: Tolerance(0.01)}, compute)

    cases = (counted("A1", 40.1), counted("A2", 41.0), counted("B1", 40.2))
    found = lambda: (Family("made_up", "Made up", cases),)  # noqa: E731
    for place in ("ablasim.verify.registry", "ablasim.verify", "ablasim.verify.page"):
        monkeypatch.setattr(f"{place}.families", found)
    assert cli.main(["verify", "B1", "-q", "--kept", str(file)]) == 0
    assert cli.main(["verify", "A*", "-q", "--kept", str(file)]) == 1
    assert runs == ["B1", "A1", "A2"]
    assert cli.main(["verify", "-q", "--kept", str(file), "-o", str(page)]) == 1
    assert runs == ["B1", "A1", "A2"]
    kept = [line for line in page.read_text().splitlines() if line.startswith("| A2 | theta")]
    assert kept == ["| A2 | theta | K | 40 | 41 | 2.5 % | 1 % | **FAIL** |"]
    assert "3 cases: 2 pass, 1 fail" in page.read_text()
    assert page.read_text().count("| open | K | - | 0.333333 | inf |") == 3
    assert cli.main(["verify", "A*", "-q", "--kept", str(file), "--again"]) == 1
    assert cli.main(["verify", "-q", "--kept", str(file)]) == 1
    assert runs == ["B1", "A1", "A2", "A1", "A2"]
    assert cli.main(["verify", "A1", "-q", "--again"]) == 2


def test_a_file_that_is_not_one_of_outcomes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept.json").write_text("[1, 2]")
    assert cli.main(["verify", "A1", "--kept", str(tmp_path / "kept.json")]) == 3
    assert "not a file of" in capsys.readouterr().err
    assert cli.main(["verify", "A1", "-q", "--kept", str(tmp_path / "no" / "kept.json")]) == 3
    assert "cannot be written" in capsys.readouterr().err
