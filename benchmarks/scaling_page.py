"""The tables of docs/scaling.md from results/scaling.json, and the model that extrapolates them.

A time step on P ranks of one core each takes

    t(P) = f a N/P + E (l + (m - 1) o + 8 g/b) + R l log2 P,

a the time per point and step of a core whose neighbour cores are busy, f what uneven parts and
additional iterations cost, E the exchanges of ghosts and R the sums over all ranks in a step, m the
neighbours of a rank and g its ghosts; l, o and b are the network's: what a message takes, what each
further one takes, and bytes per second of each rank. Every exchange counts as one of the finest
level, also those of the multigrid's coarse levels, and one of them carries rows of a matrix.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"

ROW_BYTES = 15 * (8 + 8)
"""A ghost's row of the matrix of sigma: 15 entries, each a number and two indices of 4 bytes."""

BUSY = 0.9
"""Share of the time for which every rank must have had a core; MPI keeps it busy while it waits."""

RUN_STEPS = 150
"""Steps of a treatment of twelve minutes."""

SHOWN = (4, 16, 64, 256, 1024)
"""Ranks in the table of the model."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """Assumed, not measured.

    Attributes:
        name: what it stands for.
        latency: of a message [s].
        overhead: of each further message of an exchange [s].
        bandwidth: of each rank while all of them send [B/s].
    """

    name: str
    latency: float
    overhead: float
    bandwidth: float


NETWORKS = (
    Network("fast (InfiniBand class)", 2e-6, 0.5e-6, 0.5e9),
    Network("slow (TCP over Ethernet)", 30e-6, 5e-6, 0.03e9),
)


@dataclass(frozen=True)
class Model:
    """The numbers of the module's formula for one size.

    Attributes:
        points: N.
        per_point: a [s].
        work: f.
        exchanges: E.
        sums: R.
        neighbours: m.
        spread: ghosts of a part over the two thirds power of its points.
        set_up: before the first step [s].
    """

    points: int
    per_point: float
    work: float
    exchanges: float
    sums: float
    neighbours: int
    spread: float
    set_up: float

    def ghosts(self, ranks: int) -> float:
        """g of a part."""
        return self.spread * (self.points / ranks) ** (2.0 / 3.0) if ranks > 1 else 0.0

    def step(self, ranks: int, network: Network) -> float:
        """t(P) [s]."""
        if ranks == 1:
            return self.per_point * self.points
        ghosts, neighbours = self.ghosts(ranks), min(self.neighbours, ranks - 1)
        message = network.latency + (neighbours - 1) * network.overhead
        sent = (8.0 * self.exchanges + ROW_BYTES) * ghosts / network.bandwidth
        sums = self.sums * network.latency * math.log2(ranks)
        work = self.work * self.per_point * self.points / ranks
        return work + (self.exchanges + 1) * message + sent + sums

    def efficiency(self, ranks: int, network: Network) -> float:
        """Share of P cores' time that goes into what one core would do."""
        return self.per_point * self.points / (ranks * self.step(ranks, network))

    def half(self, network: Network) -> int:
        """The most ranks with an efficiency of at least one half."""
        ranks = 1
        while self.efficiency(ranks + 1, network) >= 0.5 and ranks < 10**6:
            ranks += 1
        return ranks


def model_of(content: Record, size: str) -> Model:
    """The model of a measured size; iterations and parts from the counts on many ranks."""
    run, counts = content["sizes"][size]["ranks"]["2"], content["counts"]
    step = run["per_step"]
    two = content["sizes"]["50k"]["ranks"]["2"]["per_step"]["products"]
    more = max(entry["per_step"]["products"] / two for entry in counts["iterations"])
    largest = max(entry["ranks"] for entry in counts["parts"])
    many = [entry for entry in counts["parts"] if entry["ranks"] == largest]
    uneven = max(entry["most_points_over_mean"] for entry in many)
    points = content["sizes"][size]["points"]
    return Model(
        points=points,
        per_point=2.0 * run["step_median_s"] / points,
        work=max(more, 1.0) * uneven,
        exchanges=step["exchanges"] + step["ghost_updates"],
        # ablasim's own sums are a reduction to rank 0 and a broadcast
        sums=step["reductions"] + 2.0 * step["sums"] + step["maxima"],
        neighbours=max(entry["most_neighbours"] for entry in many),
        spread=max(spread_of(entry) for entry in many),
        set_up=run["read_and_bind_s"] + run["set_up_s"] + run["first_potential_s"],
    )


