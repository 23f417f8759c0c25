"""Draws docs/ring.svg: keys on the ring of three nodes, and on the same ring after a fourth has joined.

    python -m benchmarks.ring

Nothing is invented: the points and keys stand where `respcache.client.HashRing` puts them, of which each node has 160.
"""

from __future__ import annotations

from math import cos, pi, sin
from pathlib import Path

from respcache.client.ring import HashRing, hash_md5

NAMES = ["north:6379", "east:6379", "south:6379"]
NEW = "west:6379"
KEYS = [f"user:{number}" for number in range(1, 61)]
SHADES = ["a", "b", "c", "d"]  # classes of the style sheet, in the order of the nodes

WIDTH, HEIGHT = 960, 470
RADIUS, BAND = 132.0, 24.0
CENTRES = ((250.0, 222.0), (710.0, 222.0))

STYLE = """
    text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, "DejaVu Sans", sans-serif }
    text { font-size: 13px; fill: #57606a }
    .name { font-size: 15px; font-weight: 600; fill: #24292f }
    .mid { text-anchor: middle }
    .page { fill: #ffffff; stroke: #d0d7de }
    .a { fill: #0969da } .b { fill: #1a7f37 } .c { fill: #bf8700 } .d { fill: #cf222e }
    path.band { fill: none; stroke-width: 24 }
    .band.a { stroke: #0969da } .band.b { stroke: #1a7f37 } .band.c { stroke: #bf8700 } .band.d { stroke: #cf222e }
    .way { stroke: #8c959f; stroke-width: 1; fill: none }
    .moved { stroke: #cf222e; stroke-width: 1.6; fill: none }
    @media (prefers-color-scheme: dark) {
      text { fill: #9198a1 }
      .name { fill: #f0f6fc }
      .page { fill: #0d1117; stroke: #3d444d }
      .a { fill: #4493f8 } .b { fill: #3fb950 } .c { fill: #d29922 } .d { fill: #f85149 }
      .band.a { stroke: #4493f8 } .band.b { stroke: #3fb950 } .band.c { stroke: #d29922 } .band.d { stroke: #f85149 }
      .way { stroke: #656c76 } .moved { stroke: #f85149 }
    }
"""


def at(centre: tuple[float, float], radius: float, value: int) -> tuple[float, float]:
    """Where a hash of 32 bits stands: 0 is at the top, and they grow clockwise."""
    angle = 2 * pi * value / 2**32 - pi / 2
    return centre[0] + radius * cos(angle), centre[1] + radius * sin(angle)


def arc(centre: tuple[float, float], start: int, end: int) -> str:
    """The part of the band from one hash to another, as path data."""
    (ax, ay), (bx, by) = at(centre, RADIUS, start), at(centre, RADIUS, end)
    return f"M{ax:.1f} {ay:.1f}A{RADIUS:g} {RADIUS:g} 0 0 1 {bx:.1f} {by:.1f}"


def panel(ring: HashRing, before: HashRing | None, centre: tuple[float, float], title: str) -> list[str]:
    """A ring with its keys; those that another ring gave to another node are marked."""
    shades = dict(zip([*NAMES, NEW], SHADES, strict=True))
    points = ring.points
    bands: dict[str, list[str]] = {shade: [] for shade in SHADES}
    start = 0
    for number, (value, owner) in enumerate(points):
        # A run of points of one node is one piece.
        if number + 1 < len(points) and points[number + 1][1] == owner:
            continue
        bands[shades[owner]].append(arc(centre, start, value))
        start = value
    bands[shades[points[0][1]]].append(arc(centre, start, 2**32 - 1))
    drawn = [f'<path class="band {shade}" d="{"".join(arcs)}"/>' for shade, arcs in bands.items()]
    moved = 0
    for key in KEYS:
        value, owner = hash_md5(key.encode()), ring.node(key)
        new = before is not None and before.node(key) != owner
        moved += new
        (x, y), (fx, fy) = at(centre, RADIUS + 34, value), at(centre, RADIUS + BAND / 2 + 2, value)
        drawn.append(f'<path class="{"moved" if new else "way"}" d="M{x:.1f} {y:.1f}L{fx:.1f} {fy:.1f}"/>')
        drawn.append(f'<circle class="{shades[owner]}" cx="{x:.1f}" cy="{y:.1f}" r="{5.2 if new else 3.6}"/>')
    x, y = centre
    below = f"{len(KEYS)} keys" if before is None else f"{moved} of {len(KEYS)} keys moved, all to it"
    drawn.append(f'<text class="name mid" x="{x}" y="{y - 4}">{title}</text>')
    drawn.append(f'<text class="mid" x="{x}" y="{y + 17}">{below}</text>')
    return drawn


def legend() -> list[str]:
    """The nodes and their colours, and what is to be seen."""
    drawn = []
    for number, (name, shade) in enumerate(zip([*NAMES, NEW], SHADES, strict=True)):
        x = 210 + number * 150
        drawn.append(f'<rect class="{shade}" x="{x}" y="412" width="13" height="13" rx="3"/>')
        drawn.append(f'<text x="{x + 20}" y="423">{name}</text>')
    text = "A key belongs to the next point clockwise. Every node has 160 points, so each neighbour gives a little."
    drawn.append(f'<text class="mid" x="{WIDTH / 2}" y="450">{text}</text>')
    return drawn


def draw() -> str:
    """The whole picture."""
    three = HashRing(NAMES)
    four = three.with_node(NEW)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-labelledby="title desc">',
        '<title id="title">Keys on a hash ring</title>',
        '<desc id="desc">Two rings. On the first three nodes have many small parts each, and keys around it belong '
        "to the part they stand at. On the second a fourth node has taken parts from all, and a quarter of the "
        "keys with them; the others are where they were.</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>',
        *panel(three, None, CENTRES[0], "three nodes"),
        *panel(four, three, CENTRES[1], "a fourth joins"),
        *legend(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).parent.parent.joinpath("docs", "ring.svg").write_text(draw())
