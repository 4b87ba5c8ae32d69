"""The command line: exit codes, one clear message, no traceback, clean stdout."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ablasim import cli
from ablasim.cli_options import parse_value
from ablasim.cli_output import exit_code_of, floor_percent, percent, print_result, result_rows
from ablasim.cli_progress import PlainProgress, describe, format_seconds, seconds_left
from ablasim.errors import (
    AblasimError,
    ConvergenceError,
    InputFileError,
    Interrupted,
    Problem,
    ResourceError,
    ScenarioError,
    UsageError,
)
from ablasim.progress import Progress

SCENARIOS = Path(__file__).parents[2] / "scenarios"

SCENARIO = """\
name: near_a_vessel
anatomy:
  tumour: {shape: sphere, centre_mm: [0, 0, 0], diameter_mm: 24, tissue: colorectal_metastasis}
  vessels:
    - {name: branch, kind: portal_vein, path_mm: [[16, 0, -60], [16, 0, 60]], diameter_mm: 6}
probes:
  - {model: cooled_needle_17g_30mm, tip_mm: [0, 0, -15], entry_mm: [0, 0, 90]}
protocol: {mode: power, power_W: 30, duration_s: 720}
"""

SUMMARY: dict[str, Any] = {
    "zone": {
        "criterion": "peak_60C",
        "peak_50C": {"volume_ml": 40.0},
        "peak_60C": {"volume_ml": 18.44, "long_axis_mm": 38.12, "short_axis_mm": 29.96},
    },
    "margin": {
        "minimal_mm": -1.24,
        "thinnest_point_mm": [11.9, 0.04, 1.6],
        "nearest_vessel": "portal_branch",
        "nearest_vessel_distance_mm": 3.1,
        "tumour_covered_fraction": 0.99991,
        "fraction_below_0": 0.08,
    },
    "generator": {"mean_power_W": 30.0, "final_impedance_ohm": 71.4},
    "energy": {"balance_error": 2.4e-9},
    "timing_s": {"total": 84.2},
    "warnings": ["The zone reaches the outer boundary."],
}


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Stands in for ablasim.run: does what `behaviour` says and keeps what it was called with."""
    state: dict[str, Any] = {"behaviour": lambda: SUMMARY}

    def run(scenario: Any, **options: Any) -> Any:
        state["scenario"], state["options"] = scenario, options
        if options["progress"]:
            options["progress"](Progress("solve", 0.5, "", 360.0, 720.0, 98.44, 12.31))
        return SimpleNamespace(summary=state["behaviour"](), directory=options["out"])

    module = ModuleType("ablasim.run")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ablasim.run", module)
    yield state


def raising(error: BaseException) -> Any:
    def behaviour() -> Any:
        raise error

    return behaviour


