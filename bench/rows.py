"""The rows of `bench`: how a figure is taken, set beside its peer, and printed. Knows no engine and no peer."""

import json
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One figure, beside the same figure of a peer where there is one.

    name         what was measured, the same words in every run
    value        our figure, in `unit`
    peer         what it is compared with, `None` without a peer
    peer_value   the peer's figure of the same run, `None` where the peer is not installed
    ratio        value / peer_value: above 1 is better for `x real time`, below 1 is better for times
    """

    name: str
    value: float | None
    unit: str
    peer: str | None = None
    peer_value: float | None = None

    @property
    def ratio(self):
        if self.value is None or not self.peer_value:
            return None
        return self.value / self.peer_value

    def as_dict(self):
        return {**asdict(self), "ratio": self.ratio}


def interleaved(measures, rounds=5, warm_up=1):
    """Medians of several measures, taken in turns so that a slow minute of the machine is slow for all of them.

    measures   {name: function that returns one figure, or a tuple of figures}
    warm_up    rounds that are thrown away first (compilers, caches, clock of the processor)
    returns    {name: median}
    """
    figures = {name: [] for name in measures}
    for turn in range(warm_up + rounds):
        for name, measure in measures.items():
            figure = measure()
            if turn >= warm_up:
                figures[name].append(figure)
    return {name: median(taken) for name, taken in figures.items()}


def median(taken):
    """The median of figures; of tuples of figures, place by place."""
    if isinstance(taken[0], tuple):
        return tuple(statistics.median(place) for place in zip(*taken, strict=True))
    return statistics.median(taken)


def frame_times(draw, frames=60, warm_up=30):
    """Wall time of each call, ms; `draw` returns only when its picture is really finished."""
    for _ in range(warm_up):
        draw()
    times = []
    for _ in range(frames):
        began = time.perf_counter()
        draw()
        times.append((time.perf_counter() - began) * 1000.0)
    return times


def times_real_time(render, seconds):
    """Seconds of sound per second of one core: processor time of this thread, so that neighbours do not count.

    render    renders `seconds` of sound on the calling thread
    """
    began = time.thread_time()
    render()
    return seconds / (time.thread_time() - began)


def processor():
    """The name of this processor, as it belongs beside every figure."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def as_json(rows):
    """The rows as a JSON list, one object a row."""
    return json.dumps([row.as_dict() for row in rows], indent=1)


def as_table(rows):
    """The rows as a table for a terminal."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "value", "unit", "peer", "peer's", "ratio"):
        is_number = heading in ("value", "peer's", "ratio")
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows:
        table.add_row(row.name, figure(row.value), row.unit, row.peer or "", figure(row.peer_value), figure(row.ratio))
    return table


def print_rows(rows, machine_readable=False):
    """Rows on stdout, as JSON or as a table."""
    if machine_readable:
        print(as_json(rows))
    else:
        Console().print(as_table(rows))


def figure(number):
    """A figure with three significant digits; nothing where there is none."""
    if number is None:
        return ""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
