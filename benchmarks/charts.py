"""``python -m benchmarks charts``: SVG files for the docs; needs the extra "benchmarks"."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from .environments import ROOT

__all__ = ["add_arguments", "run"]

_FOLDER = ROOT / "docs" / "images"
#: One colour for each contender, also for those who do not tell red from green.
_COLOURS = {
    "ours": "#0072b2",
    "official": "#d55e00",
    "official, poll 0": "#e69f00",
    "websocket-client": "#999999",
    "websockets": "#666666",
    "picows": "#009e73",
}
_SIZE = (7.0, 4.0)  # inches
_CPU = "CPU per message, µs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--scale", type=pathlib.Path, metavar="FILE", help="written by scale")
    parser.add_argument("--compare", type=pathlib.Path, metavar="FILE", help="written by compare")
    parser.add_argument("--folder", type=pathlib.Path, default=_FOLDER, help="(docs/images)")


def run(arguments: argparse.Namespace) -> int:
    """Draw; return the exit status."""
    try:
        import matplotlib
    except ImportError:
        print("Drawing needs matplotlib: pip install -e '.[benchmarks]'", file=sys.stderr)
        return 1
    matplotlib.use("svg")
    # The same numbers make the same file, and text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "rtms", "svg.fonttype": "none", "font.size": 10})
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.scale:
        _draw_scale(json.loads(arguments.scale.read_text()), arguments.folder)
    if arguments.compare:
        _draw_contenders(json.loads(arguments.compare.read_text()), arguments.folder)
    return 0


def _draw_scale(scale: Mapping[str, Any], folder: pathlib.Path) -> None:
    meetings, payloads = scale["meetings"], scale["payloads"]
    tls = {f"{name}, TLS": points for name, points in scale["tls_meetings"].items()}
    many = "meetings, 50 messages of 160 B a second each"
    size = "bytes in a packet, flooded on one stream"
    _lines(folder / "meetings-cpu.svg", meetings, "cpu_us", many, _CPU)
    _lines(folder / "meetings-cpu-tls.svg", tls, "cpu_us", many, _CPU)
    _lines(folder / "meetings-latency.svg", meetings, "p99_us", many, "latency p99, ms", 1000)
    _lines(folder / "payload-cpu.svg", payloads, "cpu_us", size, _CPU)


def _lines(
    file: pathlib.Path,
    series: Mapping[str, list[Mapping[str, float]]],
    key: str,
    across: str,
    up: str,
    divisor: float = 1,
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    for name, points in series.items():
        sizes = [point["size"] for point in points]
        values = [point[key] / divisor for point in points]
        axes.plot(sizes, values, marker="o", markersize=4, label=name, color=_colour(name))
    axes.set_xscale("log")
    axes.set_yscale("log")
    _finish(figure, axes, file, across, up)


def _draw_contenders(compare: Mapping[str, Any], folder: pathlib.Path) -> None:
    rows = {row["title"]: row for row in compare["rows"]}
    _bars(
        folder / "contenders-flood.svg",
        {
            "160 B": rows["flood, audio 160 B: rate"],
            "1,920 B": rows["flood, audio 1,920 B: rate"],
            "20 kB": rows["flood, video 20 kB: rate"],
            "160 B, TLS": rows["TLS flood, audio 160 B: rate"],
            "20 kB, TLS": rows["TLS flood, video 20 kB: rate"],
        },
        "messages a second",
        log=True,
    )
    hundred = "100 meetings x 50 msg/s"
    _bars(
        folder / "contenders-paced.svg",
        {
            "160 B": rows[f"{hundred}, 160 B: CPU per message"],
            "640 B": rows[f"{hundred}, 640 B: CPU per message"],
        },
        f"{_CPU}, with 100 meetings",
    )


def _bars(
    file: pathlib.Path, groups: Mapping[str, Mapping[str, Any]], up: str, *, log: bool = False
) -> None:
    from matplotlib.figure import Figure

    contenders = [
        name for name in _COLOURS if any(name in row["medians"] for row in groups.values())
    ]
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(contenders)
    for index, name in enumerate(contenders):
        medians = [_median(row, name) for row in groups.values()]
        places = [
            group + (index - len(contenders) / 2 + 0.5) * width for group in range(len(groups))
        ]
        axes.bar(places, medians, width, label=name, color=_colour(name))
    axes.set_xticks(range(len(groups)), list(groups))
    if log:
        axes.set_yscale("log")
    _finish(figure, axes, file, "", up)


def _median(row: Mapping[str, Any], name: str) -> float:
    return row["medians"].get(name, {"median": 0.0})["median"]


def _colour(name: str) -> str:
    return _COLOURS[name.removesuffix(", TLS")]


def _finish(figure: Any, axes: Any, file: pathlib.Path, across: str, up: str) -> None:
    from matplotlib.ticker import LogFormatter

    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_formatter("{x:,.10g}")
            axis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.savefig(file, metadata={"Date": None})
    print(file)
