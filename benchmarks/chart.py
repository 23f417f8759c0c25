"""The chart of a load run: CPU per command against redis-server, by test and pipeline. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
# Text stays text and ids stay equal from run to run, so that a regenerated chart differs only in its bars.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "respcache", "font.family": "sans-serif"})

from matplotlib import pyplot  # noqa: E402

SHADES = ("#9ecae1", "#4292c6", "#08519c", "#08306b")
INK = "#24292f"
FAINT = "#d0d7de"
REDIS = "#c6302b"
CROWD = 8  # tests up to which figures stand upright
GROUP = 0.8  # width of a test's bars together; tests stand 1 apart


def draw(bars: Sequence[tuple[str, int, float]], path: Path) -> None:
    """Write a bar chart of (test, pipeline, CPU ratio) to a file whose suffix names the format.

    Raises ValueError if there are no bars: a ratio needs both servers.
    """
    if not bars:
        raise ValueError("nothing to draw: the chart compares both servers")
    tests = list(dict.fromkeys(test for test, _, _ in bars))
    pipelines = sorted({pipeline for _, pipeline, _ in bars})
    width = GROUP / len(pipelines)
    many = len(tests) > CROWD
    each = 0.7 if many else 1.35  # inches of a test
    figure, axes = pyplot.subplots(figsize=(max(6.0, 1.8 + each * len(tests)), 3.8), layout="constrained")
    for number, pipeline in enumerate(pipelines):
        offset = (number + 0.5) * width - GROUP / 2
        mine = [(tests.index(test) + offset, ratio) for test, p, ratio in bars if p == pipeline]
        drawn = axes.bar(
            [x for x, _ in mine],
            [ratio for _, ratio in mine],
            width * 0.92,
            color=SHADES[number % len(SHADES)],
            label="no pipeline" if pipeline == 1 else f"pipeline {pipeline}",
            zorder=2,
        )
        size, turned = (6.5, 90) if many else (8, 0)
        axes.bar_label(drawn, fmt="%.2f", fontsize=size, rotation=turned, padding=2, color=INK)
    axes.axhline(1.0, color=REDIS, linewidth=1.4, zorder=3, label="redis-server = 1.0")
    axes.set_xticks(range(len(tests)), [test.upper() for test in tests], rotation=30 if many else 0)
    axes.set_ylim(0, max(1.0, *(ratio for _, _, ratio in bars)) * 1.15)
    axes.set_title(
        "Server CPU per command, redis-server = 1.0 (lower is better)", loc="left", fontsize=11, color=INK
    )
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.7, zorder=0)
    axes.spines[:].set_visible(False)
    axes.spines["bottom"].set(visible=True, color=FAINT)
    figure.legend(
        loc="outside lower center", ncols=len(pipelines) + 1, frameon=False, fontsize=9, labelcolor=INK
    )
    figure.savefig(
        path, dpi=160, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None
    )
    pyplot.close(figure)
