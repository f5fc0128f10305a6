"""Picture activations: every shader against a formula in NumPy, drawn on a processor or a GPU alike."""

import time

import av
import numpy as np
import pytest
from drawings import draw_alone, drawing_of, frame, gl_context, play

from dmm_av.activations import pictures
from dmm_av.engine.alone import default_inputs
from dmm_av.engine.stage import PictureEngine
from dmm_av.network.activation import LIBRARY, Library
from dmm_av.streams.kinds import Kind
from dmm_av.streams.vvalue import leaves

TAU = 2.0 * np.pi
SIZE = (64, 36)
ASPECT = SIZE[0] / SIZE[1]
SHADERS = sorted(path.name.removesuffix(".glsl") for path in (pictures.SHADERS / "activations").glob("*.glsl"))
LUMA = np.array([0.299, 0.587, 0.114])


def places(width, height):
    """uv of every pixel, row 0 on top: two arrays (height, width)."""
    return np.meshgrid((np.arange(width) + 0.5) / width, 1.0 - (np.arange(height) + 0.5) / height)


U, V = places(*SIZE)


def colours(red, green, blue, alpha=1.0):
    return np.stack(np.broadcast_arrays(red, green, blue, alpha), axis=-1)


def smooth(u, v):
    """A picture without symmetry, as a function of uv; smooth enough to be sampled anywhere."""
    return colours(
        0.5 + 0.4 * np.sin(TAU * (u + 0.3 * v)), 0.5 + 0.4 * np.cos(TAU * (v - 0.2 * u)), 0.2 + 0.6 * u * v, 0.9
    )


def other(u, v):
    return colours(v, 0.3 + 0.5 * np.sin(TAU * u), 1.0 - u, 0.5 + 0.5 * v)


def mirrored(p):
    return 1.0 - np.abs(np.mod(p, 2.0) - 1.0)


def grey(seen):
    return seen[..., :3] @ LUMA


def with_colours(seen, change):
    return np.concatenate([change(seen[..., :3], seen[..., 3:]), seen[..., 3:]], axis=-1)


FINE = smooth(*places(960, 540))  # large, so that sampling it between texels costs no accuracy
OTHER_FINE = other(*places(960, 540))
SEEN, OTHER = smooth(U, V), other(U, V)


# Golden formulas: {activation: [(inputs, settings, expected picture or numbers, tolerance), ...]}


def golden_stripes(frequency, speed, offset, angle):
    to = np.cos(TAU * angle), np.sin(TAU * angle)
    stripe = frequency * ((U - 0.5) * to[0] + (V - 0.5) * to[1] / ASPECT) - speed
    return colours(*(0.5 + 0.5 * np.sin(TAU * (stripe + lag * offset)) for lag in (-1, 0, 1)))


def golden_shape(sides, radius, softness, angle, x, y):
    p, q = (U - 0.5 - x) * ASPECT, V - 0.5 - y
    far = np.hypot(p, q)
    if sides >= 1:
        around = np.arctan2(p, -q) - TAU * angle
        sector = TAU / sides
        far = far * np.cos(around - sector * np.round(around / sector)) / np.cos(sector / 2)
    inside = np.clip(0.5 + (radius - far) / softness, 0.0, 1.0)
    light = inside * inside * (3.0 - 2.0 * inside)
    return colours(light, light, light)


def golden_gradient(angle, speed):
    c, s = np.cos(TAU * angle), np.sin(TAU * angle)
    p, q = U - 0.5, V - 0.5
    return colours(
        np.clip(c * p + s * q + 0.5, 0, 1), np.clip(c * q - s * p + 0.5, 0, 1), 0.5 + 0.5 * np.sin(TAU * speed)
    )


def golden_rotate(cycles):
    c, s = np.cos(TAU * cycles), np.sin(TAU * cycles)
    p, q = (U - 0.5) * ASPECT, V - 0.5
    return smooth(mirrored((c * p + s * q) / ASPECT + 0.5), mirrored(c * q - s * p + 0.5))


