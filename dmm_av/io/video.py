"""Pictures and sound to files and back: films, numbered pictures, float sound files. PyAV does the coding, in
process.

Pictures here are uint8 RGBA, top row first, straight alpha; sound is float32 (n, 2). A file appears under its
name only when it is complete. How long to render and what, is not known here.
"""

import contextlib
import os
import re
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import final

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from dmm_av.errors import MediaError, nearest, unknown
from dmm_av.streams.units import LARGEST_SIDE

QUALITIES = ("low", "medium", "high", "lossless")

# ---- what can be written


@dataclass(frozen=True)
class Coding:
    """One way to code pictures: an encoder of PyAV, the pixels it is given, its options."""

    encoder: str
    pixels: str
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class PictureCodec:
    """What `--codec` names: a coding for each quality; `scale` is the option that a number as quality
    sets."""

    low: Coding
    medium: Coding
    high: Coding
    lossless: Coding | None = None
    scale: str | None = None
    tag: str | None = None

    def coding(self, where, name, quality):
        if isinstance(quality, int) or str(quality).isdecimal():
            if self.scale is None:
                raise MediaError(f"{where}: `{name}` takes no number as quality. Say low, medium or high.")
            return Coding(self.high.encoder, self.high.pixels, self.high.options | {self.scale: str(quality)})
        if quality not in QUALITIES:
            raise unknown(where, "quality", quality, QUALITIES, MediaError)
        coding = getattr(self, quality)
        if coding is None:
            raise MediaError(f"{where}: `{name}` always loses a little. For lossless use ffv1 in a .mkv file.")
        return coding


def _x264(preset, crf):
    return Coding("libx264", "yuv420p", {"preset": preset, "crf": str(crf)})


def _x265(preset, crf):
    return Coding("libx265", "yuv420p", {"preset": preset, "crf": str(crf), "x265-params": "log-level=error"})


def _vp9(pixels, crf, speed):
    options = {"crf": str(crf), "b": "0", "deadline": "good", "cpu-used": str(speed), "row-mt": "1"}
    return Coding("libvpx-vp9", pixels, options)


def _prores(pixels, *profiles):
    return (Coding("prores_ks", pixels, {"profile": profile, "vendor": "apl0"}) for profile in profiles)


_FFV1 = Coding("ffv1", "bgra", {"level": "3", "g": "1", "slices": "16", "slicecrc": "1"})

PICTURE_CODECS = {
    "h264": PictureCodec(
        _x264("veryfast", 26),
        _x264("veryfast", 20),
        _x264("fast", 17),
        Coding("libx264rgb", "rgb24", {"preset": "fast", "qp": "0"}),
        scale="crf",
    ),
    "h265": PictureCodec(
        _x265("veryfast", 30),
        _x265("fast", 25),
        _x265("medium", 20),
        Coding("libx265", "gbrp", {"preset": "fast", "x265-params": "lossless=1:log-level=error"}),
        scale="crf",
        tag="hvc1",  # the tag that Apple's players want
    ),
    "vp9": PictureCodec(
        _vp9("yuv420p", 40, 6),
        _vp9("yuv420p", 31, 4),
        _vp9("yuv420p", 20, 3),
        Coding("libvpx-vp9", "gbrp", {"lossless": "1", "cpu-used": "4", "row-mt": "1"}),
        scale="crf",
    ),
    "vp9_alpha": PictureCodec(_vp9("yuva420p", 40, 6), _vp9("yuva420p", 31, 4), _vp9("yuva420p", 20, 3), scale="crf"),
    "prores": PictureCodec(*_prores("yuv422p10le", "lt", "standard", "hq")),
    "prores4444": PictureCodec(*_prores("yuva444p10le", "4444", "4444", "4444xq")),
    "ffv1": PictureCodec(_FFV1, _FFV1, _FFV1, _FFV1),
}
_ALSO = {"x264": "h264", "libx264": "h264", "avc": "h264", "x265": "h265", "libx265": "h265", "hevc": "h265"}


@dataclass(frozen=True)
class Container:
    """What an extension means; the first codec is the usual one, `lossless` the one for that quality."""

    muxer: str
    codecs: tuple
    lossless: str
    sound: str
    lossless_sound: str
    options: dict = field(default_factory=dict)


