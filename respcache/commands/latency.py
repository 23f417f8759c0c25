"""LATENCY: what held the server up (the latency monitor), and how long commands take (the statistics)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from respcache.commands.help import help_reply
from respcache.features.latency import LatencyEvent
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import array, bulk, integer, text
from respcache.registry import ADMIN, LOADING, NOSCRIPT, REGISTRY, STALE, command, container
from respcache.state import Client

GRAPH_COLUMNS = 80
GRAPH_ROWS = 4
_LEVELS = "_o#"
"""How full a row is at the top of a column; rows below it are bars."""

_TELLS = ("nondeterministic_output", "request_policy:all_nodes", "response_policy:special")

LATENCY = container("latency", group="server", doc="Tells what made clients wait. Since 2.8.13.")


@command(ADMIN | NOSCRIPT | LOADING | STALE, group="server", container=LATENCY, tips=_TELLS)
def latency_latest(c: Client) -> bytes:
    """The last and the worst spike of each event. O(1). Since 2.8.13."""
    latest = []
    for name, event in c.server.latency.events.items():
        second, milliseconds = event.spikes[-1]
        numbers = (integer(number) for number in (second, milliseconds, event.all_time_max))
        latest.append(array([text(name), *numbers]))
    return array(latest)


@command(ADMIN | NOSCRIPT | LOADING | STALE, group="server", container=LATENCY, syntax="event", tips=_TELLS)
def latency_history(c: Client, event: bytes) -> bytes:
    """The spikes of an event. O(1). Since 2.8.13."""
    found = c.server.latency.events.get(event.decode("latin-1"))
    spikes = found.spikes if found else ()
    return array([array([integer(second), integer(milliseconds)]) for second, milliseconds in spikes])


@command(
    ADMIN | NOSCRIPT | LOADING | STALE,
    group="server",
    container=LATENCY,
    syntax="[event...]",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def latency_reset(c: Client, *events: bytes) -> bytes:
    """Forgets the spikes of some events or of all. O(1). Since 2.8.13."""
    return integer(c.server.latency.reset([event.decode("latin-1") for event in events]))


@command(ADMIN | NOSCRIPT | LOADING | STALE, group="server", container=LATENCY, syntax="event", tips=_TELLS)
def latency_graph(c: Client, event: bytes) -> bytes:
    """Draws the spikes of an event. O(1). Since 2.8.13."""
    name = event.decode("latin-1")
    found = c.server.latency.events.get(name)
    if found is None:
        raise ReplyError(b"ERR No samples available for event '%b'" % event)
    drawn = _graph(name, found, c.server.clock.ms() // 1000)
    return c.resp.verbatim(drawn.encode("latin-1"))


def _graph(name: str, event: LatencyEvent, now: int) -> str:
    heights = [milliseconds for _, milliseconds in event.spikes]
    low, high = min(heights), max(heights)
    lines = [f"{name} - high {high} ms, low {low} ms (all time high {event.all_time_max} ms)", "-" * 80]
    steps = GRAPH_ROWS * len(_LEVELS)
    levels = [min(steps * (height - low) // max(high - low, 1), steps - 1) for height in heights]
    ages = [_age(now - second) for second, _ in event.spikes]
    for start in range(0, len(levels), GRAPH_COLUMNS):
        piece = slice(start, start + GRAPH_COLUMNS)
        for row in reversed(range(GRAPH_ROWS)):
            lines.append("".join(_cell(level, row) for level in levels[piece]))
        lines.append(" " * len(levels[piece]))
        longest = max(map(len, ages[piece]))
        for letters in zip(*(age.ljust(longest) for age in ages[piece]), strict=True):
            lines.append("".join(letters))
    return "".join(f"{line}\n" for line in lines)


def _cell(level: int, row: int) -> str:
    """What a column of a height shows in a row, 0 being the lowest."""
    top, full = divmod(level, len(_LEVELS))
    if row == top:
        return _LEVELS[full]
    return "|" if row < top else " "


def _age(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"


@command(ADMIN | NOSCRIPT | LOADING | STALE, group="server", container=LATENCY, tips=_TELLS)
def latency_doctor(c: Client) -> bytes:
    """Explains the spikes to a person. O(1). Since 2.8.13."""
    return c.resp.verbatim(f"{_diagnosis(c)}\n".encode())


def _diagnosis(c: Client) -> str:
    events = c.server.latency.events
    if not c.server.config.latency_monitor_threshold and not events:
        return (
            "The latency monitor is off, so there is nothing to tell. "
            'Turn it on with "CONFIG SET latency-monitor-threshold <milliseconds>".'
        )
    if not events:
        return "No latency spike was observed so far."
    lines = ["Latency spikes were observed:", ""]
    for number, (name, event) in enumerate(events.items(), 1):
        heights = [milliseconds for _, milliseconds in event.spikes]
        mean = sum(heights) / len(heights)
        deviation = sum(abs(height - mean) for height in heights) / len(heights)
        gaps = [later[0] - earlier[0] for earlier, later in pairwise(event.spikes)]
        period = f", period {sum(gaps) / len(gaps):.2f} sec" if gaps else ""
        lines.append(
            f"{number}. {name}: {len(heights)} latency spikes (average {mean:.0f}ms, "
            f"mean deviation {deviation:.0f}ms{period}). Worst all time event {event.all_time_max}ms."
        )
    advice = [advice for name, advice in _ADVICE.items() if name in events]
    return "\n".join([*lines, "", *(f"- {each}" for each in advice)]).rstrip()


_ADVICE = {
    "command": "SLOWLOG GET tells which commands were slow.",
    "fast-command": "Commands that are always fast were slow: look for a busy processor, for swapping, or "
    "for a program around the server that holds its loop.",
    "expire-cycle": "Many keys expire at the same time: spread their times to live.",
}


@command(
    ADMIN | NOSCRIPT | LOADING | STALE, group="server", container=LATENCY, syntax="[command...]", tips=_TELLS
)
def latency_histogram(c: Client, *commands: bytes) -> bytes:
    """How long the calls of some commands or of all took. O(N). Since 7.0.0."""
    parts = []
    for name in _names(commands):
        stats = c.server.stats.commands.get(name)
        if stats is not None and stats.calls:
            buckets = [integer(number) for pair in stats.distribution() for number in pair]
            fields = [bulk(b"calls"), integer(stats.calls), bulk(b"histogram_usec"), c.resp.map(buckets)]
            parts += [text(name), c.resp.map(fields)]
    return c.resp.map(parts)


def _names(commands: Sequence[bytes]) -> Iterator[str]:
    """Full names of the commands asked for, a container's subcommands included; all if none is asked for."""
    if not commands:
        yield from (each.name for each in REGISTRY)
    for asked in commands:
        found = REGISTRY.find(asked.decode("latin-1"))
        if found is not None:
            yield found.name
            yield from (subcommand.name for subcommand in found.subcommands.values())


@command(LOADING | STALE, group="server", container=LATENCY)
def latency_help(_c: Client) -> bytes:
    """The subcommands of LATENCY. O(1). Since 2.8.13."""
    return help_reply(LATENCY)
