"""`render`: a patch to a video, a picture sequence or a sound file, in one pass, without any window."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def render(
    patch: Annotated[str, typer.Argument(help="Patch file, or the name of one that comes with the instrument.")],
    output: Annotated[str, typer.Option("-o", "--output", help="OUT.mp4 .mkv .mov .webm .wav, or OUT%05d.png")],
    duration: Annotated[str, typer.Option(help="Seconds (20), 1:30 or 8beats.")] = "10",
    size: Annotated[str | None, typer.Option(help="1280x720, 1080p, 4k; default: the patch's.")] = None,
    fps: Annotated[str | None, typer.Option(help="60 or 30000/1001; default: the patch's frame rate.")] = None,
    codec: Annotated[str | None, typer.Option(help="Video codec; default: the usual one of the container.")] = None,
    quality: Annotated[str, typer.Option(help="low, medium, high, lossless.")] = "high",
    seed: Annotated[int | None, typer.Option(help="Instead of the patch's seed.")] = None,
    events: Annotated[Path | None, typer.Option(help="JSON lines of timed OSC messages.")] = None,
    library: Annotated[list[Path], typer.Option(help="A file of your own activations.")] = (),
    overwrite: Annotated[bool, typer.Option("-y", help="Overwrite OUT.")] = False,
):
    """Render a patch to a video, pictures or sound."""
    from dataclasses import replace

    from dmm_av.commands.opening import open_library, open_patch, parse_duration, parse_fps, parse_size, read_events
    from dmm_av.engine.signal_vm import SignalVM

    activations = open_library(library)
    opened, path = open_patch(patch, activations)
    changes = {"size": parse_size(size) or opened.size}
    if seed is not None:
        changes["seed"] = seed
    opened = replace(opened, **changes)
    rendering = _Rendering(
        opened,
        path,
        activations,
        SignalVM(opened.rates.sample, opened.rates.tick),
        read_events(events, opened.rates.tick),
        Path(output),
        parse_duration(duration),
        parse_fps(fps),
    )
    rendering.run(codec, quality, overwrite)
    rendering.write_sidecar(sys.argv[1:], events)


class _Rendering:
    """One run of `render`: what it reads, what it writes, how far it is."""

    def __init__(self, patch, path, library, vm, events, output, duration_s, fps):
        from fractions import Fraction

        self.patch, self.path, self.library, self.vm, self.events = patch, path, library, vm, events
        self.output = output
        self.fps = fps or Fraction(patch.rates.frame)
        self.ticks = round(duration_s * patch.rates.tick)
        self.has_pictures = output.suffix.lower() != ".wav"
        self.renderer = None
        self.messages = []

    def run(self, codec, quality, overwrite):
        """Ticks, pictures and sound from the first to the last; a broken run leaves no file behind."""
        from dmm_av.io.video import open_writer
        from dmm_av.scheduler.lockstep import LockStep

        stage = None
        if self.has_pictures:
            from dmm_av.io.offline_stage import OfflineStage

            stage = OfflineStage(self.patch.size, str(self.path.parent))
            self.renderer = stage.renderer
        rates = self.patch.rates
        run = LockStep(self.patch, self.library, self.vm, stage, self.events, self.path)
        for warning in self.patch.warnings:
            print(warning, file=sys.stderr)
        try:
            with (
                open_writer(
                    str(self.output),
                    self.patch.size,
                    self.fps,
                    rates.sample,
                    codec=codec,
                    quality=quality,
                    overwrite=overwrite,
                    metadata={"title": self.patch.name or self.path.stem},
                ) as writer,
                _Progress(self.ticks, rates.tick) as progress,
            ):
                self._write_all(run, stage, writer, progress)
        finally:
            if stage is not None:
                stage.close()

    def _write_all(self, run, stage, writer, progress):
        from dmm_av.commands.opening import print_notices

        rates, seen, written, picture = self.patch.rates, set(), 0, None
        for tick in range(self.ticks):
            sound, drawn = run.step()
            if stage is not None:
                if drawn is not None:
                    picture = run.picture
                while written * rates.tick < (tick + 1) * self.fps:
                    writer.frame(picture)
                    written += 1
            writer.sound(sound)
            progress.advance(tick + 1, written)
            print_notices(run.machine, sys.stderr, seen)
        self.messages = [f"{notice.where}: {notice.sentence}" for notice in seen]

    def write_sidecar(self, command_line, events):
        """What was rendered from what, beside the output: OUT.json."""
        import json
        import platform
        from importlib.metadata import version

        from dmm_av.commands.opening import content_hash

        described = {
            "patch": str(self.path),
            "patch_sha256": content_hash(self.path),
            "events": str(events) if events else None,
            "events_sha256": content_hash(events) if events else None,
            "seed": self.patch.seed,
            "size": list(self.patch.size),
            "fps": str(self.fps),
            "rates": {name: getattr(self.patch.rates, name) for name in ("sample", "tick", "frame", "hops")},
            "duration_s": self.ticks / self.patch.rates.tick,
            "command": command_line,
            "renderer": self.renderer,
            "processor": platform.processor() or platform.machine(),
            "messages": self.messages,
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("numpy", "numba", "moderngl", "av")},
            },
        }
        name = str(self.output).replace("%", "") if "%" in str(self.output) else str(self.output)
        Path(f"{name}.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


class _Progress:
    """A bar with the time left on stderr; plain lines where stderr is no terminal."""

    def __init__(self, total, tick_rate):
        self.total, self.tick_rate = total, tick_rate

    def __enter__(self):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[frames]} frames"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("rendering", total=self.total, frames=0)
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def advance(self, ticks, frames):
        """Moves the bar; cheap enough for every tick."""
        if ticks % 16 == 0 or ticks == self.total:
            self._bar.update(self._task, completed=ticks, frames=frames)