def spread_of(parts: Record) -> float:
    """Ghosts of the part with most over the two thirds power of the mean part's points."""
    share: float = (parts["points"] / parts["ranks"]) ** (2.0 / 3.0)
    return float(parts["most_ghosts"] / share)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(content: Record) -> str:
    """Where and with what it was measured."""
    place, libraries = content["machine"], next(iter(content["sizes"].values()))["libraries"]
    hottest = ", ".join(f"{s['hottest_C']:.1f}" for s in content["sizes"].values())
    shares = [run["core_share"] for s in content["sizes"].values() for run in s["ranks"].values()]
    busy = "**The machine was busy: the times below say little.** " if min(shares) < BUSY else ""
    return busy + (
        f"Measured on {content['date']}: {place['processor']}, {place['cores']} cores,"
        f" {place['system']}, Python {place['python']}; DOLFINx {libraries['dolfinx']},"
        f" PETSc {libraries['petsc']}, ablasim {content['versions']['ablasim']}. In the"
        f" timed steps every rank had a core for at least {100.0 * min(shares):.0f} % of the time."
        f" Hottest point at the end: {hottest} °C."
    )


def times(content: Record) -> str:
    """Time per step and before the first, memory."""
    head = ["points (tetrahedra), ranks", "step [s]", "shortest, longest [s]", "speed-up"]
    head += ["read and bind [s]", "partition [s]", "set-up [s]", "memory [GB]", "bytes per point"]
    rows = []
    for size in content["sizes"].values():
        one = size["ranks"]["1"]["step_median_s"]
        for ranks, run in size["ranks"].items():
            most = " + ".join(f"{value:.2f}" for value in run["peak_memory_GB"])
            set_up = run["set_up_s"] + run["first_potential_s"] - run["partition_s"]
            rows.append(
                [
                    f"{_number(size['points'])} ({_number(size['cells'])}), {ranks}",
                    f"{run['step_median_s']:.3g}",
                    f"{run['step_shortest_s']:.3g}, {run['step_longest_s']:.3g}",
                    f"{one / run['step_median_s']:.2f}",
                    f"{run['read_and_bind_s']:.1f}",
                    f"{run['partition_s']:.1f}",
                    f"{set_up:.1f}",
                    most,
                    _number(round(run["bytes_per_point"], -2)),
                ]
            )
    return table(head, rows)


def where(content: Record) -> str:
    """What a step's time goes into."""
    head = ["points, ranks", "heat: linear solves", "heat: the rest", "potential: matrix"]
    head += ["potential: solves", "potential: the rest", "history", "the rest"]
    rows = []
    for size in content["sizes"].values():
        for ranks, run in size["ranks"].items():
            s, whole = run["seconds_per_step"], run["step_mean_s"]
            pieces = [
                s["heat_solves"],
                s["heat"] - s["heat_solves"],
                s["potential_matrix"],
                s["potential_solves"],
                s["potential"] - s["potential_matrix"] - s["potential_solves"],
                s["report"],
            ]
            pieces.append(max(whole - sum(pieces), 0.0))
            total = sum(pieces)
            shares = [f"{100.0 * max(piece, 0.0) / total:.0f} %" for piece in pieces]
            rows.append([f"{_number(size['points'])}, {ranks}", *shares])
    return table(head, rows)


def iterations(content: Record) -> str:
    """Iterations of one step."""
    head = ["points, ranks", "Newton", "heat, linear", "potential", "new hierarchies"]
    rows = []
    for size in content["sizes"].values():
        for ranks, run in size["ranks"].items():
            rows.append(_counted(f"{_number(size['points'])}, {ranks}", run))
    points = _number(content["sizes"]["50k"]["points"])
    for run in content["counts"]["iterations"]:
        rows.append(_counted(f"{points}, {run['ranks']} (counted only)", run))
    return table(head, rows)


def _counted(name: str, run: Record) -> list[str]:
    keys = ("newton_iterations", "heat_linear_iterations", "potential_iterations")
    found = [f"{run[key]:.1f}" for key in keys]
    return [name, *found, f"{run['per_step']['hierarchies']:.1f}"]


def messages(content: Record) -> str:
    """What crosses between two ranks in a step."""
    head = ["points", "ghosts of a rank", "exchanges", "sent by a rank, at most [kB]"]
    head += ["sums in PETSc", "sums of ablasim"]
    rows = []
    for size in content["sizes"].values():
        run = size["ranks"]["2"]
        step, ghosts = run["per_step"], run["parts"]["most_ghosts"]
        count = step["exchanges"] + step["ghost_updates"]
        sent = ghosts * (8.0 * count + ROW_BYTES)
        rows.append(
            [
                _number(size["points"]),
                _number(ghosts),
                f"{count:.0f}",
                _number(sent / 1e3),
                f"{step['reductions']:.0f}",
                f"{step['sums'] + step['maxima']:.0f}",
            ]
        )
    return table(head, rows)