def golden_kaleidoscope(wedges, angle):
    p, q = (U - 0.5) * ASPECT, V - 0.5
    wedge = TAU / wedges
    fold = np.abs(np.mod(np.arctan2(q, p) - TAU * angle, wedge) - wedge / 2)
    return smooth(mirrored(0.5 + np.hypot(p, q) * np.cos(fold) / ASPECT), mirrored(0.5 + np.hypot(p, q) * np.sin(fold)))


def golden_pixelate(x, y):
    return smooth((np.floor((U - 0.5) * x) + 0.5) / x + 0.5, mirrored((np.floor((V - 0.5) * y) + 0.5) / y + 0.5))


def golden_hue(cycles):
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    c, s = np.cos(TAU * cycles), np.sin(TAU * cycles)
    turn = np.linalg.inv(to_yiq) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ to_yiq
    return with_colours(SEEN, lambda rgb, _: rgb @ turn.T)


def golden_threshold(amount, softness):
    light = np.clip(0.5 + (grey(SEEN) - amount) / softness, 0.0, 1.0)
    light = light * light * (3.0 - 2.0 * light) * SEEN[..., 3]
    return colours(light, light, light, SEEN[..., 3])


def golden_blur(radius):
    rings = [(0.145, [(0.0, 0.0)])]
    rings.append((0.0925, [(0.5 * np.cos(TAU * k / 6), 0.5 * np.sin(TAU * k / 6)) for k in range(6)]))
    rings.append((0.05, [(np.cos(TAU * (k + 0.5) / 6), np.sin(TAU * (k + 0.5) / 6)) for k in range(6)]))
    return sum(
        weight * smooth(mirrored(U + radius * x / ASPECT), mirrored(V + radius * y))
        for weight, ring in rings
        for x, y in ring
    )


def golden_wave(x, y, age, k):
    p, q = U - 0.5 - x, V - 0.5 - y
    far = 450.0 * np.hypot(p * ASPECT, q)
    zoom = 0.75 + 0.25 * np.sin(k * (far / age + age / (1.0 + 0.01 * age)))
    return smooth(0.5 + x + p * zoom, 0.5 + y + q * zoom)


def golden_fm(carrier, modulator, depth, rate):
    t = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[::-1]) / rate
    wave = np.sin(TAU * carrier * t + depth / modulator * (1.0 - np.cos(TAU * modulator * t)))
    return colours(wave, wave, wave)


def golden_moire(x, y, amount, speed, offset, places):
    p, q = (U, V) if places == "corner" else ((U - 0.5) * ASPECT, V - 0.5)
    if places == "polar":
        p, q = np.hypot(p, q), np.arctan2(q, p) / TAU
    tooth = amount * np.sin(x * p + y * q) + speed
    return colours(*(np.mod(tooth + lag * offset, 1.0) for lag in (-1, 0, 1)))


SIGNED = colours(np.sin(TAU * 3 * U), np.cos(TAU * 2 * V), 2.0 * U - 1.0, 1.0)
SIGNED_FINE = (lambda u, v: colours(np.sin(TAU * 3 * u), np.cos(TAU * 2 * v), 2.0 * u - 1.0, 1.0))(*places(960, 540))

