"""Live: the machine's ticks in a thread of their own, led by the signal VM, which is led by the sound device.

The VM renders ahead into a ring and never waits for Python longer than the ring has slack. What falls behind
is counted. Frames are handed to a stage client, which never blocks.
"""

import contextlib
import gc
import math
import os
import queue
import sys
import threading
import time
from collections import deque

from dmm_av.engine.step_compiler import compile_activation
from dmm_av.errors import DmmError
from dmm_av.scheduler.machine import Machine
from dmm_av.scheduler.performance import Performance

IDLE_S = 0.000_5
BEGIN_S = 120.0  # what compiling the loops may take where the cache is empty
AHEAD_S = 1 / 30  # of sound in the ring: what a slow tick may take before the VM goes on without it
EXACT_AHEAD_S = 0.08  # where a file's events are to be heard at their ticks, whatever holds these up
NEEDED_S = 1 / 60  # below which it goes on: a device that is late asks for two of its blocks at once
FEWEST_BLOCKS = 3  # in the ring, where ticks are slow
RING_S = 0.08
MOST_SENT_PLANS = 8  # that the stage has not said it is ready for
SWITCH_S = 0.000_5  # how long another thread of this process may keep the interpreter from the ticks
FADE_S = 0.02  # of sound at the end, after what is in the ring
GIVE_UP_S = 1.0  # how long a device that went silent may take to close
NICENESS = -10  # of the ticks, where the system grants it: after the threads that make sound, before all others


def ring_frames(sample_rate, tick_rate):
    """How many frames a ring must hold for a performance at these rates: a power of two."""
    frames = max(RING_S * sample_rate, (FEWEST_BLOCKS + 1) * sample_rate / tick_rate)
    return 1 << math.ceil(math.log2(frames))


class Live:
    """A running performance.

    stage    a stage client: `send_drawing`, `send_frame`, `poll`; or None
    output   a sound output: `start stop heard(host_ns)`
    events   [(tick, request)], sorted
    """

    def __init__(self, patch, library, vm, output, stage=None, events=(), path=None):
        self.vm = vm
        self.output = output
        self.stage = stage
        self.machine = Machine(patch, library, vm)
        self.performance = Performance(self.machine, patch, path)
        self.events = deque(events)
        self.late_ticks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="machine", daemon=True)
        self._sent_version = None
        self._ready_version = 0
        self._sent_plans = {}  # version -> plan, from the one that is drawn on
        self._wanted = queue.SimpleQueue()
        self._builder = threading.Thread(target=self._work, name="builder", daemon=True)
        self.machine.prepare = lambda activations, done: self._wanted.put(lambda: self._build(activations, done))
        self.machine.plan_aside(self._wanted.put)

    def start(self):
        """Starts sound and ticks."""
        self._compile_for_events()
        sys.setswitchinterval(SWITCH_S)
        gc.freeze()  # what is there by now stays: no collection need look at it again
        gc.enable()
        self._thread.start()
        self._builder.start()
        block, rate = self.vm.block, self.vm.sample_rate
        ahead = max(round((EXACT_AHEAD_S if self.events else AHEAD_S) * rate), FEWEST_BLOCKS * block)
        self.vm.start(self.output.ring.base, ahead, max(round(NEEDED_S * rate), block))
        self.vm.wait(ahead // block, BEGIN_S)  # the device begins on a full ring
        self.output.start()

    def stop(self):
        """Fades out, then ends ticks and sound."""
        self.vm.panic()
        time.sleep(min(self.output.ring.size / self.vm.sample_rate, RING_S) + FADE_S)
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._wanted.put(None)
        self.output.stop()  # before the VM: an empty ring is a drop-out
        self.vm.stop()

    def play_to(self, output):
        """Goes on with another output on the same ring; the former one is given up, however long that takes."""
        former, self.output = self.output, output
        leaving = threading.Thread(target=former.close, name="former output", daemon=True)
        leaving.start()
        leaving.join(GIVE_UP_S)
        output.start()

    def drawing_is_ready(self, version):
        """The stage draws that version from now on, so frames are laid out by it."""
        self._ready_version = version

    def count_late_ticks(self):
        """How many ticks the VM rendered before Python had finished its part, since the start."""
        self.late_ticks += len(self.vm.lags())
        return self.late_ticks

    def wait(self, seconds):
        """Returns when the performance has stopped, or after so many seconds."""
        return self._stop.wait(seconds)

    def _compile_for_events(self):
        """Events of a file take effect at their tick, so what they need is built before the first one."""
        for _, request in self.events:
            for activation in self.machine.unprepared(request.group) if request.group else ():
                compile_activation(activation)

    def _work(self):
        """Does what must not take the time of a tick, piece by piece."""
        while (work := self._wanted.get()) is not None:
            try:
                work()
            except Exception as error:  # whatever went wrong, the next piece is built
                self.machine.notice("builder", f"{type(error).__name__}: {error}")

    def _build(self, activations, done):
        """Compiles what an edit needs; a piece that does not build is named, its edit goes on."""
        try:
            for activation in activations:
                try:
                    compile_activation(activation)
                except DmmError as error:
                    self.machine.notice(activation.name, str(error))
        finally:
            done()

    def _run(self):
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own under this name
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        machine, vm = self.machine, self.vm
        while not self._stop.is_set():
            if vm.tick < machine.k:
                time.sleep(IDLE_S)
                continue
            machine.is_exact = bool(self.events) and self.events[0][0] <= machine.k
            while self.events and self.events[0][0] <= machine.k:
                _, request = self.events.popleft()
                self.performance.request(request.group, request.commands, request.data)
            if machine.is_frame and self.stage is not None:
                try:
                    self._show()
                except Exception as error:  # a frame that fails is missed, sound and edits go on
                    machine.notice("picture", f"{type(error).__name__}: {error}")
            machine.tick()

    def _show(self):
        """Sends the frame of the present state, laid out by the drawing that the stage has ready."""
        plan = self.machine.plan
        newest, ready = plan.drawing.version, self._ready_version
        if newest != self._sent_version:
            self._sent_version = newest
            self.stage.send_drawing(plan.drawing)
        self._sent_plans[newest] = plan
        if ready in self._sent_plans:
            self._sent_plans = {version: kept for version, kept in self._sent_plans.items() if version >= ready}
        while len(self._sent_plans) > MOST_SENT_PLANS:  # no stage is there to be ready
            del self._sent_plans[next(iter(self._sent_plans))]
        version, drawn = next(iter(self._sent_plans.items()))
        self.stage.send_frame(self.machine.frame(drawn), version)
