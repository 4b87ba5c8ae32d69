"""`ablasim atlas`: zone, margin and risk of a tumour-vessel geometry, looked up in a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablasim.cli_options import Debug, Json, Quiet
from ablasim.cli_output import NOTICE, percent, print_json, print_rows
from ablasim.errors import UsageError

if TYPE_CHECKING:
    from ablasim.assess.intervals import Estimate
    from ablasim.study.atlas import Atlas, Reading

app = typer.Typer(
    name="atlas",
    help="Zone, margin and risk of a tumour beside a vessel, looked up in a table that was computed"
    " before; `ablasim atlas` alone lists the tables.\n\n"
    "It interpolates, says how far it may be off, and refuses to extrapolate. docs/atlas.md"
    " describes how the tables were made and how to make wider ones.",
    rich_markup_mode=None,
)

DeviceName = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="Probe and protocol.", show_default=False),
]
AtlasFile = Annotated[
    Path | None,
    typer.Option("--atlas", metavar="FILE", help="A table of your own.", show_default=False),
]


@app.callback(invoke_without_command=True)
def look_up(
    context: typer.Context,
    tumour: Annotated[
        float | None,
        typer.Option("--tumour", metavar="MM", help="Diameter of the tumour.", show_default=False),
    ] = None,
    vessel: Annotated[
        float | None,
        typer.Option(
            "--vessel", metavar="MM", help="Inner diameter of the vessel.", show_default=False
        ),
    ] = None,
    distance: Annotated[
        float | None,
        typer.Option(
            "--distance",
            metavar="MM",
            help="From the tumour's surface to the vessel's wall.",
            show_default=False,
        ),
    ] = None,
    device: DeviceName = None,
    atlas: AtlasFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Look a geometry up."""
    place = {"tumour_mm": tumour, "vessel_mm": vessel, "distance_mm": distance}
    if (command := context.invoked_subcommand) is not None:
        of_lookup = {**place, "device": device, "atlas": atlas}
        for name, value in of_lookup.items():
            if value is not None:
                option = f"--{name.removesuffix('_mm')}"
                raise UsageError(f"{option}: got it before {command}; options come after {command}")
        return
    from ablasim.study.atlas import devices, load_atlas

    if atlas is not None and device is not None:
        raise UsageError("--device: got it with --atlas, which is of one device; leave one out")
    if all(value is None for value in place.values()) and device is None:
        tables = [load_atlas(name) for name in devices()] if atlas is None else [load_atlas(atlas)]
        _list(tables, as_json)
        return
    missing = [f"--{name.removesuffix('_mm')}" for name, value in place.items() if value is None]
    if device is None and atlas is None:
        missing.append(f"--device (one of {', '.join(devices())})")
    if missing:
        raise UsageError(f"atlas: missing {', '.join(missing)}; a lookup needs all of them")
    found = load_atlas(atlas if atlas is not None else str(device))
    reading = found.at(**{name: float(value or 0.0) for name, value in place.items()})
    if as_json:
        print_json(_content(found, place, reading))
        return
    print_rows(list(_rows(found, place, reading)))
    for caution in found.cautions:
        print(f"Note: {caution}")
    print(f"\n{NOTICE}")


@app.command()
def build(
    sweep: Annotated[
        Path, typer.Argument(metavar="SWEEP", help="Directory of a sweep that is done.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="To be written.")],
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="SWEEP",
            help="Cases between the nodes, to see how far the atlas is off.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a table of a sweep over tumour, vessel and distance."""
    from ablasim.study.atlas_build import build_atlas, write_atlas
    from ablasim.study.sweep_frozen import open_sweep

    made = build_atlas(open_sweep(sweep), None if check is None else open_sweep(check))
    write_atlas(made, output)
    if not quiet:
        print_rows(list(_facts(made)))
        print(f"Written to {output}")


@app.command()
def plot(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Picture: .png, .svg or .pdf.")
    ],
    device: DeviceName = None,
    atlas: AtlasFile = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw a table as heat maps, one for each tumour."""
    from ablasim.study.atlas import devices, load_atlas
    from ablasim.study.atlas_plot import plot_atlas

    if (atlas is None) == (device is None):
        raise UsageError(
            f"atlas plot: give one of --device (there are {', '.join(devices())}) and --atlas FILE"
        )
    plot_atlas(load_atlas(atlas if atlas is not None else str(device)), output)
    if not quiet:
        print(f"Drawn into {output}")


def _list(tables: list[Atlas], as_json: bool) -> None:
    if as_json:
        print_json(
            {table.device: {"title": table.title, **table.content["axes"]} for table in tables}
        )
        return
    for number, table in enumerate(tables):
        if number:
            print()
        print_rows(list(_facts(table)))
    print("\nLook up: ablasim atlas --device NAME --tumour MM --vessel MM --distance MM")
    print(NOTICE)


def _facts(atlas: Atlas) -> Iterator[tuple[str, str]]:
    yield "Device", atlas.device
    yield "", atlas.title
    names = ("Tumour", "Vessel", "Distance")
    for name, nodes in zip(names, atlas.axes, strict=True):
        yield name, ", ".join(f"{value:g}" for value in nodes) + " mm"
    yield "Samples at each of them", str(atlas.samples)
    yield "Off the nodes", _check_words(atlas)


def _check_words(atlas: Atlas) -> str:
    check = atlas.check
    if check is None:
        return "not checked"
    return (
        f"margins of {check.count} other cases ({check.resolution} meshes) are"
        f" {check.mean:+.1f} mm from the table's on average, {check.largest:.1f} mm at most"
    )


def _rows(
    atlas: Atlas, place: dict[str, float | None], found: Reading
) -> Iterator[tuple[str, str]]:
    yield "Device", atlas.title
    yield (
        "Geometry",
        f"tumour {place['tumour_mm']:g} mm, vessel {place['vessel_mm']:g} mm,"
        f" {place['distance_mm']:g} mm apart",
    )
    off = found.margin_error - found.margin.error
    parts = f"{found.margin.error:.1f} mm of interpolation"
    parts += f", {off:.1f} mm by the check below" if atlas.check is not None else ""
    margin, error = found.margin.value, found.margin_error
    yield "Minimal margin", f"{margin:.1f} mm, \N{PLUS-MINUS SIGN} {error:.1f} mm ({parts})"
    yield "Zone's volume", f"{found.volume.value:.1f} ml"
    yield "Zone's short axis", f"{found.short_axis.value:.1f} mm"
    yield "P(margin < 0)", _share(found.below_0)
    yield "P(margin < 5 mm)", _share(found.below_5)
    yield "Samples", str(atlas.samples)
    yield "Check", _check_words(atlas)


def _share(chance: Estimate) -> str:
    value, low, high = (percent(number) for number in (chance.value, chance.low, chance.high))
    return f"{value} (95 %: {low.removesuffix(' %')} to {high})"


def _content(atlas: Atlas, place: dict[str, float | None], found: Reading) -> dict[str, Any]:
    return {
        "notice": NOTICE,
        "device": atlas.device,
        **place,
        "margin_mm": {"value": found.margin.value, "error": found.margin_error},
        "volume_ml": vars(found.volume),
        "short_axis_mm": vars(found.short_axis),
        "probability": {
            "margin_below_0": vars(found.below_0),
            "margin_below_5": vars(found.below_5),
        },
        "samples": atlas.samples,
        "check": atlas.content["check"],
        "warnings": list(atlas.cautions),
        "atlas_of_ablasim": atlas.content["ablasim"],
    }