GOLDEN = {
    "wave": [
        (dict(picture=FINE, x=0.1, y=-0.2, age=100, k=0.5), {}, golden_wave(0.1, -0.2, 100, 0.5), 2e-3),
        (dict(picture=FINE, age=1000, k=1), {}, golden_wave(0, 0, 1000, 1), 2e-3),
        (dict(picture=FINE, age=0, k=1), {}, SEEN, 2e-3),
    ],
    "tiles": [
        (
            dict(a=FINE, b=OTHER_FINE, e=FINE),
            {"columns": 2, "rows": 3},
            np.vstack(
                [
                    np.hstack([smooth(*places(32, 12)), other(*places(32, 12))]),
                    np.zeros((12, 64, 4)),
                    np.hstack([smooth(*places(32, 12)), np.zeros((12, 32, 4))]),
                ]
            ),
            4e-3,
        )
    ],
    "fm.image": [
        (dict(carrier=70, modulator=13, depth=40, rate=6000), {}, golden_fm(70, 13, 40, 6000), 2e-3),
        (dict(carrier=70, modulator=-13, depth=40, rate=6000), {}, golden_fm(70, -13, 40, 6000), 2e-3),
    ],
    "moire": [
        (
            dict(x=7, y=5, amount=1.5, speed=9.3, offset=0.01),
            {"places": where},
            golden_moire(7, 5, 1.5, 9.3, 0.01, where),
            1e-3,
        )
        for where in ("corner", "middle", "polar")
    ],
    "stripes": [
        (dict(frequency=5, speed=0.3, offset=0, angle=0), {}, golden_stripes(5, 0.3, 0, 0), 1e-5),
        (dict(frequency=8, speed=0.9, offset=0.2, angle=0.15), {}, golden_stripes(8, 0.9, 0.2, 0.15), 1e-5),
    ],
    "gradient": [(dict(angle=0.1, speed=0.7), {}, golden_gradient(0.1, 0.7), 1e-5)],
    "shape": [
        (dict(sides=3, radius=0.35, softness=0.2), {}, golden_shape(3, 0.35, 0.2, 0, 0, 0), 1e-4),
        (
            dict(sides=5, radius=0.3, softness=0.3, angle=0.07, x=0.2, y=-0.1),
            {},
            golden_shape(5, 0.3, 0.3, 0.07, 0.2, -0.1),
            1e-4,
        ),
        (dict(sides=0, radius=0.3, softness=0.3), {}, golden_shape(0, 0.3, 0.3, 0, 0, 0), 1e-4),
    ],
    "solid": [
        (
            dict(red=0.2, green=-0.5, blue=3.0, alpha=0.5),
            {},
            colours(0.1, -0.25, 1.5, np.full_like(U, 0.5)),
            1e-6,
        )
    ],
    "rotate": [
        (dict(picture=FINE, angle=0.1, speed=0), {}, golden_rotate(0.1), 2e-3),
        (dict(picture=FINE, angle=0.1, speed=0.65), {}, golden_rotate(0.75), 2e-3),
    ],
    "scale": [
        (
            dict(picture=FINE, amount=2, x=1, y=0.25),
            {},
            smooth(0.5 + (U - 0.5) / 2, mirrored(0.5 + (V - 0.5) / 0.5)),
            2e-3,
        ),
        (dict(picture=FINE, amount=-1, x=1, y=1), {}, smooth(1 - U, 1 - V), 2e-3),
    ],
    "scroll": [
        (
            dict(picture=FINE, x=0.25, y=-0.51, speed_x=0, speed_y=0.125),
            {},
            smooth((U - 0.25) % 1, (V + 0.385) % 1),
            2e-3,
        )
    ],
    "repeat": [
        (
            dict(picture=FINE, x=3, y=2, offset=0.5),
            {},
            smooth(((U - 0.5) * 3 + 0.5 + 0.5 * (np.floor((V - 0.5) * 2 + 0.5) % 2)) % 1, ((V - 0.5) * 2 + 0.5) % 1),
            2e-3,
        )
    ],
    "kaleidoscope": [
        (dict(picture=FINE, wedges=6, angle=0), {}, golden_kaleidoscope(6, 0), 2e-3),
        (dict(picture=FINE, wedges=5, angle=0.03), {}, golden_kaleidoscope(5, 0.03), 2e-3),
    ],
    "pixelate": [
        (dict(picture=FINE, x=8, y=6), {}, golden_pixelate(8, 6), 2e-3),
        (dict(picture=FINE, x=16, y=0), {}, golden_pixelate(16, 9), 3e-3),
    ],
    "modulate": [
        (
            dict(picture=FINE, by=OTHER_FINE, amount=0.2),
            {},
            smooth(mirrored(U + 0.2 * OTHER[..., 0] / ASPECT), mirrored(V + 0.2 * OTHER[..., 1])),
            4e-3,
        )
    ],
    "hue": [(dict(picture=SEEN, amount=0.3), {}, golden_hue(0.3), 1e-4)],
    "contrast": [
        (
            dict(picture=SEEN, amount=2.5),
            {},
            with_colours(SEEN, lambda rgb, a: (rgb - 0.5 * a) * 2.5 + 0.5 * a),
            1e-5,
        )
    ],
    "brightness": [(dict(picture=SEEN, amount=-0.4), {}, with_colours(SEEN, lambda rgb, a: rgb - 0.4 * a), 1e-5)],
    "invert": [
        (dict(picture=SEEN, amount=1), {}, with_colours(SEEN, lambda rgb, a: a - rgb), 1e-5),
        (dict(picture=SEEN, amount=0.25), {}, with_colours(SEEN, lambda rgb, a: 0.5 * rgb + 0.25 * a), 1e-5),
    ],
    "threshold": [(dict(picture=SEEN, amount=0.4, softness=0.3), {}, golden_threshold(0.4, 0.3), 1e-4)],
    "product.image": [
        (dict(a=SEEN, b=OTHER), {}, SEEN * OTHER, 1e-5),
        (dict(a=SEEN, b=1), {}, SEEN, 1e-6),
    ],
    "blend": [(dict(a=SEEN, b=OTHER, amount=0.3), {}, 0.7 * SEEN + 0.3 * OTHER, 1e-5)],
    "difference": [
        (
            dict(a=SEEN, b=OTHER),
            {},
            np.dstack([np.abs(SEEN - OTHER)[..., :3], np.maximum(SEEN, OTHER)[..., 3]]),
            1e-5,
        )
    ],
    "layer": [
        (
            dict(picture=SEEN, by=OTHER, amount=0.5),
            {},
            0.5 * OTHER + SEEN * (1 - 0.5 * OTHER[..., 3:]),
            1e-5,
        )
    ],
    "sine_of.image": [
        (dict(picture=SEEN, a=5, b=-1), {}, with_colours(SEEN, lambda rgb, _: np.sin(5 * rgb - 1)), 1e-5)
    ],
    "accum.image": [(dict(accum=0.9 * SEEN, delta=SIGNED), {}, 0.9 * SEEN + SIGNED, 1e-5)],
    "last": [(dict(picture=SIGNED), {}, SIGNED, 1e-6)],
    "blur": [(dict(picture=FINE, amount=0.05), {}, golden_blur(0.05), 3e-3)],
    "grey": [(dict(picture=FINE), {"size": [64, 36]}, grey(SEEN), 3e-3)],
    "picture_of": [
        (
            dict(red=SEEN[..., 0], green=SEEN[..., 1], blue=0.25),
            {},
            colours(SEEN[..., 0], SEEN[..., 1], 0.25),
            1e-5,
        )
    ],
    "level.image": [
        (
            dict(picture=smooth(*places(256, 144))),
            {"size": [256, 144]},
            {
                "out": grey(FINE).mean(),
                "red": FINE[..., 0].mean(),
                "green": FINE[..., 1].mean(),
                "blue": FINE[..., 2].mean(),
                "left": grey(FINE[:, :480]).mean(),
                "right": grey(FINE[:, 480:]).mean(),
                "top": grey(FINE[:270]).mean(),
                "bottom": grey(FINE[270:]).mean(),
            },
            1e-3,
        )
    ],
}
ELSEWHERE = {"picture", "noise.image", "movie", "camera", "cells.image"}  # have tests of their own


