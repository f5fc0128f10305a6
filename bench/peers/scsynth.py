"""SuperCollider's server as a peer: the workloads as scores for `scsynth -N`, rendered and timed. Has no sclang."""

import math
import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import soundfile
from pythonosc.osc_message_builder import OscMessageBuilder

from bench.peers.synthdef import SynthDef
from bench.workloads import SAMPLE_RATE, VOICE, feedback_network, sine_frequencies, voice_frequencies
from dmm_av.errors import DeviceError

PEER = "scsynth"


@dataclass(frozen=True)
class Piece:
    """A synth definition and the control block (`-z`) that it is played with."""

    synthdef: SynthDef
    control_block: int

    @property
    def peer(self):
        return f"{PEER} -z {self.control_block}"


def is_installed():
    return shutil.which("scsynth") is not None


def sines(count=1000, control_block=64):
    """`count` SinOsc.ar of constant frequency, mixed to mono, at 1 / count each."""
    synthdef = SynthDef("sines")
    mix = synthdef.total(
        [lambda frequency=frequency: synthdef.unit("SinOsc", frequency, 0.0) for frequency in sine_frequencies(count)]
    )
    return finished(synthdef, mix, 1.0 / count, control_block)


def feedback_fm(count=50, sources=5, control_block=1):
    """`count` sines that modulate each other's phase through LocalIn and LocalOut, one block late.

    At `-z 1` a block is one sample, the only setting at which this is the same instrument as ours.
    """
    frequencies, weights = feedback_network(count, sources)
    synthdef = SynthDef("feedback_fm")
    late = synthdef.unit("LocalIn", *[0.0] * count, outputs=count)
    voices = []
    for to, frequency in enumerate(frequencies):
        (first, weight), *others = [(source, w) for (row, source), w in weights.items() if row == to]
        phase = synthdef.multiply(late[first], math.tau * weight)
        for source, weight in others:
            phase = synthdef.multiply_add(late[source], math.tau * weight, phase)
        voices.append(synthdef.unit("SinOsc", frequency, phase))
    synthdef.unit("LocalOut", *voices, outputs=0)
    mix = synthdef.total([lambda voice=voice: voice for voice in voices])
    return finished(synthdef, mix, 1.0 / count, control_block)


def voices(count=20, control_block=64, low_pass="BLowPass"):
    """`count` voices saw -> low-pass -> tanh -> times envelope, the cutoff following the envelope.

    low_pass   `BLowPass` follows its cutoff at audio rate; `RLPF` looks at it once a control block
    """
    synthdef = SynthDef("voices")

    def voice(frequency):
        pulse = synthdef.unit("Impulse", VOICE["pulse"], 0.5)
        rise = synthdef.unit("Decay", pulse, VOICE["decay"])
        envelope = synthdef.unit("Lag", rise, VOICE["attack"])
        cutoff = synthdef.multiply_add(envelope, VOICE["sweep"], VOICE["cutoff"])
        saw = synthdef.unit("Saw", frequency)
        low = synthdef.unit(low_pass, saw, cutoff, VOICE["rq"])
        return synthdef.multiply(synthdef.tanh(synthdef.multiply(low, VOICE["drive"])), envelope)

    mix = synthdef.total([lambda frequency=frequency: voice(frequency) for frequency in voice_frequencies(count)])
    return finished(synthdef, mix, 1.0 / count, control_block)


def finished(synthdef, mix, gain, control_block):
    """A piece whose mix goes to the only output at `gain`."""
    synthdef.unit("Out", 0.0, synthdef.multiply(mix, gain), outputs=0)
    return Piece(synthdef, control_block)


def times_real_time(piece, seconds=60.0):
    """Seconds of sound per second of one core, start-up and the reading of the score taken off.

    Two renders, of 1 s and of `seconds`; only the difference of their processor times counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        short = rendered(piece, 1.0, Path(folder))
        long = rendered(piece, seconds, Path(folder))
    return (seconds - 1.0) / (long - short)


def sound(piece, seconds):
    """What the piece sounds like: float32 samples, mono."""
    with tempfile.TemporaryDirectory() as folder:
        rendered(piece, seconds, Path(folder))
        samples, rate = soundfile.read(Path(folder) / "out.wav", dtype="float32")
    assert rate == SAMPLE_RATE
    return samples


def rendered(piece, seconds, folder):
    """Renders the piece to `out.wav` in the folder; returns the processor time of scsynth, s."""
    if not is_installed():
        raise DeviceError("bench: there is no `scsynth`. On Debian: apt install supercollider-server.")
    definition, score, log = folder / "piece.scsyndef", folder / "score.osc", folder / "log.txt"
    piece.synthdef.write(definition)
    score.write_bytes(
        bundle(0.0, message("/d_load", str(definition)))
        + bundle(0.0, message("/s_new", piece.synthdef.name, -1, 0, 0))
        + bundle(seconds, message("/c_set", 0, 0.0))
    )
    command = ["scsynth", "-N", score, "_", folder / "out.wav", str(SAMPLE_RATE), "WAV", "float"]
    options = ["-z", str(piece.control_block), "-i", "0", "-o", "1", "-w", "512", "-m", "65536", "-D", "0"]
    with log.open("wb") as text:
        process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=text, stderr=text)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    said = log.read_text(errors="replace")
    if process.returncode != 0 or "FAILURE" in said or "exception" in said:
        raise DeviceError(f"bench: scsynth could not render `{piece.synthdef.name}`. It says: {said.strip()[-400:]}")
    return used.ru_utime + used.ru_stime


def message(address, *arguments):
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build().dgram


def bundle(seconds, content):
    """One line of a score: its length, then a bundle whose time is counted from the start of the score."""
    packet = b"#bundle\0" + struct.pack(">Qi", round(seconds * 2**32), len(content)) + content
    return struct.pack(">i", len(packet)) + packet
