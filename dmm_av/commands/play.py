"""`play`: a patch live, with window, sound and OSC; the patch file, shaders and libraries are watched."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

STATUS_S = 0.5
LONGEST_START_S = 3.0  # of a device
EDIT_COLUMNS = 32  # of the status line; the last error has the rest


def play(
    patch: Annotated[str, typer.Argument(help="Patch file, or the name of one that comes with the instrument.")],
    fullscreen: Annotated[bool, typer.Option(help="Fill the monitor.")] = False,
    monitor: Annotated[int | None, typer.Option(help="Which monitor, from 0.")] = None,
    size: Annotated[str | None, typer.Option(help="1280x720, 1080p, 4k; default: the patch's.")] = None,
    osc_port: Annotated[int, typer.Option(help="UDP port for OSC; 0 takes a free one.")] = 9129,
    osc_host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets others edit too.")] = "127.0.0.1",
    audio: Annotated[bool, typer.Option(help="Sound.")] = True,
    device: Annotated[str | None, typer.Option(help="Sound device: number or part of its name.")] = None,
    headless: Annotated[bool, typer.Option(help="No window; pictures are drawn all the same.")] = False,
    duration: Annotated[str | None, typer.Option(help="Stop after 20, 1:30 or 8beats.")] = None,
    events: Annotated[Path | None, typer.Option(help="JSON lines of timed OSC messages.")] = None,
    library: Annotated[list[Path], typer.Option(help="A file of your own activations.")] = (),
    seed: Annotated[int | None, typer.Option(help="Instead of the patch's seed.")] = None,
):
    """Play a patch live: window, sound, OSC."""
    import gc
    import signal
    import threading
    from dataclasses import replace

    from dmm_av.commands.opening import open_library, open_patch, parse_duration, parse_size, read_events
    from dmm_av.io.stage_client import StageClient

    gc.disable()  # until all is loaded: nothing is thrown away before
    if audio:
        threading.Thread(target=_look_for_devices, daemon=True).start()
    as_read = {Path(file).resolve(): _signature(file) for file in library}
    activations = open_library(library)
    written, path = open_patch(patch, activations)
    opened = replace(written, size=parse_size(size) or written.size, seed=written.seed if seed is None else seed)
    title, folder = f"DMM-AV: {opened.name or path.stem}", str(path.parent)
    stage = StageClient(opened.size, title, fullscreen, monitor, headless=headless or not _has_display(), folder=folder)
    stage.start()  # first, so that the window opens while the sound side is being made
    if not headless and not _has_display():
        print("window: there is no display, so pictures are drawn without a window.", file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    try:
        show = _Show(opened, path, activations, stage, read_events(events, opened.rates.tick), audio, device, as_read)
        show.performance.patch = written  # a saved file is compared with what it said itself
        show.open_osc(osc_host, osc_port)
        return show.run(parse_duration(duration))
    finally:
        stage.stop()


def _look_for_devices():
    """The library for sound looks for devices when it is imported, which takes as long as reading a patch."""
    import contextlib

    with contextlib.suppress(OSError):  # said by who opens a device
        import sounddevice  # noqa: F401


def _has_display():
    import os

    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _listed(names):
    return ", ".join(f"`{name}`" for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _signature(file):
    """What changes when a file is written; None where there is none."""
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class _Show:
    """Everything that runs while `play` runs, and the sentences in between."""

    def __init__(self, patch, path, library, stage, events, audio, device, library_files):
        from dmm_av.engine.ring import Ring
        from dmm_av.engine.signal_vm import SignalVM
        from dmm_av.io.audio_device import VirtualClock, open_output
        from dmm_av.scheduler.live import Live, ring_frames

        self.patch, self.path, self.library, self.stage = patch, path, library, stage
        self.library_files = library_files
        ring = Ring(ring_frames(patch.rates.sample, patch.rates.tick))
        if audio:
            output, sentence = open_output(ring, patch.rates.sample, device)
            if sentence:
                self.say("device", sentence)
        else:
            output = VirtualClock(ring, patch.rates.sample)
        self._has_sounded = False
        self._looked_at_device = 0.0
        self._renderer = ""
        self.live = Live(patch, library, SignalVM(patch.rates.sample, patch.rates.tick), output, stage, events, path)
        self.machine, self.performance = self.live.machine, self.live.performance
        self.machine.changed = self._tell_subscribers
        self.performance.on_panic = stage.panic
        self.server = None
        self.fps = 0.0
        self.last_edit = self.last_error = "none"
        self.is_over = False
        self.exit_code = 0
        self._status_shown = ""
        self._seen = set()
        self._skipped = 0
        self._scrolled = 0.0
        for warning in patch.warnings:
            self.say("patch", warning)

    def say(self, where, sentence):
        """One line for the player, above the status line."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
            self._status_shown = ""
        print(f"{where}: {sentence}", file=sys.stderr, flush=True)

    def open_osc(self, host, port):
        """Listens for OSC; prints the port."""
        from dmm_av.io.osc import OscServer

        self.server = OscServer(host, port, self._deliver, self._answer_query, self.performance.forget).start()
        self.say("osc", f"listening on {self.server.host}:{self.server.port}")
        if self.server.warning:
            self.say("osc", self.server.warning)

    def run(self, duration_s):
        """Plays until the window is closed, Ctrl-C, or the duration is over; returns the exit status."""
        from dmm_av.commands.opening import PATCHES
        from dmm_av.io.watcher import Watcher

        shaders = PATCHES.parent / "shaders"
        watched = [self.path, *self.library_files]
        folders = [folder for folder in (shaders / "activations", shaders / "lib") if folder.is_dir()]
        watcher = Watcher([*watched, *folders], self._saved)
        self._saved(self.path)  # what was saved since it was read
        for file, signature in self.library_files.items():
            if _signature(file) != signature:
                self._saved(file)
        self.live.start()
        self._began = began = time.monotonic()
        next_status = began
        try:
            while not self.is_over and (duration_s is None or time.monotonic() - began < duration_s):
                self._hear_stage()
                self._hear_machine()
                now = time.monotonic()
                if not self._has_sounded:
                    self._announce_sound()
                if now >= next_status:
                    self._look_at_device()
                    self._status()
                    next_status = now + STATUS_S
                self.live.wait(0.01)
        except KeyboardInterrupt:
            pass
        finally:
            watcher.stop()
            if self.server is not None:
                self.server.close()
            self.live.stop()
            self._hear_machine()
            self._closing_line()
        return self.exit_code

    # --- what arrives --------------------------------------------------------------------------------

    def _deliver(self, request):
        self.performance.request(request.group, request.commands, request.data, request.reply)

    def _answer_query(self, question):
        if question.what == "status":
            vm, output = self.live.vm, self.live.output
            return [
                (
                    "/dmm/status",
                    (self.machine.k, float(self.fps), float(vm.load), int(output.underruns), self.last_error),
                )
            ]
        return [
            ("/" + "/".join(("dmm", *labels)), values)
            for labels, values in self.performance.answers(question.what, question.labels)
        ]

    def _tell_subscribers(self, entries):
        from dmm_av.io.osc_addresses import address_of

        if self.server is not None and len(self.server.subscriptions):
            for entry, (_, weight) in entries.items():
                self.server.subscriptions.changed(address_of(entry), (weight or 0.0,))

    def _saved(self, path):
        """A watched file was saved by an editor."""
        from dmm_av.errors import DmmError

        try:
            if Path(path).suffix == ".glsl":
                self._reload_shader(path)
            elif Path(path).resolve() in self.library_files:
                self._reload_library(path)
            else:
                self.performance.reload()
        except DmmError as error:
            self.machine.notice("saved", str(error))

    def _reload_shader(self, path):
        """Takes over what the header of a picture activation declares; its body is the stage's business."""
        from dmm_av.activations.pictures import SHADERS, read_shader

        file = Path(path).resolve()
        declared = read_shader(file) if file.parent == SHADERS / "activations" else None
        self.stage.reload(path)  # first, so that it knows the activation before it is to draw it
        if declared is not None and declared != self.library.get(declared.name):
            self.machine.replace_activations([declared])
            self.machine.notice(
                "library", f"{file.name}: what `{declared.name}` declares is taken over", is_error=False
            )

    def _reload_library(self, path):
        from dmm_av.activations.library import load_user_file, names_declared_in
        from dmm_av.engine.step_compiler import compile_activation
        from dmm_av.network.activation import Library

        fresh = Library(self.library)
        names = load_user_file(path, fresh)
        for name in names:
            if fresh[name].side == "signal":
                compile_activation(fresh[name])
        gone = [name for name in names_declared_in(path, self.library) if name not in names]
        self.machine.between_ticks(lambda: [self.library.remove(name) for name in gone])
        self.machine.replace_activations([fresh[name] for name in names])
        self.machine.notice("library", f"{path}: {', '.join(names) or 'nothing'} taken over", is_error=False)
        if gone:
            self._say_gone(gone, path)

    def _say_gone(self, activations, path):
        """What becomes of neurons whose activation a library no longer declares."""
        machine = self.machine
        users = machine.between_ticks(lambda: list(filter(machine.network.is_placeholder, machine.network.names())))
        users = [name for name in users if any(one in machine.network.mixture(name) for one in activations)]
        sentence = f"{path}: {_listed(activations)} is not declared any more"
        if users:
            sentence += f"; until it is again, {_listed(users)} keeps its weights and passes zero"
        machine.notice("library", f"{sentence}.", is_error=bool(users))

    def _hear_stage(self):
        for event in self.stage.poll():
            what = event[0]
            if what == "readback":
                self.machine.readback(event[1], event[2])
            elif what == "ready":
                self.live.drawing_is_ready(event[1])
            elif what == "hello":
                self._renderer = event[1]
            elif what == "first":
                self.say("pictures", f"{self.patch.size[0]} × {self.patch.size[1]}, drawn by {self._renderer}")
            elif what == "error":
                self.machine.notice(event[1], event[2])
            elif what == "restarted":
                self.say("stage", event[2])
            elif what == "stats":
                self.fps = event[1]["fps"]
            elif what == "screenshot":
                self.say("screenshot", f"written to {event[1]}")
            elif what == "unusable":
                self.say("pictures", f"{event[1]} Sound and edits go on.")
            elif what == "skipped":
                self._skipped += len(event[1])
            elif what in ("key", "mouse", "button", "scroll"):
                self._hold(event)
            elif what == "action":
                self._act(event[1])
            elif what == "closed":
                self.is_over = True

    def _act(self, action):
        from dmm_av.errors import DmmError

        try:
            if action == "screenshot":
                self.stage.screenshot(f"{self.path.stem}-{time.strftime('%Y%m%d-%H%M%S')}.png")
            else:
                self.performance.command(action)
        except DmmError as error:
            self.machine.notice(action, str(error))

    def _hold(self, event):
        """Keys and mouse are data like what comes over OSC: `osc.keys/a`, `osc.mouse/x` …"""
        what, first, *rest = event
        if what == "mouse":
            self.machine.hold(("mouse", "x"), first)
            self.machine.hold(("mouse", "y"), rest[0])
        elif what == "scroll":
            self._scrolled += rest[0]
            self.machine.hold(("mouse", "scroll"), self._scrolled)
        else:
            self.machine.hold(({"key": "keys", "button": "mouse"}[what], first), rest[0])

    def _hear_machine(self):
        from dmm_av.network.notation import edit_text

        while self.machine.applied:
            _, group = self.machine.applied.popleft()
            texts = [edit_text(edit) for edit in group.edits[:3]]
            self.last_edit = "; ".join(texts) + (" …" if len(group.edits) > 3 else "")
        shown = None
        while self.machine.notices:
            notice = self.machine.notices.popleft()
            if notice.is_error:
                self.last_error = notice.sentence
            if notice.is_error or notice.where == "save":
                shown = notice.sentence
            if notice.is_error or notice not in self._seen:
                self.say(notice.where, notice.sentence)
            if not notice.is_error:
                self._seen.add(notice)
        if shown:
            self.stage.notice(shown)

    # --- the device --------------------------------------------------------------------------------------

    def _announce_sound(self):
        output = self.live.output
        if output.ring.read > 0:
            self._has_sounded = True
            self.say("sound", f"{output.name}, {output.rate} Hz, {1_000 * output.latency_s:.0f} ms")

    def _look_at_device(self):
        """A device that no longer asks for sound was unplugged: time goes on without it."""
        from dmm_av.io.audio_device import VirtualClock

        output, now = self.live.output, time.monotonic()
        woke_late, self._looked_at_device = now - self._looked_at_device > 2 * STATUS_S, now
        is_starting = not self._has_sounded and now - self._began < LONGEST_START_S
        if output.alive or is_starting or woke_late or isinstance(output, VirtualClock):
            return
        self.live.play_to(VirtualClock(output.ring, output.rate))
        self.machine.notice(
            "device",
            f"`{output.name}` no longer takes sound. Time, pictures and edits go on; "
            "to hear it again, plug it in and start anew.",
        )

    # --- the status line -------------------------------------------------------------------------------

    def status_line(self):
        """fps, sound load, drop-outs, last edit, last error."""
        vm, output = self.live.vm, self.live.output
        edit = self.last_edit if len(self.last_edit) <= EDIT_COLUMNS else f"{self.last_edit[: EDIT_COLUMNS - 1]}…"
        return (
            f"{self.fps:5.1f} fps · sound {100 * vm.load:3.0f} % · {output.underruns} drop-outs · "
            f"edit: {edit} · error: {self.last_error}"
        )

    def _status(self):
        self.stage.send_clock(*self._clock())
        if not sys.stderr.isatty():
            return
        import shutil

        line = self.status_line()[: shutil.get_terminal_size().columns - 1]
        if line != self._status_shown:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
            self._status_shown = line

    def _clock(self):
        host_s, sample, per_second = self.live.output.playhead.line(time.perf_counter())
        return host_s, sample, per_second, self.patch.rates.sample

    def _closing_line(self):
        output = self.live.output
        self.say(
            "played",
            f"{self.machine.k / self.patch.rates.tick:.1f} s, {output.underruns} drop-outs "
            f"({output.missing} frames), {self.live.count_late_ticks()} late ticks, "
            f"{self._skipped} pictures skipped, {self.stage.restarts} restarts of the stage",
        )