def test_every_picture_activation_has_a_golden_formula():
    assert set(GOLDEN) | ELSEWHERE == set(SHADERS)


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in GOLDEN.items() for case in range(len(cases))]
)
def test_a_shader_draws_what_its_formula_says(name, case):
    inputs, settings, expected, tolerance = GOLDEN[name][case]
    drawn = draw_alone(name, inputs, settings, SIZE)
    if isinstance(expected, dict):
        assert drawn == pytest.approx(expected, abs=tolerance)
    else:
        assert np.abs(drawn - np.broadcast_to(expected, drawn.shape)).max() <= tolerance


@pytest.mark.parametrize("name", SHADERS)
def test_every_shader_draws_finite_values_whatever_it_is_given(name):
    activation = LIBRARY[name]
    hostile = FINE * 1e4 * (np.arange(540) % 7 - 3)[:, None, None]
    for number in (0.0, -1e9, 1e9):
        inputs = {
            port.name: hostile if port.kind is Kind.IMAGE else hostile[..., 0] if port.kind is Kind.MATRIX else number
            for port in activation.inputs.values()
        }
        drawn = draw_alone(activation, inputs, {}, SIZE, limit=4.0)
        numbers = np.array([n for _, n in leaves(drawn)]) if isinstance(drawn, dict) else drawn
        assert np.isfinite(numbers).all()
        if activation.outputs["out"].kind is not Kind.MATRIX:
            assert np.abs(numbers).max() <= 4.0


