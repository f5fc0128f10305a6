"""Live: the machine's ticks in a thread of their own, led by the signal VM, which is led by the sound device.

The VM renders ahead into a ring and never waits for Python longer than the ring has slack. What falls behind
is counted. Frames are handed to a stage client, which never blocks.
"""

import gc
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
AHEAD_BLOCKS = 6  # of sound in the ring: what a slow tick may take before the VM goes on without it
NEEDED_BLOCKS = 2  # below which it goes on
SWITCH_S = 0.000_5  # how long another thread of this process may keep the interpreter from the ticks


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
        self._drawn_version = None
        self._wanted = queue.SimpleQueue()
        self._builder = threading.Thread(target=self._build, name="builder", daemon=True)
        self.machine.prepare = lambda activations, done: self._wanted.put((activations, done))

    def start(self):
        """Starts sound and ticks."""
        self._compile_for_events()
        sys.setswitchinterval(SWITCH_S)
        gc.collect()
        gc.freeze()
        self._thread.start()
        self._builder.start()
        block = self.vm.block
        self.vm.start(self.output.ring.base, AHEAD_BLOCKS * block, NEEDED_BLOCKS * block)
        self.vm.wait(AHEAD_BLOCKS)  # the device begins on a full ring
        self.output.start()

    def stop(self):
        """Ends ticks, then sound."""
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._wanted.put(None)
        self.vm.stop()
        self.output.stop()

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

    def _build(self):
        """Compiles what edits need, off the tick path; a piece that does not build is named, its edit goes on."""
        while (wanted := self._wanted.get()) is not None:
            activations, done = wanted
            for activation in activations:
                try:
                    compile_activation(activation)
                except DmmError as error:
                    self.machine.notice(activation.name, str(error))
            done()

    def _run(self):
        machine, vm = self.machine, self.vm
        while not self._stop.is_set():
            if vm.tick < machine.k:
                time.sleep(IDLE_S)
                continue
            while self.events and self.events[0][0] <= machine.k:
                _, request = self.events.popleft()
                self.performance.request(request.group, request.commands, request.data)
            if machine.is_frame and self.stage is not None:
                self._show()
            machine.tick()

    def _show(self):
        drawing = self.machine.drawing
        if drawing.version != self._drawn_version:
            self._drawn_version = drawing.version
            self.stage.send_drawing(drawing)
        self.stage.send_frame(self.machine.frame())
