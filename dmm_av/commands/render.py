"""`render`: a patch to a video, a picture sequence or a sound file, in one pass, without any window."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def render(
    patch: Annotated[
        str,
        typer.Argument(metavar="PATCH", help="Patch file, or the name of one that comes with the instrument."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT", help="OUT.mp4 .mkv .mov .webm .wav, or OUT%05d.png"),
    ],
    duration: Annotated[str, typer.Option(metavar="TIME", help="20 (seconds), 1:30 or 8beats.")] = "10",
    size: Annotated[str | None, typer.Option(metavar="SIZE", help="1280x720, 1080p, 4k; default: the patch's.")] = None,
    fps: Annotated[
        str | None, typer.Option(metavar="RATE", help="60 or 30000/1001; default: the patch's frame rate.")
    ] = None,
    codec: Annotated[
        str | None, typer.Option(metavar="NAME", help="Video codec; default: the usual one of the container.")
    ] = None,
    quality: Annotated[
        str, typer.Option(metavar="NAME", help="low, medium, high, lossless, or the codec's own number.")
    ] = "high",
    seed: Annotated[int | None, typer.Option(metavar="NUMBER", help="Instead of the patch's seed.")] = None,
    events: Annotated[Path | None, typer.Option(metavar="FILE", help="JSON lines of timed OSC messages.")] = None,
    library: Annotated[list[Path], typer.Option(metavar="FILE", help="A file of your own activations.")] = (),
    overwrite: Annotated[bool, typer.Option("-y", "--overwrite", help="Write over OUT.")] = False,
):
    """Render a patch to a video, pictures or sound."""
    from dataclasses import replace

    from dmm_av.commands import opening

    activations = opening.open_library(library)
    opened, path = opening.open_patch(patch, activations)
    opened = replace(
        opened,
        size=opening.parse_size(size) or opened.size,
        seed=opened.seed if seed is None else seed,
    )
    rendering = _Rendering(
        opened,
        path,
        activations,
        output,
        opening.parse_duration(duration, opening.tempo_of(opened)),
        opening.parse_fps(fps),
        events,
    )
    rendering.describe(library, codec, quality)
    with opening.ending_like_interrupt():
        rendering.run(codec, quality, overwrite)
    rendering.write_sidecar()
    print(rendering.summary())
    return 1 if rendering.mistakes else 0


class _Rendering:
    """One run of `render`: what it reads, what it writes, how far it is.

    mistakes   how many things went wrong without ending the run
    """

    def __init__(self, patch, path, library, output, duration_s, fps, events):
        from fractions import Fraction

        self.patch, self.path, self.library, self.output, self.events = patch, path, library, output, events
        self.fps = fps or Fraction(patch.rates.frame)
        self.ticks = max(1, round(duration_s * patch.rates.tick))
        self.has_pictures = output.suffix.lower() != ".wav"
        self.renderer = None
        self.frames = 0
        self.mistakes = 0
        self.described = {}

    def run(self, codec, quality, overwrite):
        """Ticks, pictures and sound from the first to the last; a broken run leaves no file behind."""
        from contextlib import ExitStack

        from dmm_av.commands.opening import read_events
        from dmm_av.engine.signal_vm import SignalVM
        from dmm_av.io.video import open_writer
        from dmm_av.scheduler.lockstep import LockStep

        rates = self.patch.rates
        for warning in self.patch.warnings:
            print(warning, file=sys.stderr)
        with ExitStack() as leaving:
            writer = leaving.enter_context(
                open_writer(
                    str(self.output),
                    self.patch.size,
                    self.fps,
                    rates.sample,
                    codec=codec,
                    quality=quality,
                    overwrite=overwrite,
                    metadata={"title": self.patch.name or self.path.stem},
                )
            )
            vm = SignalVM(rates.sample, rates.tick)
            run = LockStep(self.patch, self.library, vm, None, read_events(self.events, rates.tick), self.path)
            run.stage = self._stage(run.machine)
            if run.stage is not None:
                leaving.callback(run.stage.close)
                self.renderer = run.stage.renderer
            progress = leaving.enter_context(_Progress(self.ticks, self.has_pictures))
            self._write_all(run, writer, progress)

    def _stage(self, machine):
        """What draws: needed for pictures, and for sounds that listen to pictures."""
        from dmm_av.commands.opening import measures_pictures
        from dmm_av.errors import DeviceError
        from dmm_av.io.offline_stage import OfflineStage

        if not self.has_pictures and not measures_pictures(machine, self.events):
            return None
        try:
            return OfflineStage(self.patch.size, str(self.path.parent))
        except DeviceError as error:
            if self.has_pictures:
                raise DeviceError(f"{error} Sound alone can be rendered: `-o {self.output.stem}.wav`.") from None
            machine.notice("pictures", f"{error} What is measured in pictures counts as 0.")
            return None

    def _write_all(self, run, writer, progress):
        rates, seen, picture = self.patch.rates, set(), None
        for tick in range(self.ticks):
            sound, drawn = run.step()
            if drawn is not None:
                picture = run.picture
            if self.has_pictures:
                while self.frames * rates.tick < (tick + 1) * self.fps:
                    writer.frame(picture)
                    self.frames += 1
            writer.sound(sound)
            progress.advance(tick + 1, self.frames)
            self._tell(run.machine, seen)

    def _tell(self, machine, seen):
        """Prints what the player should know, each sentence once."""
        while machine.notices:
            notice = machine.notices.popleft()
            if notice not in seen:
                seen.add(notice)
                self.mistakes += notice.is_error
                self.described["messages"].append(notice.text)
                print(notice.text, file=sys.stderr)

    def describe(self, libraries, codec, quality):
        """Notes what is rendered from what, before it can change on the disk."""
        import platform
        from importlib.metadata import version

        from dmm_av.commands.opening import content_hash, own_version

        rates = self.patch.rates
        self.described = {
            "patch": str(self.path),
            "patch_sha256": content_hash(self.path),
            "events": str(self.events) if self.events else None,
            "events_sha256": content_hash(self.events) if self.events else None,
            "libraries": {str(path): content_hash(path) for path in libraries},
            "seed": self.patch.seed,
            "size": list(self.patch.size),
            "fps": str(self.fps),
            "codec": codec,
            "quality": quality,
            "rates": {name: getattr(rates, name) for name in ("sample", "tick", "frame", "hops")},
            "command": sys.argv[1:],
            "processor": _processor(),
            "versions": {
                "dmm-av": own_version(),
                "python": platform.python_version(),
                **{name: version(name) for name in ("numpy", "numba", "llvmlite", "moderngl", "av")},
            },
            "messages": list(self.patch.warnings),
        }

    def write_sidecar(self):
        """Writes those notes beside the output, as OUT.json."""
        import json

        done = {
            "duration_s": self.ticks / self.patch.rates.tick,
            "frames": self.frames if self.has_pictures else None,
            "renderer": self.renderer,
        }
        self._sidecar().write_text(json.dumps(self.described | done, indent=1) + "\n", encoding="utf-8")

    def _sidecar(self):
        """The name of the notes; numbers of pictures are left out of it."""
        import re

        name = re.sub(r"[._-]?%\d*d", "", self.output.name)
        return self.output.with_name(f"{name if name != self.output.suffix else 'pictures' + name}.json")

    def summary(self):
        """One line: what there is now."""
        seconds = self.ticks / self.patch.rates.tick
        pictures = f", {self.frames} pictures of {self.patch.size[0]}x{self.patch.size[1]}" if self.has_pictures else ""
        mistakes = f"; {self.mistakes} mistake{'s' * (self.mistakes > 1)}, see above" if self.mistakes else ""
        return f"{self.output}: {seconds:g} s{pictures}{mistakes}"


def _processor():
    """The processor's own name: samples are the same on the same model."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


class _Progress:
    """A bar with the time left on stderr; where stderr is no terminal, one line at the end."""

    def __init__(self, ticks, has_pictures):
        self._ticks, self._has_pictures = ticks, has_pictures

    def __enter__(self):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        pictures = (TextColumn("{task.fields[frames]} pictures"),) if self._has_pictures else ()
        self._bar = Progress(
            TextColumn("rendering"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            *pictures,
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("rendering", total=self._ticks, frames=0)
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def advance(self, ticks, frames):
        """Moves the bar; cheap enough for every tick."""
        if ticks % 16 == 0 or ticks == self._ticks:
            self._bar.update(self._task, completed=ticks, frames=frames)