@pytest.mark.parametrize("name", SHADERS)
def test_a_picture_on_its_defaults_is_no_blank_sheet(name):
    activation = LIBRARY[name]
    if name in ("solid", "picture", "movie", "camera"):  # black until it has a colour or a file
        return
    inputs = default_inputs(activation)
    inputs |= {
        port.name: FINE if port.kind is Kind.IMAGE else FINE[..., 1]
        for port in activation.inputs.values()
        if port.kind in (Kind.IMAGE, Kind.MATRIX)
    }
    if name == "difference":
        inputs["b"] = OTHER_FINE
    drawn = draw_alone(activation, inputs, {}, SIZE)
    if not isinstance(drawn, dict):
        assert np.ptp(drawn[..., :3] if drawn.ndim == 3 else drawn) > 0.2


# Noise


def test_noise_lies_between_minus_one_and_one_around_zero():
    drawn = draw_alone("noise.image", {"scale": 40, "speed": 3.7}, size=(640, 360))
    assert (np.abs(drawn[..., :3]) <= 1.0).all()
    assert np.abs(drawn[..., :3]).max() > 0.8
    assert abs(drawn[..., 0].mean()) < 0.02
    assert (drawn[..., 3] == 1.0).all()


def test_noise_is_smooth_and_depends_on_its_seed():
    one = draw_alone("noise.image", {"scale": 3, "speed": 1.0}, size=(640, 360), seed=1)
    two = draw_alone("noise.image", {"scale": 3, "speed": 1.0}, size=(640, 360), seed=2)
    assert np.abs(np.diff(one[..., 0], axis=1)).max() < 0.1
    assert np.abs(one - two).max() > 0.5


def test_noise_is_back_where_it_began_after_its_whole_period():
    assert LIBRARY["noise.image"].notes["wraps"]["speed"] == 64.0
    start = draw_alone("noise.image", {"scale": 3, "speed": 0.0}, size=SIZE)
    end = draw_alone("noise.image", {"scale": 3, "speed": 64.0}, size=SIZE)
    assert np.abs(start - end).max() < 1e-3


def test_more_octaves_add_finer_detail():
    drawn = [draw_alone("noise.image", {"scale": 3}, {"octaves": n}, (640, 360))[..., 0] for n in (1, 4)]
    rough = [np.abs(np.diff(seen)).mean() / seen.std() for seen in drawn]
    assert rough[1] > 1.5 * rough[0]


# Colour and geometry as promised


