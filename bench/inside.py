"""Runs inside a playing instrument (`play --library bench/inside.py`): writes down when edits come and take effect.

    DMM_BENCH_LOG   file for one JSON line per group of edits that took effect:
                    arrived, heard      seconds of the host's clock
                    tick, effective     the one to come next when it arrived; the one in which it is heard first
                    frames              pictures from the one that was due next to the first that shows it
    DMM_BENCH_HOG   from when this file exists on, a thread holds the interpreter lock 30 ms at a time

It declares no activation: it is a way into the process, not a part of the instrument.
"""

import ctypes
import json
import os
import threading
import time
from pathlib import Path

from dmm_av.commands import play
from dmm_av.scheduler import live, machine

HELD_S, LEFT_S = 0.030, 0.002
_since = threading.local()
_arrivals = {}
_playing = []


def _hog(signal):
    library = ctypes.PyDLL(None)  # unlike CDLL it keeps the lock
    while not signal.exists():
        time.sleep(0.05)
    while True:
        library.usleep(int(HELD_S * 1e6))
        time.sleep(LEFT_S)


def _noting(method):
    """The same method; what it submits counts as arrived when it was called."""

    def noted(self, *arguments):
        _since.moment = time.perf_counter(), self.machine.k
        try:
            return method(self, *arguments)
        finally:
            _since.moment = None

    return noted


def _watch(log):
    play._Show._deliver = _noting(play._Show._deliver)
    play._Show._saved = _noting(play._Show._saved)
    begin, submit, answer = live.Live.__init__, machine.Machine.submit, machine.Machine._answer

    def begun(self, *arguments, **named):
        begin(self, *arguments, **named)
        _playing.append(self)

    def submitted(self, group, *arguments, **named):
        moment = getattr(_since, "moment", None)
        if moment is not None:
            _arrivals[id(group)] = moment
        return submit(self, group, *arguments, **named)

    def answered(self, changes):
        for group, sentence in changes.answers:
            moment = _arrivals.pop(id(group), None)
            if moment is not None and sentence is None:
                log.write(json.dumps(_line(self, *moment)) + "\n")
                log.flush()
        return answer(self, changes)

    live.Live.__init__, machine.Machine.submit, machine.Machine._answer = begun, submitted, answered


def _line(running, arrived, tick):
    show = _playing[-1]
    vm, per_frame = show.vm, running.ticks_per_frame
    host_s, sample, per_second = show.output.playhead.line(time.perf_counter())
    effective = running.k
    return {
        "arrived": arrived,
        "heard": host_s + (effective * vm.block + vm.latency - sample) / per_second,
        "tick": tick,
        "effective": effective,
        "frames": -(-effective // per_frame) - -(-tick // per_frame),
    }


if os.environ.get("DMM_BENCH_LOG"):
    _watch(open(os.environ["DMM_BENCH_LOG"], "a", encoding="utf-8"))  # noqa: SIM115 - open as long as it plays
if os.environ.get("DMM_BENCH_HOG"):
    threading.Thread(target=_hog, args=(Path(os.environ["DMM_BENCH_HOG"]),), daemon=True).start()