def test_help_names_the_commands() -> None:
    """Also catches a command whose module loads what the help does not need: it stays at 0.1 s."""
    code = (
        "import sys; from ablasim import cli; assert cli.main(['--help']) == 0\n"
        "print([name for name in ('numpy', 'pydantic', 'ablasim.verify') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    commands = re.findall(r"^  ([a-z]+)  ", done.stdout.partition("Commands:")[2], re.MULTILINE)
    names = "check mesh run risk compare view info verify doctor sweep atlas"
    assert commands == names.split()
    assert "not a medical device" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"ablasim \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run"],
        ["run", "x.yaml"],
        ["run", "x.yaml", "-o", "d", "--device", "tpu"],
        ["run", "x.yaml", "-o", "d", "--engine", "abaqus"],
        ["run", "x.yaml", "-o", "d", "--petsc", "-heat_ksp_type cg"],
        ["info"],
        ["info", "furniture"],
        ["info", "tissues", "--schema"],
        ["check", "x.yaml", "--set", "no_equals_sign"],
        ["doctor", "--only", "nonsense"],
    ],
)
def test_a_wrong_command_line_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.strip()
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AblasimError("x"), 1),
        (ScenarioError([Problem("a", 1, "x")]), 2),
        (UsageError("x"), 2),
        (InputFileError("x"), 3),
        (ConvergenceError("x"), 4),
        (ResourceError("x"), 5),
        (MemoryError(), 5),
        (OSError(errno.ENOSPC, "No space left on device"), 5),
        (OSError(errno.EIO, "I/O error"), 1),
        (RuntimeError("RESOURCE_EXHAUSTED: out of memory"), 5),
        (Interrupted("x"), 130),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputFileError("liver.nii.gz: truncated"), 3, "liver.nii.gz: truncated"),
        (ConvergenceError("kept in out/x.partial"), 4, "kept in out/x.partial"),
        (MemoryError(), 5, "not enough memory"),
        (Interrupted("continue from out/x.checkpoint"), 130, "continue from out/x.checkpoint"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("by zero"), 1, "--debug"),
    ],
)
def test_a_failing_run(
    error: BaseException,
    code: int,
    said: str,
    scenario: Path,
    fake_run: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_run["behaviour"] = raising(error)
    assert cli.main(["run", str(scenario), "-o", str(scenario.parent / "out"), "-q"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_debug_shows_the_traceback(
    scenario: Path, fake_run: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_run["behaviour"] = raising(ZeroDivisionError("by zero"))
    assert cli.main(["run", str(scenario), "-o", "out", "-q", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_run_passes_everything_on(scenario: Path, fake_run: dict[str, Any]) -> None:
    words = ["run", str(scenario), "-o", "out", "-q", "--device", "cpu", "--force", "--no-resume"]
    words += ["--set", "protocol.power_W=41.5", "--set", "probes[0].tip_mm=[0, 0, -10]"]
    assert cli.main([*words, "--resolution", "preview"]) == 0
    loaded, options = fake_run["scenario"], fake_run["options"]
    assert loaded.protocol.power_W == 41.5
    assert loaded.probes[0].tip_mm == (0, 0, -10)
    assert loaded.numerics.resolution == "preview"
    assert options == {
        "out": Path("out"),
        "engine": "jax",
        "device": "cpu",
        "progress": None,
        "resume": False,
        "force": True,
        "options": None,
    }


def test_run_refuses_what_only_dolfinx_reads(
    scenario: Path, fake_run: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for option, value in (("--scheme", "euler"), ("--degree", "2"), ("--petsc", "-heat_ksp_view")):
        assert cli.main(["run", str(scenario), "-o", "out", option, value]) == 2
        assert f"{option}: only the engine dolfinx reads it" in capsys.readouterr().err
    assert "options" not in fake_run


def test_run_prints_json_alone_on_stdout(
    scenario: Path, fake_run: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(scenario), "-o", "out", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == SUMMARY
    assert "360 of 720 s  peak 98.4 °C  lethal 12.3 ml" in printed.err
    assert "not a medical device" in printed.err


def test_a_faulty_scenario_names_every_field(
    scenario: Path, fake_run: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.write_text(
        SCENARIO.replace("power_W: 30", "power_W: -30").replace("diameter_mm: 6", "diametre_mm: 6"),
        encoding="utf-8",
    )
    for command in (["check"], ["run", "-o", str(scenario.parent / "out")]):
        assert cli.main([command[0], str(scenario), *command[1:]]) == 2
        message = capsys.readouterr().err
        assert "power_W" in message and "diametre_mm" in message
        assert f"{scenario}:8" in message  # the line of the protocol
        assert "Traceback" not in message
    assert "options" not in fake_run
    assert sorted(path.name for path in scenario.parent.iterdir()) == ["scenario.yaml"]


def test_check_says_what_a_run_would_do(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(scenario)]) == 0
    printed = capsys.readouterr().out
    for text in ("colorectal_metastasis, sphere of 24 mm", "branch", "portal_vein, 6 mm"):
        assert text in printed
    assert "30 W constant power for 720 s" in printed
    assert "not a medical device" in printed
    assert "too thin" not in printed
    thin = "anatomy.vessels[0].diameter_mm=2.9"
    assert cli.main(["check", str(scenario), "--set", thin]) == 0
    assert "too thin to mesh: counts as perfusion" in capsys.readouterr().out


def check_of(capsys: pytest.CaptureFixture[str], name: str, *changes: str) -> str:
    words = [word for change in changes for word in ("--set", change)]
    assert cli.main(["check", str(SCENARIOS / f"{name}.yaml"), *words]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_check_tells_what_is_held_and_by_which_laws(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a protocol or a model that shows only after the run."""
    steps = [
        {"power_W": 30, "duration_s": 60},
        {"duration_s": 9},
        {"voltage_V": 20.5, "duration_s": 5},
    ]
    told = check_of(capsys, "rf_beside_portal_vein",
                    f"protocol={json.dumps({'mode': 'steps', 'steps': steps})}")  # fmt: skip
    assert "step 1: 30 W for 60 s step 2: off for 9 s step 3: 20.5 V for 5 s" in told
    assert "6 mm, 12 cm/s, wall by hausen over 50 mm" in told
    many = {"mode": "steps", "steps": steps * 10}
    assert "and 18 more steps" in check_of(
        capsys, "rf_beside_portal_vein", f"protocol={json.dumps(many)}"
    )
    told = check_of(capsys, "rf_switched_three_needles")
    assert "turn 1: probe 0 against its return turn 2: probe 1 against its return" in told
    vein = "anatomy.vessels[0].h_W_m2K=900"
    told = check_of(capsys, "mw_beside_hepatic_vein", vein)
    assert "field at 2450 MHz, dielectric ji_brace_2011" in told
    assert "wall coefficient 900 W/m2/K" in told
    told = check_of(capsys, "mw_beside_hepatic_vein", "physics.microwave_model=parametric")
    assert "parametric pattern, fitted at 2450 MHz" in told and "ji_brace" not in told
    assert "Microwaves" not in check_of(capsys, "rf_bipolar")
    assert "Vessel portal_vein diameters measured, wall by hausen" in check_of(
        capsys, "patient_like"
    )


def test_check_warns_of_a_correlation_out_of_its_range(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence that the summary has after the run; not for a vessel that is not meshed."""
    slow = ("anatomy.vessels[0].correlation=sieder_tate", "anatomy.vessels[0].velocity_cm_s=0.1")
    told = check_of(capsys, "rf_beside_portal_vein", *slow)
    assert "Note: Vessel portal_branch: the correlation 'sieder_tate' is meant for" in told
    thin = check_of(capsys, "rf_beside_portal_vein", *slow, "anatomy.vessels[0].diameter_mm=2")
    assert "Note:" not in thin


def test_check_prints_json(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(scenario), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scenario"]["protocol"]["power_W"] == 30
    assert cli.main(["check", str(scenario), "--json", "--set", "protocol.power_W=-1"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert [problem["path"] for problem in found["problems"]] == ["protocol.power_W"]


def test_check_warns_of_misleading_models(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches a caution that reaches only those who have already run the case."""
    chosen = ["--set", "assessment.criterion=cem43_240"]
    assert cli.main(["check", str(scenario), *chosen]) == 0
    printed = capsys.readouterr().out
    assert "Note: assessment.criterion cem43_240" in printed
    assert "cem43_240, target margin 5 mm" in printed
    assert cli.main(["check", str(scenario), "--json", *chosen]) == 0
    (text,) = json.loads(capsys.readouterr().out)["warnings"]
    assert "50 °C" in text
    assert cli.main(["check", str(scenario), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []


def test_a_missing_scenario_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(tmp_path / "absent.yaml")]) == 3
    assert "absent.yaml" in capsys.readouterr().err


def test_check_loads_nothing_heavy(scenario: Path) -> None:
    code = (
        "import sys; from ablasim import cli; code = cli.main(['check', sys.argv[1], '-q']); "
        "heavy = ('jax', 'dolfinx', 'vtkmodules', 'pyvista', 'SimpleITK', 'mmgpy', 'matplotlib'); "
        "print(code, [name for name in heavy if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(scenario)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0 []\n"


@pytest.mark.parametrize("kind", ["tissues", "probes", "vessels"])
def test_info_gives_a_source_for_every_number(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) > 4
    assert all(row["source"].strip() and row["unit"] for row in rows)
    assert cli.main(["info", kind]) == 0
    assert rows[0]["name"] in capsys.readouterr().out


def test_info_schema_is_a_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"name", "probes", "protocol"} <= set(schema["properties"])


def test_doctor_tries_what_it_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["doctor", "--json"]
    for name in ("python", "packages", "jax", "mmgpy", "cache", "disk"):
        words += ["--only", name]
    assert cli.main(words) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert list(checks) == ["python", "packages", "jax", "mmgpy", "cache", "disk"]
    assert all(check["ok"] for check in checks.values())
    assert "cpu" in checks["jax"]["detail"] or "gpu" in checks["jax"]["detail"]


def test_doctor_fails_with_a_remedy_where_the_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ABLASIM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert cli.main(["doctor", "--only", "cache"]) == 5
    printed = capsys.readouterr().out
    assert "MISSING" in printed and "ABLASIM_CACHE_DIR" in printed


def test_a_crashing_trial_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from ablasim import doctor

    # VTK without OpenGL libraries dies of a segmentation fault.
    monkeypatch.setattr(doctor, "RENDER", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (check,) = doctor.examine(["rendering"])
    assert not check.ok and not check.required
    assert "signal 11" in check.detail and check.remedy


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("40", 40),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("[1, 2.5]", [1, 2.5]),
        ("true", True),
        ("null", None),
        ("preview", "preview"),
        ("NaN", "NaN"),
        ("-inf", "-inf"),
        ("Infinity", "Infinity"),
    ],
)
def test_values_of_set(text: str, value: Any) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_the_table_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.html").touch()
    print_result(SUMMARY, tmp_path)
    printed = capsys.readouterr().out
    for text in (
        "Lethal zone (reached 60 °C)  18.4 ml, 38.1 x 30.0 mm",
        "-1.3 mm (the zone does not cover the tumour)",  # -1.24 mm, rounded down
        "8 % below 0",
        "portal_branch, 3.1 mm away",
        "99.9 % of its volume",
        "30.0 W on average, 71 ohm at the end",
        "1 min 24 s",
        "Note: The zone reaches the outer boundary.",
        "report.html",
        "preview.png was not drawn",
        "not a medical device",
    ):
        assert text in printed
    assert "fields.vtu" not in printed


def test_the_table_of_a_run_without_a_tumour() -> None:
    rows = dict(result_rows({"zone": SUMMARY["zone"], "margin": None}))
    assert list(rows) == ["Lethal zone (reached 60 °C)"]


def test_the_criteria_stand_side_by_side() -> None:
    """Catches a table without the zones that a model leaves empty."""
    zone = {"criterion": "arrhenius", "short_axis_spread_mm": 3.0}
    zone["arrhenius"] = {
        "title": "Arrhenius", "says": "reached an integral of 1", "volume_ml": 9.0,
        "long_axis_mm": 30.0, "short_axis_mm": 20.0,
    }  # fmt: skip
    zone["three_state"] = {"title": "three-state", "says": "is dead", "volume_ml": 0.0}
    margin = {"by_criterion": {"arrhenius": 1.25, "three_state": None}, "criterion_spread_mm": 0.0}
    rows = dict(result_rows({"zone": zone, "margin": margin}))
    assert rows["Lethal zone (reached an integral of 1)"].startswith("9.0 ml, 30.0 x 20.0 mm")
    assert rows["  Arrhenius"] == "9.0 ml, 20.0 mm, 1.2 mm"
    assert rows["  three-state"] == "0.0 ml, 0.0 mm, none"
    assert rows["  spread of the margin"] == "0.0 mm"


def test_a_margin_stands_beside_its_target() -> None:
    margin = {"minimal_mm": 3.21}
    summary = {"margin": margin, "scenario": {"assessment": {"target_margin_mm": 5.0}}}
    assert dict(result_rows(summary)) == {
        "Minimal ablative margin": "3.2 mm (below the target of 5 mm)"
    }
    for minimal, text in (
        (4.96, "4.9 mm (below the target of 5 mm)"),
        (5.0, "5.0 mm (target 5 mm)"),
    ):
        margin["minimal_mm"] = minimal
        assert dict(result_rows(summary))["Minimal ablative margin"] == text
    margin["minimal_mm"] = -0.04
    assert dict(result_rows(summary))["Minimal ablative margin"].startswith("-0.1 mm")


def test_what_is_set_apart_at_the_capsule_is_printed_where_something_is() -> None:
    """Where all of a tumour lies at the capsule nothing is set apart: its margin is the margin."""
    margin = {"minimal_mm": 3.0, "subcapsular_minimal_mm": 3.0, "fraction_subcapsular": 0.0}
    assert "  at the liver capsule" not in dict(result_rows({"margin": margin}))
    margin["fraction_subcapsular"] = 0.25
    assert dict(result_rows({"margin": margin}))["  at the liver capsule"].endswith(
        "25 % of the surface"
    )


def test_an_incomplete_cover_never_reads_100_percent() -> None:
    assert floor_percent(0.99999) == "99.9 %"
    assert floor_percent(1.0) == "100.0 %"
    assert [percent(x) for x in (0.0, 0.001, 0.31, 0.998, 1.0)] == [
        "0 %",
        "<1 %",
        "31 %",
        ">99 %",
        "100 %",
    ]


def test_plain_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    show = PlainProgress(interval=3600.0)
    for fraction in (0.0, 0.3, 0.6, 1.0, 1.0):
        show(Progress("solve", fraction, time_s=720 * fraction, duration_s=720.0))
    show(Progress("assess", 0.0, "surface of the zone"))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("%")[0].split() for line in lines] == [
        ["solve", "0"],
        ["solve", "100"],
        ["assess", "0"],
    ]
    assert lines[2].endswith("surface of the zone")


def test_bars_show_numbers_and_brackets_as_they_are() -> None:
    from rich.console import Console

    from ablasim.cli_progress import BarProgress, _rich_display

    display = _rich_display()
    screen = io.StringIO()
    display.live.console = Console(file=screen, force_terminal=True, width=120)
    with display:
        BarProgress(display)(Progress("solve", 0.5, "[bold] probes[0]", 360, 720, 98.44, 12.31))
    for text in ("solve", "360 of 720 s  peak 98.4 °C  lethal 12.3 ml", "[bold] probes[0]"):
        assert text in screen.getvalue()


def test_times_for_people() -> None:
    assert format_seconds(45.4) == "45 s"
    assert format_seconds(200.0) == "3 min 20 s"
    assert seconds_left(0.25, 10.0) == pytest.approx(30.0)
    assert seconds_left(0.0, 10.0) is None
    assert describe(Progress("mesh", 0.1)) == ""


def test_a_closed_pipe_is_no_traceback() -> None:
    command = [sys.executable, "-m", "ablasim.cli", "info", "--schema"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        done = subprocess.run(
            command, stdout=broken, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_that_a_rerun_continues_from(
    scenario: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    output = tmp_path / "runs" / "first"
    command = [sys.executable, "-m", "ablasim.cli", "run", str(scenario), "-o", str(output), "-v"]
    command += ["--resolution", "preview", "--set", "anatomy.vessels=[]", "--device", "cpu"]
    # As for a user: without the strict settings that the tests make for JAX.
    settings = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    # The mesh is made in the first process, since MMG takes Ctrl-C away; the kernels are shared.
    settings["JAX_COMPILATION_CACHE_DIR"] = str(Path(os.environ["ABLASIM_CACHE_DIR"]) / "jax")
    settings["ABLASIM_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen(command, env=settings, **pipes) as job:
        assert job.stderr is not None
        for line in job.stderr:
            if simulated_time(line) > 100.0:
                job.send_signal(signal.SIGINT)
                break
        message = job.stderr.read()
    assert job.returncode == 130
    assert "Traceback" not in message
    (checkpoint,) = output.parent.iterdir()
    assert str(checkpoint) in message
    assert not output.exists()

    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, check=True, **pipes)
    times = [t for line in done.stderr.splitlines() if (t := simulated_time(line)) >= 0.0]
    assert 100.0 < times[0] < times[-1] == 720.0
    assert (output / "summary.json").is_file()
    assert list(output.parent.iterdir()) == [output]


def simulated_time(line: str) -> float:
    """Simulated time [s] in a line of progress; -1 where it has none."""
    found = re.search(r"([\d.]+) of 720 s", line)
    return float(found[1]) if found else -1.0