def test_circles_are_round():
    drawn = draw_alone("shape", {"sides": 0, "radius": 0.25, "softness": 0.001}, size=(320, 180))[..., 0] > 0.5
    height = drawn.any(axis=1).sum()
    assert height == pytest.approx(0.5 * 180, abs=1)
    assert drawn.any(axis=0).sum() == height


def test_the_top_row_of_an_array_is_the_top_of_a_picture():
    drawn = draw_alone("shape", {"sides": 0, "radius": 0.1, "softness": 0.01, "x": -0.4, "y": 0.4}, size=(160, 90))
    row, column = np.unravel_index(drawn[..., 0].argmax(), (90, 160))
    assert row < 20
    assert column < 30


def test_a_turn_of_a_quarter_is_counter_clockwise():
    right = draw_alone("shape", {"sides": 0, "radius": 0.1, "softness": 0.1, "x": 0.25}, size=(160, 90))
    turned = draw_alone("rotate", {"picture": right, "angle": 0.25}, size=(160, 90))
    row, _ = np.unravel_index(turned[..., 0].argmax(), (90, 160))
    assert row < 30


def test_hue_keeps_the_grey_and_comes_back_after_a_cycle():
    turned = draw_alone("hue", {"picture": SEEN, "amount": 0.4}, size=SIZE)
    assert np.abs(grey(turned) - grey(SEEN)).max() < 1e-4
    assert np.abs(draw_alone("hue", {"picture": SEEN, "amount": 1.0}, size=SIZE) - SEEN).max() < 1e-4


def test_a_number_input_takes_a_picture_pixel_by_pixel():
    speeds = np.tile(np.linspace(0.0, 1.0, SIZE[0]), (SIZE[1], 1))
    drawn = draw_alone("brightness", {"picture": SEEN, "amount": speeds}, size=SIZE)
    assert np.abs(drawn[..., :3] - (SEEN[..., :3] + speeds[..., None] * SEEN[..., 3:])).max() < 1e-5


def test_a_picture_in_a_number_input_counts_as_its_rec_601_grey():
    drawn = draw_alone("brightness", {"picture": 0.0 * SEEN + 1.0, "amount": SEEN}, size=SIZE)
    assert np.abs(drawn[..., 0] - 1.0 - grey(SEEN)).max() < 1e-5


# The register


def test_the_names_of_the_picture_side_are_there():
    names = (
        "stripes noise.image gradient shape solid picture rotate scale scroll repeat kaleidoscope pixelate modulate"
        " hue contrast brightness invert threshold product.image blend difference layer sine_of.image accum.image"
        " last blur level.image grey picture_of matrix_of monochrome matmul softmax_rows softmax_columns transpose"
        " stretch normalise_rows normalise_columns signed crossfade.matrix kaleid"
    )
    assert [name for name in names.split() if name not in LIBRARY] == []


def test_every_header_is_in_order_and_every_picture_has_a_size():
    assert pictures.MISTAKES == []
    assert all("size" in LIBRARY[name].settings for name in SHADERS)


def test_all_headers_are_read_in_the_blink_of_an_eye():
    times = []
    for _ in range(5):
        begun = time.process_time()
        pictures.read_folder(pictures.SHADERS / "activations", Library())
        times.append(time.process_time() - begun)
    assert min(times) < 0.06


def test_a_picture_comes_first_among_the_inputs():
    for name in SHADERS:
        inputs = list(LIBRARY[name].inputs)
        assert "picture" not in inputs or inputs[0] == "picture"


# Picture files


@pytest.fixture
def context():
    with gl_context() as context:
        yield context


@pytest.fixture
def engine(context, tmp_path):
    engine = PictureEngine(context, SIZE, folder=tmp_path)
    yield engine
    engine.release()


