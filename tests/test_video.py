"""What was rendered is in the file: every picture, its colours, its sound, at the same time; or no file at all."""

import os
import struct
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from dmm_av.errors import MediaError
from dmm_av.io.video import open_writer, read_picture, read_sound, read_video, write_picture

WIDTH, HEIGHT = SIZE = 160, 96
RATE = 48_000
FPS = Fraction(60)
TAU = 2 * np.pi


def corners():
    """A picture that is different whichever way it is turned."""
    picture = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    picture[...] = (20, 40, 220, 255)
    picture[: HEIGHT // 2, : WIDTH // 2] = (200, 30, 60, 255)
    picture[: HEIGHT // 2, WIDTH // 2 :] = (10, 200, 90, 255)
    picture[HEIGHT // 2 :, WIDTH // 2 :] = (128, 128, 128, 255)
    return picture


def sine(frequency, samples, rate=RATE):
    wave = 0.5 * np.sin(TAU * frequency * np.arange(samples) / rate)
    return np.stack([wave, wave], axis=1).astype(np.float32)


def write_film(path, frames=60, fps=FPS, rate=RATE, picture=None, sound=None, **options):
    picture = corners() if picture is None else picture
    if sound is None and rate:
        sound = sine(1000, int(frames * rate / fps), rate)
    with open_writer(path, picture.shape[1::-1], fps, rate, **options) as writer:
        for _ in range(frames):
            writer.frame(picture)
        if rate:
            writer.sound(sound)
    return path


FILMS = [
    ("film.mp4", {}),
    ("film.mp4", {"codec": "h265", "quality": "low"}),
    ("film.mp4", {"quality": "lossless"}),
    ("film.mov", {}),
    ("film.mov", {"codec": "prores"}),
    ("film.mov", {"codec": "prores4444"}),
    ("film.mkv", {}),
    ("film.mkv", {"codec": "ffv1"}),
    ("film.mkv", {"quality": "lossless"}),
    ("film.webm", {"quality": "low"}),
    ("film.webm", {"codec": "vp9_alpha", "quality": 40}),
]
EVERY_FILM = pytest.mark.parametrize("name, options", FILMS, ids=str)


@EVERY_FILM
def test_a_film_has_the_size_rate_length_colours_and_tone_it_was_given(tmp_path, name, options):
    path = write_film(tmp_path / name, 60, **options)
    with av.open(str(path)) as film:
        stream, track = film.streams.video[0], film.streams.audio[0]
        assert (stream.width, stream.height, stream.average_rate) == (WIDTH, HEIGHT, 60)
        assert (track.rate, track.codec_context.channels) == (RATE, 2)
        assert film.duration / av.time_base == pytest.approx(1.0, abs=0.02)

    pictures = list(read_video(path))
    assert [seconds for seconds, _ in pictures] == pytest.approx(np.arange(60) / 60, abs=0.001)
    right = corners()
    for row, column in ((20, 30), (20, 120), (70, 30), (70, 120)):
        assert pictures[30][1][row, column] == pytest.approx(right[row, column], abs=4)

    rate, sound = read_sound(path)
    assert abs(len(sound) - rate) <= 1
    spectrum = np.abs(np.fft.rfft(sound[4800:43200, 0] * np.hanning(38400)))
    assert spectrum.argmax() * rate / 38400 == pytest.approx(1000, abs=1.3)
    assert np.abs(sound[4800:43200]).max() == pytest.approx(0.5, abs=0.02)


@EVERY_FILM
def test_a_flash_and_a_click_at_the_same_time_stay_together(tmp_path, name, options):
    path, dark, flash = tmp_path / name, corners() // 8, np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    dark[..., 3] = 255
    sound = np.zeros((60 * 800, 2), np.float32)
    sound[40 * 800] = 0.9
    with open_writer(path, SIZE, FPS, RATE, **options) as writer:
        for k in range(60):
            writer.sound(sound[800 * k : 800 * (k + 1)])
            writer.frame(flash if k == 40 else dark)
    flashes = [seconds for seconds, picture in read_video(path) if picture[..., :3].mean() > 128]
    rate, heard = read_sound(path)
    assert flashes == pytest.approx([40 / 60], abs=0.001)
    assert np.abs(heard[:, 0]).argmax() / rate == pytest.approx(40 / 60, abs=0.0002)


def test_colours_are_converted_with_the_matrix_that_the_file_names(tmp_path):
    path = write_film(tmp_path / "film.mp4", 2)
    with av.open(str(path)) as film:
        context = film.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        coded = next(film.decode(video=0))
        luma, blue, red = (np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in coded.planes)
    for row, column in ((20, 30), (20, 120), (70, 30), (70, 120)):
        r, g, b = corners()[row, column, :3] / 255
        y = 0.2126 * r + 0.7152 * g + 0.0722 * b  # ITU-R BT.709, limited range
        assert luma[row, column] == pytest.approx(16 + 219 * y, abs=2)
        assert blue[row // 2, column // 2] == pytest.approx(128 + 224 * (b - y) / 1.8556, abs=2)
        assert red[row // 2, column // 2] == pytest.approx(128 + 224 * (r - y) / 1.5748, abs=2)


@pytest.mark.parametrize("name, codec", [("a.mkv", "ffv1"), ("a.mp4", None), ("a.webm", None)], ids=str)
def test_lossless_loses_nothing(tmp_path, name, codec):
    random = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    random[..., 3] = 255
    path = write_film(tmp_path / name, 3, rate=None, picture=random, codec=codec, quality="lossless")
    assert all(np.array_equal(picture, random) for _, picture in read_video(path))


def test_a_lossless_mkv_keeps_the_sound_bit_by_bit(tmp_path):
    path = write_film(tmp_path / "a.mkv", 60, quality="lossless")
    assert np.array_equal(read_sound(path)[1], sine(1000, RATE))


@pytest.mark.parametrize("name, codec, most", [("a.mov", "prores4444", 3), ("a.mkv", "ffv1", 0)])
def test_codecs_with_alpha_keep_it(tmp_path, name, codec, most):
    picture = corners()
    picture[..., 3] = np.linspace(0, 255, WIDTH).astype(np.uint8)
    path = write_film(tmp_path / name, 2, rate=None, picture=picture, codec=codec)
    _, read = next(read_video(path))
    assert np.abs(read[..., 3].astype(int) - picture[..., 3]).max() <= most


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001)], ids=str)
def test_any_frame_rate_is_kept_as_a_fraction(tmp_path, fps):
    path = write_film(tmp_path / "film.mp4", 50, fps=fps)
    with av.open(str(path)) as film:
        assert film.streams.video[0].average_rate == fps
    assert len(read_sound(path)[1]) == pytest.approx(50 / fps * RATE, abs=1)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_another_sample_rate_sounds_at_the_same_pitch(tmp_path, name):
    rate, sound = read_sound(write_film(tmp_path / name, 60, rate=44_100))
    middle = sound[len(sound) // 4 : 3 * len(sound) // 4, 0]
    crossings = np.flatnonzero((middle[:-1] <= 0) & (middle[1:] > 0))
    assert (len(crossings) - 1) * rate / (crossings[-1] - crossings[0]) == pytest.approx(1000, rel=0.001)


@pytest.mark.parametrize("samples", [0, 10_000, 90_000])
def test_the_sound_is_as_long_as_the_pictures(tmp_path, samples):
    path = write_film(tmp_path / "a.mkv", 60, sound=sine(100, samples), quality="lossless")
    _, sound = read_sound(path)
    right = np.zeros((RATE, 2), np.float32)
    right[: min(samples, RATE)] = sine(100, samples)[:RATE]
    assert np.array_equal(sound, right)


def test_sound_may_come_in_pieces_of_any_size(tmp_path):
    path, sound, start = tmp_path / "a.mkv", sine(100, RATE), 0
    with open_writer(path, SIZE, FPS, RATE, quality="lossless") as writer:
        for size in (1, 7, 4000, 123, 20_000, 23_869):
            writer.sound(sound[start : start + size])
            start += size
            for _ in range(10):
                writer.frame(corners())
    assert np.array_equal(read_sound(path)[1], sound)


def test_pictures_and_sound_are_interleaved_and_the_index_comes_first(tmp_path):
    path, furthest, last = write_film(tmp_path / "film.mp4", 120), 0.0, {"video": 0.0, "audio": 0.0}
    with av.open(str(path)) as film:
        for packet in film.demux():
            if packet.dts is not None:
                last[packet.stream.type] = float(packet.dts * packet.time_base)
                furthest = max(furthest, abs(last["video"] - last["audio"]))
    assert furthest < 0.5
    written = path.read_bytes()
    assert written.find(b"moov") < written.find(b"mdat")


# ---- numbered pictures and sound files


def test_numbered_pictures_are_exact_and_start_at_0_with_their_sound_beside(tmp_path):
    pictures = np.random.default_rng(1).integers(0, 256, (12, HEIGHT, WIDTH, 4), np.uint8)
    with open_writer(tmp_path / "shot_%04d.png", SIZE, FPS, RATE) as writer:
        for picture in pictures:
            writer.frame(picture)
            writer.sound(sine(1000, 800))
    assert sorted(os.listdir(tmp_path)) == ["shot.wav", *(f"shot_{k:04}.png" for k in range(12))]
    for k, picture in enumerate(pictures):
        assert np.array_equal(read_picture(tmp_path / f"shot_{k:04}.png"), picture / np.float32(255))
    sound, rate = soundfile.read(tmp_path / "shot.wav", dtype="float32")
    assert rate == RATE
    assert np.array_equal(sound, np.tile(sine(1000, 800), (12, 1)))


def test_numbered_pictures_alone_are_called_by_number_and_their_sound_sound(tmp_path):
    write_film(tmp_path / "%05d.png", 2)
    assert sorted(os.listdir(tmp_path)) == ["00000.png", "00001.png", "sound.wav"]


def test_a_shorter_film_leaves_no_pictures_of_a_longer_one(tmp_path):
    write_film(tmp_path / "%05d.png", 5, rate=None)
    write_film(tmp_path / "%05d.png", 2, rate=None, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["00000.png", "00001.png"]


def test_a_wav_holds_the_very_samples(tmp_path):
    path = tmp_path / "a.wav"
    with open_writer(path, SIZE, FPS, RATE, metadata={"title": "Tides"}) as writer:
        assert (writer.pictures, writer.sounds) == (False, True)
        writer.frame(corners())
        writer.sound(sine(440, 1000) * 3)
        writer.sound(sine(550, 7))
    sound, rate = soundfile.read(path, dtype="float32")
    assert (rate, soundfile.info(path).subtype) == (RATE, "FLOAT")
    assert np.array_equal(sound, np.concatenate([sine(440, 1000) * 3, sine(550, 7)]))


@pytest.mark.parametrize("name", ["a.wav", "%05d.png", "a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_the_same_render_gives_the_same_bytes(tmp_path, name):
    for folder in ("once", "again"):
        write_film(tmp_path / folder / name, 10, metadata={"title": "Tides", "seed": 7})
    files = sorted(os.listdir(tmp_path / "once"))
    assert files == sorted(os.listdir(tmp_path / "again"))
    assert all((tmp_path / "once" / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)


def test_metadata_is_in_the_file(tmp_path):
    path = write_film(tmp_path / "a.mp4", 2, metadata={"title": "Tides", "patch_hash": "abc", "seed": 7})
    with av.open(str(path)) as film:
        assert film.metadata | {"title": "Tides", "patch_hash": "abc", "seed": "7"} == film.metadata


# ---- no half files


class Interruption(BaseException):
    """As Ctrl-C."""


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.wav"])
def test_a_broken_run_leaves_nothing_and_the_older_file_as_it_was(tmp_path, name):
    (tmp_path / name).write_bytes(b"older")
    with pytest.raises(Interruption), open_writer(tmp_path / name, SIZE, FPS, RATE, overwrite=True) as writer:
        for _ in range(20):
            writer.frame(corners())
            writer.sound(sine(1000, 800))
        assert (tmp_path / name).read_bytes() == b"older"
        raise Interruption
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"older"


def test_a_film_without_pictures_is_no_file(tmp_path):
    with pytest.raises(MediaError, match="no picture was rendered"):
        open_writer(tmp_path / "a.mp4", SIZE, FPS, RATE).close()
    assert os.listdir(tmp_path) == []


REFUSALS = [
    ("a.mp5", {}, "nothing is written into `.mp5` files. Did you mean `.mp4`?"),
    ("film", {}, "the name has no extension. Known: "),
    ("a.mp4", {"codec": "h24"}, "no codec is called `h24`. Did you mean `h264`?"),
    ("a.webm", {"codec": "h264"}, "a .webm file cannot hold `h264`. It holds vp9"),
    ("a.mp4", {"quality": "hihg"}, "no quality is called `hihg`. Did you mean `high`?"),
    ("a.mov", {"codec": "prores", "quality": "lossless"}, "always loses a little. For lossless use ffv1"),
    ("a.mov", {"codec": "prores", "quality": 3}, "takes no number as quality"),
    ("a.mp4", {"size": (161, 97)}, "161x97 is an odd size, which this codec cannot store. Use 160x96"),
    ("there.mp4", {}, "this file exists. Choose another name, or say -y"),
    ("there.mp4/a.mp4", {}, "cannot be written"),
    ("picture.png", {}, "many pictures need numbers in their names. Use a name such as `picture%05d.png`"),
    ("a.wav", {"sample_rate": None}, "a sound file needs sound"),
    ("a.mp4", {"size": (0, 0)}, "cannot be written"),
]


@pytest.mark.parametrize("name, options, sentence", REFUSALS, ids=str)
def test_what_cannot_be_written_is_refused_with_a_sentence_before_anything_is_rendered(
    tmp_path, name, options, sentence
):
    (tmp_path / "there.mp4").write_bytes(b"older")
    with pytest.raises(MediaError) as refused:
        open_writer(tmp_path / name, **{"size": SIZE, "fps": FPS, "sample_rate": RATE} | options)
    assert sentence in str(refused.value)
    assert os.listdir(tmp_path) == ["there.mp4"]


def test_a_picture_of_another_size_is_refused_with_a_sentence(tmp_path):
    with open_writer(tmp_path / "a.mp4", SIZE, FPS, None) as writer:
        writer.frame(corners())
        with pytest.raises(MediaError, match="The size of a film cannot change"):
            writer.frame(corners()[:-2])


def test_odd_sizes_are_fine_where_no_colours_are_shared(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (97, 161, 4), np.uint8)
    picture[..., 3] = 255
    path = write_film(tmp_path / "a.mkv", 2, rate=None, picture=picture, codec="ffv1")
    assert np.array_equal(next(read_video(path))[1], picture)


# ---- pictures in


def png(width, height, rows, depth=8):
    """A PNG file by the letter of its specification, with rows that need not fit its size."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, 6, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_picture_is_read_as_it_was_written_top_row_first_with_straight_alpha(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (5, 7, 4), np.uint8)
    (tmp_path / "a.png").write_bytes(png(7, 5, [row.tobytes() for row in picture]))
    read = read_picture(tmp_path / "a.png")
    assert read.dtype == np.float32 and read.flags.c_contiguous
    assert np.array_equal(read, picture / np.float32(255))


def test_sixteen_bits_are_kept(tmp_path):
    picture = np.random.default_rng(1).integers(0, 65536, (5, 7, 4), np.uint16)
    (tmp_path / "a.png").write_bytes(png(7, 5, [row.astype(">u2").tobytes() for row in picture], 16))
    assert np.array_equal(read_picture(tmp_path / "a.png"), picture / np.float32(65535))


def test_a_written_picture_is_read_back_exactly(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (33, 21, 4), np.uint8)
    write_picture(tmp_path / "a.png", picture)
    assert np.array_equal(read_picture(tmp_path / "a.png"), picture / np.float32(255))
    assert os.listdir(tmp_path) == ["a.png"]


def test_the_first_picture_of_a_film_is_a_picture(tmp_path):
    path = write_film(tmp_path / "a.mp4", 2)
    assert read_picture(path)[20, 30] == pytest.approx(corners()[20, 30] / 255, abs=0.02)


BROKEN = {
    "empty.png": b"",
    "text.png": b"not a picture",
    "cut.png": png(64, 64, [bytes(256)] * 64)[:60],
    "vast.png": png(60_000, 60_000, [bytes(1000)]),
    "large.png": png(16_000, 16_000, [bytes(64_000)] * 10),
    "list.png": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n",
    "names.png": b"ffconcat version 1.0\nfile good.png\n",
    "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>",
}


@pytest.mark.parametrize("name", [*BROKEN, "missing.png", "folder.png", "sound.wav"])
def test_a_file_that_is_no_picture_gets_a_sentence(tmp_path, name):
    write_picture(tmp_path / "good.png", corners())
    if name in BROKEN:
        (tmp_path / name).write_bytes(BROKEN[name])
    (tmp_path / "folder.png").mkdir()
    soundfile.write(tmp_path / "sound.wav", sine(440, 100), RATE)
    with pytest.raises(MediaError, match=f"{name}: .*[.]$"):
        read_picture(tmp_path / name)


def test_a_picture_larger_than_asked_for_is_refused_with_its_size(tmp_path):
    write_picture(tmp_path / "a.png", corners())
    with pytest.raises(MediaError, match="160x96 pixels are too large; a side may have 128"):
        read_picture(tmp_path / "a.png", largest_side=128)
