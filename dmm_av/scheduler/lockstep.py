"""Lock-step: the machine, the signal VM and (if there is one) a stage, tick by tick in one thread.

The driver of everything that is not live: `render`, `trace`, the tests. Same classes as live, no wall clock.
"""

from collections import deque

from dmm_av.scheduler.machine import Machine
from dmm_av.scheduler.performance import Performance


class LockStep:
    """Runs a patch as fast as it goes.

    patch       what is run
    library     the register of activations
    vm          a signal VM
    stage       draws pictures: `adopt(drawing)` → [(name, sentence)], `draw(frame)` → pixels, `readback()`; or None
    picture     the newest pixels: uint8 (height, width, 4), top row first
    events      [(tick, request)], sorted: taken at the start of their tick
    """

    def __init__(self, patch, library, vm, stage=None, events=(), path=None):
        self.vm = vm
        self.machine = Machine(patch, library, vm)
        self.performance = Performance(self.machine, patch, path)
        self.stage = stage
        self.events = deque(events)
        self.picture = None
        self._drawn_version = None

    def step(self):
        """One tick.

        returns   (sound of the tick: float32 (B, 2), number of the picture drawn or None)
        """
        machine = self.machine
        while self.events and self.events[0][0] <= machine.k:
            _, request = self.events.popleft()
            self.performance.request(request.group, request.commands, request.data)
        drawn = self._draw() if machine.is_frame else None
        machine.tick()
        return self.vm.run(1), drawn

    def _draw(self):
        frame = self.machine.frame()
        if self.stage is None:
            return frame.number
        drawing = self.machine.drawing
        if drawing.version != self._drawn_version:
            for name, sentence in self.stage.adopt(drawing):
                self.machine.notice(name, sentence)
            self._drawn_version = drawing.version
        self.picture = self.stage.draw(frame)
        if drawing.readbacks:
            self.machine.readback(frame.number, self.stage.readback())
        return frame.number