def write_picture(path, pixels):
    """Writes uint8 (height, width, 3 or 4) as a PNG."""
    form = "rgba" if pixels.shape[2] == 4 else "rgb24"
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = pixels.shape[1], pixels.shape[0], form
        for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=form)):
            container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def quarters(width, height):
    """Red, green / blue, white: a picture without symmetry."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2, 0] = 255
    pixels[: height // 2, width // 2 :, 1] = 255
    pixels[height // 2 :, : width // 2, 2] = 255
    pixels[height // 2 :, width // 2 :] = 255
    return pixels


def test_a_file_is_neither_flipped_nor_mirrored_from_disk_to_screen(engine, tmp_path):
    write_picture(tmp_path / "quarters.png", quarters(64, 36))
    assert play(engine, {"p": {"is": "picture", "file": "quarters.png"}}, "p") == []
    assert np.array_equal(engine.screen_pixels()[..., :3], quarters(64, 36))
    assert (engine.screen_pixels()[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("fit", "corner", "left"),
    [
        ("cover", (255, 0, 0, 255), (255, 0, 0, 255)),
        ("contain", (0, 0, 0, 0), (0, 0, 0, 0)),
        ("stretch", (255, 0, 0, 255), (255, 0, 0, 255)),
    ],
)
def test_a_square_file_covers_fits_into_or_is_stretched_over_the_stage(engine, tmp_path, fit, corner, left):
    write_picture(tmp_path / "square.png", quarters(50, 50))
    play(engine, {"p": {"is": "picture", "file": "square.png", "fit": fit}}, "p")
    drawn = engine.picture("p") * 255
    assert tuple(drawn[0, 0]) == pytest.approx(corner, abs=1)
    assert tuple(drawn[16, 10]) == pytest.approx(left, abs=1)
    assert tuple(drawn[10, 25]) == pytest.approx((255, 0, 0, 255), abs=2)
    assert tuple(drawn[25, 40]) == pytest.approx((255, 255, 255, 255), abs=2)


def test_transparency_of_a_file_is_premultiplied(engine, tmp_path):
    pixels = np.full((36, 64, 4), 200, np.uint8)
    pixels[..., 3] = 128
    write_picture(tmp_path / "veil.png", pixels)
    play(engine, {"p": {"is": "picture", "file": "veil.png"}}, "p")
    assert tuple(engine.picture("p")[5, 5] * 255) == pytest.approx((100, 100, 100, 128), abs=1)


def test_a_missing_file_is_a_sentence_and_nothing_is_drawn(engine):
    [(neuron, sentence)] = play(engine, {"p": {"is": "picture", "file": "gone.png"}}, "p")
    assert neuron == "p"
    assert "gone.png" in sentence
    assert not engine.picture("p").any()


def test_a_broken_file_is_a_sentence_and_the_last_good_picture_stays(engine, tmp_path):
    path = tmp_path / "quarters.png"
    write_picture(path, quarters(64, 36))
    play(engine, {"p": {"is": "picture", "file": "quarters.png"}}, "p")
    path.write_bytes(b"no picture at all")
    [(_, sentence)] = engine.reload(path)
    assert "quarters.png" in sentence
    drawing, values, _ = drawing_of({"p": {"is": "picture", "file": "quarters.png"}}, "p", SIZE)
    engine.draw(frame(1, values))
    assert np.array_equal(engine.screen_pixels()[..., :3], quarters(64, 36))
    write_picture(path, quarters(64, 36)[:, ::-1])
    assert engine.reload(path) == []
    engine.draw(frame(2, values))
    assert np.array_equal(engine.screen_pixels()[..., :3], quarters(64, 36)[:, ::-1])


def test_a_file_named_anew_that_is_missing_leaves_the_old_picture(engine, tmp_path):
    write_picture(tmp_path / "quarters.png", quarters(64, 36))
    play(engine, {"p": {"is": "picture", "file": "quarters.png"}}, "p")
    assert len(play(engine, {"p": {"is": "picture", "file": "other.png"}}, "p")) == 1
    assert np.array_equal(engine.screen_pixels()[..., :3], quarters(64, 36))