_BITEXACT = {"fflags": "+bitexact"}  # no random numbers, no times: the same film is the same file
CONTAINERS = {
    ".mp4": Container("mp4", ("h264", "h265"), "h264", "aac", "aac", _BITEXACT | {"movflags": "+faststart"}),
    ".mov": Container(
        "mov",
        ("h264", "h265", "prores", "prores4444"),
        "h264",
        "aac",
        "pcm_f32le",
        _BITEXACT | {"movflags": "+faststart"},
    ),
    ".mkv": Container("matroska", ("h264", "h265", "vp9", "ffv1"), "ffv1", "flac", "pcm_f32le", _BITEXACT),
    ".webm": Container("webm", ("vp9", "vp9_alpha"), "vp9", "libopus", "libopus", _BITEXACT),
}
_WAV = Container("wav", (), "", "pcm_f32le", "pcm_f32le", _BITEXACT | {"rf64": "auto"})
EXTENSIONS = (*CONTAINERS, ".png", ".wav")
_BITS_PER_SECOND = {"aac": 320_000, "libopus": 256_000}
_SOUND_OPTIONS = {"flac": {"compression_level": "8"}, "libopus": {"application": "audio"}}
_HALVED = {"420": (2, 2), "422": (2, 1)}  # pixels that share a colour, across and down


# ---- writers


class AbstractWriter(ABC):
    """Takes pictures and sound in any order and makes a file of them; the file is as long as its pictures.

    Leaving the `with` closes it, an error inside throws away what is not finished.

    pictures, sounds   whether such are written at all; what is not written may be handed over, and is dropped
    frames             pictures handed over so far
    """

    pictures = True
    sounds = True
    frames = 0

    @abstractmethod
    def frame(self, rgba):
        """Adds a picture: uint8 (height, width, 4), top row first."""

    @abstractmethod
    def sound(self, samples):
        """Adds sound: float32 (n, 2)."""

    @abstractmethod
    def close(self):
        """Completes the file and gives it its name."""

    @abstractmethod
    def abort(self):
        """Throws away what is not finished."""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.abort()


def open_writer(path, size, fps, sample_rate, codec=None, quality="high", overwrite=False, metadata=None):
    """The writer for a path, chosen by its extension.

    path          .mp4 .mov .mkv .webm; .wav for sound alone; `%05d.png` for pictures 0, 1, 2 … with a .wav beside
    size          (width, height) in pixels
    fps           frames per second, a Fraction
    sample_rate   Hz; None for no sound
    codec         of `PICTURE_CODECS`; None: what is usual for the extension
    quality       low, medium, high, lossless, or a number: the codec's own (x264: crf)
    metadata      {name: text} for the file's header
    """
    path = Path(path)
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        said = f"nothing is written into `{extension}` files" if extension else "the name has no extension"
        raise MediaError(f"{path}: {said}. {nearest(extension, EXTENSIONS)}")
    if str(quality) not in QUALITIES and not str(quality).isdecimal():
        raise unknown(path, "quality", quality, QUALITIES, MediaError)
    fps = Fraction(fps).limit_denominator(1_000_000)
    if extension == ".png":
        return _PictureSequence(path, size, fps, sample_rate, overwrite, metadata)
    if extension == ".wav":
        if sample_rate is None:
            raise MediaError(f"{path}: a sound file needs sound. Name a film, or do not switch the sound off.")
        return _Film(path, None, fps, sample_rate, _WAV, None, _WAV.sound, overwrite, metadata)
    container = CONTAINERS[extension]
    name = _codec_name(path, container, codec, quality)
    coding = PICTURE_CODECS[name].coding(path, name, quality)
    sound = container.lossless_sound if quality == "lossless" else container.sound
    tag = PICTURE_CODECS[name].tag
    return _Film(path, size, fps, sample_rate, container, coding, sound, overwrite, metadata, tag)


def _codec_name(path, container, codec, quality):
    if codec is None:
        return container.lossless if quality == "lossless" else container.codecs[0]
    name = _ALSO.get(codec, codec)
    if name not in PICTURE_CODECS:
        raise unknown(path, "codec", codec, PICTURE_CODECS, MediaError)
    if name not in container.codecs:
        homes = [extension for extension, other in CONTAINERS.items() if name in other.codecs]
        raise MediaError(
            f"{path}: a {path.suffix} file cannot hold `{name}`. "
            f"It holds {', '.join(container.codecs)}; `{name}` goes into {' or '.join(homes)}."
        )
    return name