def surfaces(content: Record) -> str:
    """Ghosts and neighbours of the parts."""
    head = ["points, ranks", "points of a part", "most ghosts", "ghosts / (points of a part)^(2/3)"]
    head += ["most neighbours", "largest part / mean"]
    dealt = [size["ranks"]["2"]["parts"] for size in content["sizes"].values()]
    dealt += content["counts"]["parts"]
    rows = [
        [
            f"{_number(entry['points'])}, {entry['ranks']}",
            _number(entry["points"] / entry["ranks"]),
            _number(entry["most_ghosts"]),
            f"{spread_of(entry):.2f}",
            str(entry["most_neighbours"]),
            f"{entry['most_points_over_mean']:.3f}",
        ]
        for entry in sorted(dealt, key=lambda entry: (entry["points"], entry["ranks"]))
    ]
    return table(head, rows)


def numbers(content: Record) -> str:
    """What goes into the model."""
    head = ["points", "a [µs]", "f", "E", "R", "m", "g / (N/P)^(2/3)"]
    rows = []
    for name, size in content["sizes"].items():
        found = model_of(content, name)
        rows.append(
            [
                _number(size["points"]),
                f"{1e6 * found.per_point:.2f}",
                f"{found.work:.2f}",
                f"{found.exchanges:.0f}",
                f"{found.sums:.0f}",
                str(found.neighbours),
                f"{found.spread:.2f}",
            ]
        )
    return table(head, rows)


def assumptions(_: Record) -> str:
    """The networks."""
    head = ["network (assumed)", "l [µs]", "o [µs]", "b [MB/s per rank]"]
    rows = [
        [n.name, f"{1e6 * n.latency:g}", f"{1e6 * n.overhead:g}", f"{n.bandwidth / 1e6:g}"]
        for n in NETWORKS
    ]
    return table(head, rows)


def extrapolation(content: Record) -> str:
    """Times of a step and efficiencies that the model expects."""
    head = ["points, network", *[f"{ranks} ranks" for ranks in SHOWN]]
    rows = []
    for name, size in content["sizes"].items():
        found = model_of(content, name)
        for network in NETWORKS:
            cells = []
            for ranks in SHOWN:
                share = 100.0 * found.efficiency(ranks, network)
                cells.append(f"{_time(found.step(ranks, network))}, {share:.0f} %")
            rows.append([f"{_number(size['points'])}, {network.name.split()[0]}", *cells])
    return table(head, rows)


def halves(content: Record) -> str:
    """Where the efficiency falls below one half, and what is left of it in a whole run."""
    head = ["points, network", "ranks at 50 %", "points per rank there", "step there"]
    head += [f"{RUN_STEPS} steps there", "set-up, if it does not shrink"]
    rows = []
    smallest = min(entry["points"] / entry["ranks"] for entry in content["counts"]["parts"])
    for name, size in content["sizes"].items():
        found = model_of(content, name)
        for network in NETWORKS:
            ranks = found.half(network)
            step = found.step(ranks, network)
            rows.append(
                [
                    f"{_number(size['points'])}, {network.name.split()[0]}",
                    str(ranks),
                    _number(round(size["points"] / ranks, -2))
                    + (" *" if size["points"] / ranks < smallest else ""),
                    _time(step),
                    _time(RUN_STEPS * step),
                    _time(found.set_up),
                ]
            )
    note = f"\n\n\\* smaller than the smallest part that was counted, {_number(smallest)} points."
    return table(head, rows) + note


BLOCKS: dict[str, Callable[[Record], str]] = {
    "machine": machine,
    "times": times,
    "where": where,
    "iterations": iterations,
    "messages": messages,
    "surfaces": surfaces,
    "numbers": numbers,
    "assumptions": assumptions,
    "extrapolation": extrapolation,
    "halves": halves,
}
"""What stands between `<!-- begin NAME -->` and `<!-- end -->` in the page."""


def filled(page: str, content: Record) -> str:
    """The page with its blocks made from the results."""

    def block(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- begin {name} -->\n\n{BLOCKS[name](content)}\n\n<!-- end -->"

    return re.sub(r"<!-- begin (\w+) -->.*?<!-- end -->", block, page, flags=re.DOTALL)


def write(content: Record) -> None:
    """Fill docs/scaling.md with what has been measured; the model needs the smallest size."""
    if "50k" not in content["sizes"] or "counts" not in content:
        print("docs/scaling.md is not written: it needs the size 50k and the counts")
        return
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), content), encoding="utf-8")
    print(f"written: {PAGE}")


def _number(value: float) -> str:
    """With a space between thousands."""
    return f"{round(value):,}".replace(",", " ")


def _time(seconds: float) -> str:
    """Seconds, or milliseconds below one."""
    value, unit = (seconds, "s") if seconds >= 1.0 else (1e3 * seconds, "ms")
    return f"{value:.0f} {unit}" if value >= 10.0 else f"{value:.1f} {unit}"