@contextlib.contextmanager
def _sentences(path):
    """Says what the disk or the encoder said, as a sentence."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{path}: cannot be written ({reason}). Choose another place, size or codec.") from error


def _free_place(path, overwrite):
    """Refuses to write over a file unasked; makes the folder."""
    if path.exists() and not overwrite:
        raise MediaError(f"{path}: this file exists. Choose another name, or say -y to write over it.")
    with _sentences(path):
        path.parent.mkdir(parents=True, exist_ok=True)


def _checked(path, rgba, size):
    width, height = size
    if rgba.shape != (height, width, 4) or rgba.dtype != np.uint8:
        raise MediaError(
            f"{path}: a picture is {rgba.dtype} {rgba.shape}, not uint8 {(height, width, 4)}. "
            "The size of a film cannot change while it is written."
        )
    return np.ascontiguousarray(rgba)


@final
class _Film(AbstractWriter):
    """Pictures and sound, or sound alone, in one file."""

    def __init__(self, path, size, fps, rate, container, coding, sound, overwrite, metadata, tag=None):
        self.path, self._size, self._fps, self._rate = path, size, fps, rate
        self.pictures, self.sounds = coding is not None, rate is not None
        if self.pictures:
            self._refuse_odd_size(coding.pixels)
        _free_place(path, overwrite)
        self._unfinished = path.with_name(f".{path.name}.part")
        self._waiting = np.zeros((0, 2), np.float32)
        self._samples = 0  # handed to the encoder
        options = dict(container.options)
        if metadata and "movflags" in options and set(metadata) - {"title", "artist", "comment", "date"}:
            options["movflags"] += "+use_metadata_tags"
        if rate and "movflags" in options:
            options["movie_timescale"] = str(rate)  # else the sound's end is rounded to a millisecond
        with _sentences(path):
            # With `file:` a colon in the name is no protocol.
            self._file = av.open(f"file:{self._unfinished.absolute()}", "w", container.muxer, options=options)
        try:
            with _sentences(path):
                self._file.metadata.update({name: str(text) for name, text in (metadata or {}).items()})
                if self.pictures:
                    self._film = self._picture_stream(coding, tag)
                if self.sounds:
                    self._track = self._sound_stream(sound)
                self._file.start_encoding()
        except BaseException:
            self.abort()
            raise

    def _refuse_odd_size(self, pixels):
        across, down = next((shared for name, shared in _HALVED.items() if name in pixels), (1, 1))
        width, height = self._size
        if width % across or height % down:
            even = f"{width - width % across}x{height - height % down}"
            raise MediaError(
                f"{self.path}: {width}x{height} is an odd size, which this codec cannot store. Use {even}, "
                "or a .png or lossless file."
            )

    def _picture_stream(self, coding, tag):
        stream = self._file.add_stream(coding.encoder, rate=self._fps, options=dict(coding.options))
        stream.width, stream.height = self._size
        stream.pix_fmt = coding.pixels
        stream.time_base = stream.codec_context.time_base = 1 / self._fps
        self._is_rgb = not coding.pixels.startswith("yuv")
        context = stream.codec_context
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.IEC61966_2_1 if self._is_rgb else ColorTrc.BT709
        context.color_range = ColorRange.JPEG if self._is_rgb else ColorRange.MPEG
        context.colorspace = 0 if self._is_rgb else 1  # RGB, BT.709
        if tag:
            context.codec_tag = tag
        return stream

    def _sound_stream(self, encoder):
        rates = av.Codec(encoder, "w").audio_rates
        rate = self._rate if not rates or self._rate in rates else max(rates)
        stream = self._file.add_stream(
            encoder, rate=rate, layout="stereo", options=dict(_SOUND_OPTIONS.get(encoder, {}))
        )
        if encoder == "flac":
            stream.format = "s32"
        if encoder in _BITS_PER_SECOND:
            stream.bit_rate = _BITS_PER_SECOND[encoder]
        return stream

    def frame(self, rgba):
        rgba = _checked(self.path, rgba, self._size) if self.pictures else rgba
        if self.pictures:
            with _sentences(self.path):
                self._file.mux(self._film.encode(self._coded(rgba)))
        self.frames += 1
        self._sound_up_to_now()

    def _coded(self, rgba):
        picture = av.VideoFrame.from_ndarray(rgba, format="rgba")
        picture = picture.reformat(
            format=self._film.pix_fmt,
            dst_colorspace=None if self._is_rgb else Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if self._is_rgb else ColorRange.MPEG,
            interpolation=_EXACT,
        )
        picture.pts, picture.time_base = self.frames, 1 / self._fps
        return picture

    def sound(self, samples):
        if not self.sounds:
            return
        self._waiting = np.concatenate([self._waiting, np.asarray(samples, np.float32).reshape(-1, 2)])
        self._sound_up_to_now()

    def _sound_up_to_now(self):
        """Hands on the sound of the pictures so far; later sound waits for its picture."""
        if not self.sounds or not len(self._waiting):
            return
        due = int(self.frames * self._rate / self._fps) if self.pictures else self._samples + len(self._waiting)
        self._encode(self._waiting[: max(due - self._samples, 0)])

    def _encode(self, samples):
        if not len(samples):
            return
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "flt", "stereo")
        block.sample_rate, block.pts, block.time_base = self._rate, self._samples, Fraction(1, self._rate)
        with _sentences(self.path):
            self._file.mux(self._track.encode(block))
        self._samples += len(samples)
        self._waiting = self._waiting[len(samples) :]

    def close(self):
        if self._file is None:
            return
        try:
            self._complete()
        except BaseException:
            self.abort()
            raise

    def _complete(self):
        if self.pictures and not self.frames:
            raise MediaError(f"{self.path}: no picture was rendered. Render at least one frame.")
        if self.pictures and self.sounds:
            missing = int(self.frames * self._rate / self._fps) - self._samples - len(self._waiting)
            self.sound(np.zeros((max(missing, 0), 2), np.float32))
        with _sentences(self.path):
            if self.pictures:
                self._file.mux(self._film.encode())
            if self.sounds:
                self._file.mux(self._track.encode())
            self._file.close()
            self._file = None
            os.replace(self._unfinished, self.path)

    def abort(self):
        if self._file is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._file.close()
            self._file = None
        self._unfinished.unlink(missing_ok=True)


@final
class _PictureSequence(AbstractWriter):
    """A numbered picture file for each frame, from 0, and a .wav beside them."""

    def __init__(self, path, size, fps, rate, overwrite, metadata):
        pattern = re.fullmatch(r"([^%]*)%0?(\d*)d([^%]*)", path.name)
        if not pattern:
            raise MediaError(
                f"{path}: many pictures need numbers in their names. Use a name such as "
                f"`{path.stem.replace('%', '')}%05d.png`."
            )
        self.path, self._size, self._fps, self._rate = path, size, fps, rate
        self.sounds = rate is not None
        first = path.with_name(path.name % 0)
        _free_place(first, overwrite)
        before, _, after = pattern.groups()
        stem = (before + after.removesuffix(path.suffix)).strip("._- ") or "sound"
        self._wav = None
        if self.sounds:
            self._wav = open_writer(
                path.with_name(f"{stem}.wav"), None, fps, rate, overwrite=overwrite, metadata=metadata
            )
        self._samples = 0
        self._encoders = ThreadPoolExecutor(os.cpu_count() or 1, "picture")
        self._unfinished = deque()

    def frame(self, rgba):
        rgba = _checked(self.path, rgba, self._size)
        target = self.path.with_name(self.path.name % self.frames)
        while len(self._unfinished) > 2 * (os.cpu_count() or 1):
            self._unfinished.popleft().result()
        self._unfinished.append(self._encoders.submit(write_picture, target, rgba.copy()))
        self.frames += 1

    def sound(self, samples):
        if self._wav:
            self._wav.sound(samples)
            self._samples += len(samples)

    def close(self):
        try:
            while self._unfinished:
                self._unfinished.popleft().result()
            self._remove_older_pictures()
            if self._wav:
                self._wav.close()
        except BaseException:
            self.abort()
            raise
        self._encoders.shutdown()

    def _remove_older_pictures(self):
        """A longer film that was here before would go on where this one ends."""
        number = self.frames
        while (older := self.path.with_name(self.path.name % number)).exists():
            older.unlink()
            number += 1

    def abort(self):
        self._encoders.shutdown(cancel_futures=True)
        if self._wav:
            self._wav.abort()


def write_picture(path, rgba):
    """One picture as .png: uint8 (height, width, 4), top row first; the same picture gives the same bytes."""
    path = Path(path)
    encoder = av.CodecContext.create("png", "w")
    encoder.height, encoder.width = rgba.shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.sample_aspect_ratio = "rgba", Fraction(1), Fraction(1)
    encoder.thread_count = 1
    encoder.options = {"pred": "up", "compression_level": "1"}  # the higher levels take 10 times longer for 15 %
    unfinished = path.with_name(f".{path.name}.part")
    with _sentences(path):
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="rgba")
        picture.pts = 0
        packets = [*encoder.encode(picture), *encoder.encode()]
        unfinished.write_bytes(b"".join(bytes(packet) for packet in packets))
        os.replace(unfinished, path)


# ---- reading

_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
LARGEST_AREA = 8_192 * 8_192


def read_picture(path, largest_side=LARGEST_SIDE):
    """A picture file as float32 (height, width, 4), top row first, straight alpha.

    Values are 0..1, those of float files as they are. A photograph is turned as its camera noted.
    """
    path = Path(path)
    with _opened(path, largest_side) as (file, stream):
        picture = next(file.decode(stream), None)
        if picture is None:
            raise MediaError(f"{path}: there is no picture in this file. Save it again as .png.")
        depth = max(component.bits for component in picture.format.components)
        if "f16" in picture.format.name or "f32" in picture.format.name:
            pixels = _pixels(picture, "gbrapf32le")
        elif depth > 8:
            pixels = _pixels(picture, "rgba64le") / np.float32(65535)
        else:
            pixels = _pixels(picture, "rgba") / np.float32(255)
        return np.ascontiguousarray(np.rot90(pixels, picture.rotation // 90), np.float32)


def read_video(path, largest_side=LARGEST_SIDE):
    """Yields (seconds, uint8 (height, width, 4), top row first) for each frame of a film or picture file."""
    with _opened(Path(path), largest_side) as (file, stream):
        for picture in file.decode(stream):
            yield picture.time, _pixels(picture, "rgba")


def read_sound(path):
    """(rate in Hz, float32 (n, 2) from time 0) of a film or sound file."""
    path = Path(path)
    with _file_open(path) as file:
        if not file.streams.audio:
            raise MediaError(f"{path}: there is no sound in this file. Choose another one.")
        stream = file.streams.audio[0]
        rate = stream.rate
        stereo = av.AudioResampler("flt", "stereo", rate)
        start, blocks = None, []
        for block in file.decode(stream):
            start = round(block.time * rate) if start is None else start
            blocks += [part.to_ndarray().reshape(-1, 2) for part in stereo.resample(block)]
        blocks += [part.to_ndarray().reshape(-1, 2) for part in stereo.resample(None)]
        start = start or 0
        sound = np.concatenate([np.zeros((max(start, 0), 2), np.float32), *blocks])[max(-start, 0) :]
        # The last block of a lossy codec is longer than the sound in it.
        length = round(stream.duration * stream.time_base * rate) if stream.duration else len(sound)
        return rate, sound[:length]


def _pixels(picture, format):
    matrix = picture.colorspace if picture.colorspace != 2 else Colorspace.DEFAULT
    return picture.reformat(format=format, src_colorspace=matrix, interpolation=_EXACT).to_ndarray()


@contextlib.contextmanager
def _file_open(path):
    """The file's container. Only this file is read, whatever is written in it."""
    if not path.exists():
        raise MediaError(f"{path}: there is no such file. Look at the folder's spelling and at the file's.")
    try:
        # An open file, not a name: names may mean the network. To look into a picture is to decode it: hence
        # the area.
        options = {"protocol_whitelist": "none", "max_pixels": str(LARGEST_AREA)}
        with path.open("rb") as raw, av.open(raw, options=options) as file:
            yield file
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{path}: this file cannot be read ({reason}). Save it again, a picture as .png.") from error


@contextlib.contextmanager
def _opened(path, largest_side):
    with _file_open(path) as file:
        if not file.streams.video:
            raise MediaError(f"{path}: there is no picture in this file. Choose another one.")
        stream = file.streams.video[0]
        if stream.codec_context is None:
            raise MediaError(f"{path}: this kind of picture cannot be read. Save it as .png.")
        width, height = stream.width, stream.height
        if not width * height:
            raise MediaError(
                f"{path}: this picture is broken, or larger than {LARGEST_AREA // 1_000_000} million pixels. "
                "Make it smaller, or save it again as .png."
            )
        if max(width, height) > largest_side:
            raise MediaError(
                f"{path}: {width}x{height} pixels are too large; a side may have {largest_side}. "
                "Make the picture smaller."
            )
        stream.thread_type = "AUTO"
        yield file, stream
