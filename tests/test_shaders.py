"""From a header and a body to a picture: declarations, the inlined down movement, memory, errors, hot reload."""

import re
from dataclasses import replace

import numpy as np
import pytest
from drawings import draw_alone, drawing_of, frame, gl_context, play

from dmm_av.activations.pictures import SHADERS, read_folder, read_shader
from dmm_av.engine.drawing import Component, Drawing, Pass, Row, Term
from dmm_av.engine.shader import complaint, pass_shader, read_body, wire
from dmm_av.engine.stage import PictureEngine
from dmm_av.errors import MediaError
from dmm_av.network.activation import LIBRARY, Library
from dmm_av.streams.kinds import Kind

SIZE = (64, 36)


@pytest.fixture
def context():
    with gl_context() as context:
        yield context


@pytest.fixture
def library():
    return Library(LIBRARY)


@pytest.fixture
def engine(context, library):
    engine = PictureEngine(context, SIZE, library)
    yield engine
    engine.release()


def write(folder, name, header, body):
    """A shader file; the header's lines stand from line 2 on."""
    path = folder / f"{name}.glsl"
    path.write_text(f"/*\nname: {name}\nabout: A test.\n{header}*/\n{body}")
    return path


def declare(library, folder, name, header, body):
    path = write(folder, name, header, body)
    library.add(read_shader(path), replace=True)
    return path


# Headers


def test_a_header_declares_inputs_in_their_order_with_units_ranges_and_defaults(tmp_path):
    header = (
        "also: [ripples]\n"
        "inputs:\n"
        "  picture: {kind: image, edge: repeat}\n"
        "  speed: {unit: cycles/s, default: 0.5, range: [0, 4], rate: true, wrap: 8, also: [pace]}\n"
        "settings:\n"
        "  mode: {kind: choice, choices: [soft, hard], default: soft}\n"
        "source: nowhere\n"
    )
    ripple = read_shader(write(tmp_path, "ripple", header, ""))
    assert (ripple.name, ripple.also, ripple.side, ripple.source) == ("ripple", ("ripples",), "picture", "nowhere")
    assert list(ripple.inputs) == ["picture", "speed"]
    assert ripple.inputs["picture"].kind is Kind.IMAGE
    speed = ripple.input("pace")
    assert (speed.kind, speed.default, speed.rate) == (Kind.FIELD, 0.5, True)
    assert (speed.unit.symbol, speed.unit.low, speed.unit.high) == ("cycles/s", 0.0, 4.0)
    assert ripple.notes["edges"] == {"picture": "repeat"}
    assert ripple.notes["wraps"] == {"speed": 8.0}
    assert list(ripple.settings) == ["mode", "size"]
    assert ripple.outputs["out"].kind is Kind.IMAGE


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ("inputs:\n  a: {unit: furlongs}\n", 5, "unit"),
        ("inputs:\n  a: {}\n  b: {knid: image}\n", 6, "kind"),
        ("inputs:\n  time: {}\n", 5, "meaning of its own"),
        ("inputs:\n  float: {}\n", 5, "meaning of its own"),
        ("inputs:\n  A: {}\n", 5, "no name"),
        ("inputs:\n  a: {range: [1, 0]}\n", 5, "range"),
        ("inputs:\n  a: {default: [1]}\n", 5, "no number"),
        ("inputs:\n  a: {kind: image, edge: soft}\n", 5, "edge"),
        ("inputs:\n  a: {rate: true, wrap: 0}\n", 5, "wrap"),
        ("inputs: 3\n", 4, "inputs"),
        ("outputs:\n  low: {kind: number}\n  high: {kind: image}\n", 4, "outputs"),
        ("settings:\n  a: {kind: thing}\n", 5, "kind"),
        ("settings:\n  a: {kind: choice, choices: [x], default: y}\n", 5, "choices"),
        ("inputs:\n  a: {}\nsettings:\n  a: {}\n", 7, "input as well"),
        ("colour: red\n", 4, "colour"),
        ("inputs: [\n", 5, "cannot be read"),
    ],
)
def test_a_mistake_in_a_header_is_a_sentence_with_file_and_line(tmp_path, lines, line, words):
    path = write(tmp_path, "wrong", lines, "")
    with pytest.raises(MediaError, match=rf"^wrong\.glsl, line {line}: .*{words}"):
        read_shader(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vec4 none(vec2 uv) { return vec4(1); }", "no header"),
        ("/*\nabout: x\n*/", "name"),
        ("/*\nname: other\nabout: x\n*/", "other.glsl"),
        ("/*\nname: none\n*/", "about"),
        ("/* just words */", "no list"),
    ],
)
def test_a_file_without_a_proper_header_says_what_is_missing(tmp_path, text, words):
    path = tmp_path / "none.glsl"
    path.write_text(text)
    with pytest.raises(MediaError, match=rf"none\.glsl, line \d+: .*{words}"):
        read_shader(path)


def test_one_broken_file_in_a_folder_keeps_no_other_from_being_read(tmp_path, library):
    write(tmp_path, "good", "", "")
    write(tmp_path, "bad", "inputs: 3\n", "")
    [(name, sentence)] = read_folder(tmp_path, library)
    assert name == "bad.glsl"
    assert "line 4" in sentence
    assert "good" in library


# Bodies


def body_of(library, name):
    return read_body(library[name])


def test_aliases_of_other_shader_languages_are_understood(tmp_path, library):
    body = (
        "vec4 alien(vec2 uv) {\n"
        "  return vec4(iTime + TIME, iResolution.x / RENDERSIZE.x, u_time * 0.5, float(iFrame + FRAMEINDEX));\n"
        "}\n"
    )
    declare(library, tmp_path, "alien", "", body)
    drawn = draw_alone("alien", {}, size=SIZE, library=library, time=0.25, frame=1)
    assert drawn[3, 3].tolist() == [0.5, 1.0, 0.125, 2.0]


def test_a_shadertoy_body_runs_as_it_is(tmp_path, library):
    body = (
        "void mainImage(out vec4 fragColor, in vec2 fragCoord) {\n"
        "  fragColor = vec4(fragCoord / iResolution.xy, 0.5, 1.0);\n"
        "}\n"
    )
    declare(library, tmp_path, "toy", "", body)
    drawn = draw_alone("toy", {}, size=SIZE, library=library)
    assert drawn[0, 0, :2] == pytest.approx([0.5 / 64, 35.5 / 36], abs=1e-6)


def test_what_is_given_to_a_body(tmp_path, library):
    declare(library, tmp_path, "given", "", "vec4 given(vec2 uv) { return vec4(beat, phase, aspect, dt); }\n")
    drawn = draw_alone("given", {}, size=SIZE, library=library, beat=1.5, phase=0.5, frame_rate=50.0)
    assert drawn[0, 0].tolist() == pytest.approx([1.5, 0.5, 64 / 36, 0.02])


def test_a_body_without_its_function_or_with_a_missing_include_is_a_sentence(tmp_path, library):
    declare(library, tmp_path, "hollow", "", "vec4 other(vec2 uv) { return vec4(1); }\n")
    with pytest.raises(MediaError, match=r"hollow\.glsl: no function `vec4 hollow\(vec2 uv\)`"):
        body_of(library, "hollow")
    declare(library, tmp_path, "lost", "", '#include "lib/nothing.glsl"\nvec4 lost(vec2 uv) { return vec4(1); }\n')
    with pytest.raises(MediaError, match=r"lost\.glsl, line 5: .*lib/nothing\.glsl"):
        body_of(library, "lost")


def test_an_input_read_at_its_own_place_only_is_not_filtered(tmp_path, library):
    header = "inputs:\n  a: {kind: image}\n  b: {kind: image}\n"
    declare(library, tmp_path, "near", header, "vec4 near(vec2 uv) { return a(uv) + b(uv * 0.5); }\n")
    assert body_of(library, "near").reads_here == {"a"}
    declare(library, tmp_path, "far", header, "vec4 far(vec2 uv) { uv *= 0.5; return a(uv) + b(uv); }\n")
    assert body_of(library, "far").reads_here == set()
    declare(
        library,
        tmp_path,
        "help",
        header,
        "vec4 both(vec2 uv) { return a(uv); }\nvec4 help(vec2 uv) { return both(uv + 0.1) + b(uv); }\n",
    )
    assert body_of(library, "help").reads_here == set()


def test_constants_are_computed_once_unless_a_picture_is_wired_into_a_number():
    rotate = LIBRARY["rotate"]
    body = read_body(rotate)

    def text(*terms):
        pass_ = Pass("r", (Component("rotate"),), (Row("angle", 0, terms), Row("picture", -1)), kind="image")
        return pass_shader(wire(pass_, [rotate], frozenset()), [rotate], [body], {})

    constant, wired = text(), text(Term("n", "out", "image", 1))
    assert "once();" in constant.vertex
    assert "once();" not in constant.fragment.split("start_()")[1]
    assert "once();" in wired.fragment
    assert "once();" not in wired.vertex


def test_no_shader_loops_over_its_wires():
    """Dynamic loops cost 3 to 5 times on a software rasteriser."""
    blend = LIBRARY["blend"]
    rows = (Row("a", 0, tuple(Term(f"n{index}", "out", "image", index + 1) for index in range(5))),)
    pass_ = Pass("b", (Component("blend"),), rows, kind="image")
    text = pass_shader(wire(pass_, [blend], frozenset()), [blend], [read_body(blend)], {})
    assert "for" not in re.findall(r"\w+", text.fragment)
    assert text.fragment.count("texture(s") == 5


# The down movement


def solid(red, green=0.0, blue=0.0, alpha=1.0):
    return {"is": "solid", "red": red, "green": green, "blue": blue, "alpha": alpha}


def test_an_input_is_the_weighted_sum_of_pictures_and_a_number(engine):
    neurons = {
        "a": solid(1.0),
        "b": solid(0.0, 1.0),
        "sum": {"is": "product.image", "a": {"a": 0.5, "b": -2.0, "one": 0.25}},
    }
    assert play(engine, neurons, "sum") == []
    assert engine.picture("sum")[0, 0].tolist() == pytest.approx([0.75, -1.75, 0.25, -1.25], abs=1e-3)


def test_weights_change_without_a_new_shader(engine):
    neurons = {"a": solid(1.0), "sum": {"is": "product.image", "a": {"a": 0.5}}}
    drawing, values, slots = drawing_of(neurons, "sum", SIZE)
    engine.adopt(drawing)
    before = engine.compilations
    for weight in (0.25, -1.0, 0.0, 3.0):
        values[slots["sum.a a"]] = weight
        engine.draw(frame(0, values))
        assert engine.picture("sum")[0, 0, 0] == weight
    engine.adopt(replace(drawing, version=2))
    assert engine.compilations == before


def test_a_number_that_is_not_finite_counts_as_zero(engine):
    neurons = {"a": solid(1.0), "sum": {"is": "product.image", "a": {"a": np.nan, "one": 0.5}}}
    play(engine, neurons, "sum")
    assert engine.picture("sum")[0, 0].tolist() == [0.5] * 4


def test_values_are_clamped_to_the_limit_and_what_is_not_finite_is_zero(engine, library, tmp_path):
    header = "inputs:\n  a: {}\n"
    body = "vec4 wild(vec2 uv) { return vec4(a * 1.0e30 * 1.0e30, sqrt(-a), 100.0 * a, -100.0 * a); }\n"
    declare(library, tmp_path, "wild", header, body)
    play(engine, {"w": {"is": "wild", "a": 1.0}}, "w", limit=2.0, library=library)
    assert engine.picture("w")[0, 0].tolist() == [0.0, 0.0, 2.0, -2.0]


def test_a_mixture_is_the_weighted_sum_of_its_activations(engine):
    neurons = {
        "a": solid(0.5, 0.25),
        "m": {"is": {"invert": 0.75, "brightness": 0.5}, "picture": "a", "amount": 1.0},
    }
    assert play(engine, neurons, "m") == []
    expected = 0.75 * np.array([0.5, 0.75, 1.0, 1.0]) + 0.5 * np.array([1.5, 1.25, 1.0, 1.0])
    assert engine.picture("m")[0, 0].tolist() == pytest.approx(expected.tolist(), abs=2e-3)


def test_two_bodies_of_a_mixture_may_have_helpers_and_constants_of_one_name(engine, library, tmp_path):
    for name, number in (("one_a", 0.25), ("one_b", 0.5)):
        body = (
            "float kept;\n"
            f"float helper() {{ return {number}; }}\n"
            "void once() { kept = helper(); }\n"
            f"vec4 {name}(vec2 uv) {{ return vec4(kept); }}\n"
        )
        declare(library, tmp_path, name, "", body)
    drawing, values, _ = drawing_of({"m": {"is": {"one_a": 1.0, "one_b": 2.0}}}, "m", SIZE, library=library)
    assert engine.adopt(drawing) == []
    engine.draw(frame(0, values))
    assert engine.picture("m")[0, 0, 0] == 1.25


def test_a_picture_wired_into_a_number_is_its_grey_at_this_pixel(engine):
    neurons = {
        "a": solid(0.0),
        "knob": solid(1.0, 0.0, 0.0),
        "b": {"is": "brightness", "picture": "a", "amount": {"knob": 2.0, "one": 0.1}},
    }
    play(engine, neurons, "b")
    assert engine.picture("b")[0, 0, 0] == pytest.approx(0.1 + 2 * 0.299, abs=1e-3)


def test_sources_of_another_size_are_stretched_over_the_picture(engine):
    neurons = {
        "a": {"is": "gradient", "size": [128, 72], "speed": 0},
        "b": {"is": "product.image", "a": "a"},
        "c": {"is": "gradient", "speed": 0},
    }
    play(engine, neurons, "b")
    assert engine.picture("a").shape == (72, 128, 4)
    assert np.abs(engine.picture("b") - engine.picture("c")).max() < 5e-3


def test_a_circle_is_round_on_the_stage_whatever_its_own_size_in_pixels(engine):
    disc = {"is": "shape", "sides": 0, "radius": 0.3, "softness": 0.1}
    play(engine, {"a": disc | {"size": [100, 100]}, "b": {"is": "product.image", "a": "a"}, "c": disc}, "b")
    assert np.abs(engine.picture("b") - engine.picture("c")).max() < 0.1


def test_too_many_pictures_in_one_pass_are_a_sentence(engine):
    neurons = {f"n{index:02}": solid(1.0) for index in range(20)}
    neurons["sum"] = {"is": "product.image", "a": {name: 1.0 for name in neurons}}
    [(name, sentence)] = play(engine, neurons, "sum")
    assert name == "sum"
    assert "20 pictures" in sentence


def test_a_neuron_that_cannot_be_drawn_any_more_keeps_its_last_picture(engine):
    sources = {f"n{index:02}": solid(1.0) for index in range(20)}
    play(engine, {**sources, "sum": {"is": "product.image", "a": {"n00": 0.5}}}, "sum")
    assert len(play(engine, {**sources, "sum": {"is": "product.image", "a": dict.fromkeys(sources, 1.0)}}, "sum")) == 1
    assert engine.screen_pixels()[0, 0, 0] == 128


# Memory and loops


@pytest.mark.parametrize("pictures", [1, 2, 5])
def test_a_dot_in_a_loop_of_pictures_moves_one_step_every_frame(engine, pictures):
    step = {"is": "scroll", "x": 1 / 64}
    neurons = {"dot": {"is": "shape", "sides": 0, "radius": 0.05, "softness": 0.01, "x": -0.25 + 0.5 / 64}}
    if pictures == 1:
        neurons["loop"] = step | {"picture": {"loop": 1.0, "dot": 1.0}}
        source = "loop.picture dot"
    else:
        neurons["loop"] = {"is": "accum.image", "delta": {"dot": 1.0}}
        source = "loop.delta dot"
        names = [f"p{index}" for index in range(1, pictures)]
        before = "loop"
        for index, name in enumerate(names):
            neurons[name] = (step if index == 1 or pictures == 2 else {"is": "product.image"}) | {
                "picture" if index == 1 or pictures == 2 else "a": before
            }
            before = name
        neurons["loop"]["accum"] = before
    drawing, values, slots = drawing_of(neurons, "loop", SIZE)
    assert engine.adopt(drawing) == []
    columns = []
    for number in range(12):
        engine.draw(frame(number, values))
        if number == (0 if pictures == 1 else 1):
            values[slots[source]] = 0.0  # one dot, once
        lit = engine.picture("loop")[18, :, 0]
        columns.append(int(lit.argmax()) if lit.max() > 0.2 else None)
    seen = [column for column in columns if column is not None]
    assert len(seen) >= 10
    assert np.diff(seen).tolist() == [1] * (len(seen) - 1)


def test_a_delayed_input_reads_what_its_source_drew_in_the_frame_before(engine):
    neurons = {"a": solid(0.0), "l": {"is": "last", "picture": "a"}}
    neurons |= {"late": {"is": "last", "picture": "b"}, "b": solid(0.0)}
    drawing, values, slots = drawing_of(neurons, "l", SIZE)
    engine.adopt(drawing)
    for number in range(4):
        values[slots["a.red"]] = values[slots["b.red"]] = number + 1
        engine.draw(frame(number, values))
        assert engine.picture("l")[0, 0, 0] == number
        assert engine.picture("late")[0, 0, 0] == number


def test_a_trail_fades_by_its_weight_in_float32(engine):
    neurons = {"t": {"is": "accum.image", "accum": {"t": 0.99}, "delta": {"one": 0.01}}}
    play(engine, neurons, "t", frames=200)
    assert engine.picture("t")[0, 0, 0] == pytest.approx(1 - 0.99**200, abs=1e-5)


def test_neurons_keep_their_picture_when_others_change(engine):
    neurons = {"t": {"is": "accum.image", "accum": {"t": 1.0}, "delta": {"one": 0.25}}}
    play(engine, neurons, "t", frames=4)
    play(engine, {"n": solid(0.1), **neurons, "m": {"is": "invert", "picture": "t"}}, "m", frames=1, first=4)
    assert engine.picture("t")[0, 0, 0] == 1.25


def test_a_neuron_of_another_size_begins_anew(engine):
    neurons = {"t": {"is": "accum.image", "accum": {"t": 1.0}, "delta": {"one": 0.25}}}
    play(engine, neurons, "t", frames=4)
    neurons["t"]["size"] = [32, 18]
    play(engine, neurons, "t", frames=1)
    assert engine.picture("t")[0, 0, 0] == 0.25


def test_clearing_the_memory_is_as_before_the_first_frame(engine):
    neurons = {
        "t": {"is": "accum.image", "accum": {"t": 1.0}, "delta": {"s": 1.0}},
        "s": {"is": "stripes", "speed": 5.0},
    }
    play(engine, neurons, "t", frames=5)
    first = engine.picture("t").copy()
    play(engine, neurons, "t", frames=3)
    assert not np.array_equal(engine.picture("t"), first)
    engine.clear_memory()
    play(engine, neurons, "t", frames=5)
    assert np.array_equal(engine.picture("t"), first)


# Speeds


def test_a_speed_is_integrated_so_turning_it_never_jumps(engine):
    neurons = {"s": {"is": "scroll", "picture": "g", "x": 0, "speed_x": 0.6}, "g": {"is": "gradient", "speed": 0}}
    neurons = {"g": neurons["g"], "s": neurons["s"]}
    drawing, values, slots = drawing_of(neurons, "s", SIZE)
    engine.adopt(drawing)
    moved = []
    for number in range(40):
        values[slots["s.speed_x"]] = 0.6 if number < 20 else -0.3
        engine.draw(frame(number, values))
        moved.append(engine.integral("s", "speed_x"))
    steps = (np.diff(moved) + 0.5) % 1.0 - 0.5
    assert steps[:19] == pytest.approx(0.01)
    assert steps[20:] == pytest.approx(-0.005)


def test_an_integral_stays_within_its_period_however_long_the_show(engine):
    play(engine, {"s": {"is": "stripes", "speed": 1e5}}, "s", frames=50)
    assert 0.0 <= engine.integral("s", "speed") < 1.0


def test_a_picture_wired_into_a_speed_is_integrated_pixel_by_pixel(engine):
    neurons = {
        "g": {"is": "gradient", "speed": 0},
        "s": {"is": "scroll", "picture": "g", "x": 0, "speed_x": {"k": 6.0, "one": 0.6}},
        "k": {"is": "threshold", "picture": "g", "amount": 0.5, "softness": 0.01},
    }
    neurons = {name: neurons[name] for name in ("g", "k", "s")}
    play(engine, neurons, "s", frames=6)
    drawn, still = engine.picture("s")[..., 0], engine.picture("g")[..., 0]
    fast = engine.picture("k")[..., 0] > 0.99
    slow = engine.picture("k")[..., 0] < 0.01
    # five frames of 0.6 widths a second, and of 6.6
    for where, moved in ((slow, 0.05), (fast, 0.55)):
        expected = (np.broadcast_to((np.arange(64) + 0.5) / 64, drawn.shape) - moved) % 1.0
        inside = where & (expected > 0.02) & (expected < 0.98)
        assert inside.any()
        assert np.abs(drawn - expected)[inside].max() < 5e-3
    assert still.max() > 0.9


# Readback


def test_numbers_of_a_picture_are_read_back(engine):
    neurons = {"a": solid(0.5, 1.0, 0.0), "ear": {"is": "level.image", "picture": "a"}}
    drawing, values, slots = drawing_of(neurons, "a", SIZE, readbacks=["ear"])
    engine.adopt(drawing)
    engine.draw(frame(7, values))
    assert engine.readback()["ear"]["out"] == pytest.approx(0.5 * 0.299 + 0.587, abs=1e-3)
    assert engine.readback()["ear"]["red"] == pytest.approx(0.5, abs=1e-3)
    assert engine.readback_frame == 7
    assert engine.readback(wait=False) == {}
    values[slots["a.red"]] = 0.0
    engine.draw(frame(8, values))
    assert engine.readback(wait=False)["ear"]["red"] == pytest.approx(0.5, abs=1e-3)
    assert engine.readback_frame == 7
    assert engine.readback()["ear"]["red"] == 0.0
    assert engine.readback_frame == 8


# The screen


def screen_of(engine, show, *colour):
    play(engine, {"a": solid(*colour)}, "a", show=show)
    return engine.screen_pixels()[0, 0].tolist()


def test_how_signed_values_are_shown(engine):
    assert screen_of(engine, "clamp", 0.5, -0.5, 2.0) == [128, 0, 255, 255]
    assert screen_of(engine, "bipolar", 0.0, -1.0, 0.5) == [128, 0, 191, 255]
    assert screen_of(engine, "abs", -0.5, 0.5, -2.0) == [128, 128, 255, 255]
    low, high, highest, _ = screen_of(engine, "tonemap", 0.25, 1.0, 4.0)
    assert 0 < low < high < highest == 255


def test_an_empty_screen_is_black(engine):
    assert engine.adopt(Drawing(1, SIZE, 4.0, (), Row("image", -1))) == []
    engine.draw(frame(0, np.zeros(0)))
    pixels = engine.screen_pixels()
    assert pixels.shape == (36, 64, 4)
    assert not pixels[..., :3].any()


def test_a_source_that_is_not_there_is_transparent_black(engine):
    drawing = Drawing(1, SIZE, 4.0, (), Row("image", -1, (Term("ghost", "out", "image", 0),)))
    assert engine.adopt(drawing) == []
    engine.draw(frame(0, np.ones(1)))
    assert not engine.screen_pixels()[..., :3].any()


def test_pictures_for_the_window_wait_in_slots_of_their_own(engine):
    drawing, values, slots = drawing_of({"a": solid(1.0)}, "a", SIZE)
    engine.adopt(drawing)
    for slot, red in enumerate((1.0, 0.5, 0.0)):
        values[slots["a.red"]] = red
        engine.draw(frame(slot, values), slot)
    assert [engine.screen_pixels(slot)[0, 0, 0] for slot in range(3)] == [255, 128, 0]


def test_a_window_of_another_shape_shows_the_whole_picture_with_black_bars(engine, context):
    play(engine, {"s": {"is": "shape", "sides": 0, "radius": 0.2, "x": 0.3, "y": 0.3}}, "s")
    window = context.framebuffer([context.texture((64, 72), 4)])
    engine.blit(window, (64, 72))
    rows = np.frombuffer(window.read(components=3), np.uint8).reshape(72, 64, 3)[::-1]
    assert not rows[:18].any()
    assert not rows[54:].any()
    assert np.array_equal(rows[18:54], engine.screen_pixels()[..., :3])
    window.release()


def test_the_same_frames_twice_are_the_same_bytes(context):
    neurons = {
        "n": {"is": "noise.image"},
        "s": {"is": "stripes", "offset": 0.1},
        "m": {"is": "modulate", "picture": "s", "by": "n"},
        "z": {"is": "scale", "picture": "t", "amount": 1.02},
        "r": {"is": "rotate", "picture": "z", "angle": 0.01},
        "t": {"is": "accum.image", "accum": {"r": 0.9}, "delta": {"m": 0.1}},
    }
    shots = []
    for _ in range(2):
        engine = PictureEngine(context, (160, 90))
        play(engine, neurons, "t", frames=12)
        shots.append((engine.screen_pixels().tobytes(), engine.picture("t").tobytes()))
        engine.release()
    assert shots[0] == shots[1]


# Errors and hot reload

BROKEN = "vec4 tint(vec2 uv) {\n    float x = 1.0;\n    return vec4(nowhere, x, 0.0, 1.0);\n}\n"
GREEN = "vec4 tint(vec2 uv) {\n    return vec4(0.0, 1.0, 0.0, 1.0);\n}\n"
RED = "vec4 tint(vec2 uv) {\n    return vec4(1.0, 0.0, 0.0, 1.0);\n}\n"


def test_a_shader_that_does_not_compile_names_the_file_and_its_own_line(engine, library, tmp_path):
    declare(library, tmp_path, "tint", "", BROKEN)
    drawing, values, _ = drawing_of({"t": {"is": "tint"}}, "t", SIZE, library=library)
    [(name, sentence)] = engine.adopt(drawing)
    assert name == "t"
    assert sentence.startswith("tint.glsl, line 7: ")
    assert "nowhere" in sentence
    engine.draw(frame(0, values))
    assert not engine.screen_pixels()[..., :3].any()


def test_a_mistake_in_an_included_file_names_that_file(tmp_path, library, context):
    (tmp_path / "common.glsl").write_text("float half_of(float x) {\n    return x * 0.5 +;\n}\n")
    body = '#include "common.glsl"\nvec4 uses(vec2 uv) { return vec4(half_of(uv.x)); }\n'
    declare(library, tmp_path, "uses", "", body)
    with pytest.raises(MediaError, match=r"^common\.glsl, line 2: "):
        draw_alone("uses", {}, size=SIZE, library=library)


def test_lines_after_an_include_are_counted_on(tmp_path, library):
    body = '#include "lib/noise.glsl"\nvec4 uses(vec2 uv) {\n    return vec4(flow_noise(uv, nothing, 0.0));\n}\n'
    declare(library, tmp_path, "uses", "", body)
    with pytest.raises(MediaError, match=r"^uses\.glsl, line 6: "):
        draw_alone("uses", {}, size=SIZE, library=library)


def test_saving_a_shader_draws_with_it_and_a_broken_one_leaves_the_last_good(engine, library, tmp_path):
    path = declare(library, tmp_path, "tint", "", GREEN)
    drawing, values, _ = drawing_of({"t": {"is": "tint"}}, "t", SIZE, library=library)

    def colour():
        engine.draw(frame(0, values))
        return engine.screen_pixels()[0, 0, :3].tolist()

    assert engine.adopt(drawing) == []
    assert colour() == [0, 255, 0]
    write(tmp_path, "tint", "", BROKEN)
    [(_, sentence)] = engine.reload(path)
    assert "line 7" in sentence
    assert colour() == [0, 255, 0]
    assert engine.adopt(replace(drawing, version=2)) == []
    assert colour() == [0, 255, 0]
    write(tmp_path, "tint", "", RED)
    assert engine.reload(path) == []
    assert colour() == [255, 0, 0]
    path.write_text("/*\nname: tint\ninputs: 3\n*/\n" + GREEN)
    [(_, sentence)] = engine.reload(path)
    assert sentence.startswith("tint.glsl, line ")
    assert colour() == [255, 0, 0]


def test_a_shader_broken_from_the_start_draws_once_it_is_mended(engine, library, tmp_path):
    path = declare(library, tmp_path, "tint", "", BROKEN)
    drawing, values, _ = drawing_of({"t": {"is": "tint"}}, "t", SIZE, library=library)
    assert len(engine.adopt(drawing)) == 1
    write(tmp_path, "tint", "", GREEN)
    assert engine.reload(path) == []
    engine.draw(frame(0, values))
    assert engine.screen_pixels()[0, 0, 1] == 255


def test_saving_an_included_file_draws_with_it(engine, library, tmp_path):
    shared = tmp_path / "shared_colour.glsl"
    shared.write_text("vec4 shared_colour() { return vec4(0.0, 1.0, 0.0, 1.0); }\n")
    body = '#include "shared_colour.glsl"\nvec4 tint(vec2 uv) { return shared_colour(); }\n'
    declare(library, tmp_path, "tint", "", body)
    drawing, values, _ = drawing_of({"t": {"is": "tint"}}, "t", SIZE, library=library)
    engine.adopt(drawing)
    shared.write_text("vec4 shared_colour() { return vec4(1.0, 0.0, 0.0, 1.0); }\n")
    assert engine.reload(shared) == []
    engine.draw(frame(0, values))
    assert engine.screen_pixels()[0, 0, :3].tolist() == [255, 0, 0]


def test_a_shader_file_that_nobody_knew_is_entered_when_it_is_saved(engine, library, tmp_path):
    path = write(tmp_path, "novelty", "", RED.replace("tint", "novelty"))
    assert engine.reload(path) == []
    drawing, values, _ = drawing_of({"t": {"is": "novelty"}}, "t", SIZE, library=library)
    assert engine.adopt(drawing) == []
    engine.draw(frame(0, values))
    assert engine.screen_pixels()[0, 0, :3].tolist() == [255, 0, 0]


def test_a_reload_keeps_memory(engine, library, tmp_path):
    header = "inputs:\n  accum: {kind: image, delayed: true}\nmemory: true\n"
    path = declare(library, tmp_path, "grow", header, "vec4 grow(vec2 uv) { return accum(uv) + 0.25; }\n")
    drawing, values, _ = drawing_of({"t": {"is": "grow", "accum": "t"}}, "t", SIZE, library=library)
    engine.adopt(drawing)
    for number in range(3):
        engine.draw(frame(number, values))
    write(tmp_path, "grow", header, "vec4 grow(vec2 uv) { return accum(uv) + 1.0; }\n")
    assert engine.reload(path) == []
    engine.draw(frame(3, values))
    assert engine.picture("t")[0, 0, 0] == 1.75


def test_an_activation_nobody_knows_is_a_sentence_and_the_others_are_drawn(engine):
    drawing, values, _ = drawing_of({"a": solid(1.0)}, "a", SIZE)
    unknown = Pass("x", (Component("strypes"),), ())
    [(name, sentence)] = engine.adopt(replace(drawing, passes=(unknown, *drawing.passes)))
    assert name == "x"
    assert "strypes" in sentence
    engine.draw(frame(0, values))
    assert engine.screen_pixels()[0, 0, 0] == 255


def test_a_texture_too_large_for_the_gpu_is_a_sentence_and_the_last_good_state_stays(engine):
    neurons = {"a": solid(1.0)}
    play(engine, neurons, "a")
    neurons["a"]["size"] = [engine.max_size + 1, 10]
    [(name, sentence)] = play(engine, neurons, "a")
    assert name == "a"
    assert str(engine.max_size) in sentence
    assert engine.screen_pixels()[0, 0, 0] == 255
    drawing, values, _ = drawing_of({"a": solid(0.0)}, "a", (engine.max_size + 1, 10))
    [(name, _)] = engine.adopt(drawing)
    assert name == "screen"
    engine.draw(frame(1, values))
    assert engine.screen_pixels().shape == (36, 64, 4)


def test_a_size_that_is_none_is_a_sentence(engine):
    [(name, sentence)] = play(engine, {"a": solid(1.0) | {"size": "large"}}, "a")
    assert name == "a"
    assert "large" in sentence


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("0:3(7): error: `x' undeclared", "first.glsl, line 3: `x' undeclared."),
        ("0(10012) : error C1503: undefined variable x", "second.glsl, line 12: undefined variable x."),
        ("ERROR: 0:10005: 'x' : undeclared identifier", "second.glsl, line 5: 'x' : undeclared identifier."),
        ("something else", "second.glsl: the graphics driver refuses the shader (something else)."),
    ],
)
def test_complaints_of_every_driver_become_a_sentence(log, sentence):
    assert complaint(log, ("first.glsl", "second.glsl")) == sentence


# Preparing


def test_preparing_compiles_one_shader_a_step_and_adopting_then_compiles_none(engine):
    neurons = {"a": {"is": "stripes"}, "b": {"is": "invert", "picture": "a"}, "c": {"is": "hue", "picture": "b"}}
    drawing, values, _ = drawing_of(neurons, "c", SIZE)
    before, steps = engine.compilations, []
    for _ in engine.prepare(drawing):
        steps.append(engine.compilations)
    assert steps == [before + 1 + step for step in range(4)]  # three neurons and the screen
    assert engine.adopt(drawing) == []
    assert engine.compilations == steps[-1]


def test_preparing_changes_nothing_that_is_seen(engine):
    play(engine, {"a": solid(1.0)}, "a")
    shown = engine.screen_pixels().copy()
    drawing, _, _ = drawing_of({"a": solid(0.0), "b": {"is": "stripes"}}, "b", SIZE)
    for _ in engine.prepare(drawing):
        engine.draw(frame(1, drawing_of({"a": solid(1.0)}, "a", SIZE)[1]))
        assert np.array_equal(engine.screen_pixels(), shown)


def test_two_neurons_of_one_shape_share_a_program(engine):
    neurons = {"a": {"is": "stripes"}, "b": {"is": "stripes", "frequency": 3}, "c": {"is": "blend", "a": "a", "b": "b"}}
    before = engine.compilations
    play(engine, neurons, "c")
    assert engine.compilations - before == 3


def test_the_renderer_and_the_largest_size_are_known(engine):
    assert engine.renderer
    assert engine.max_size >= 1024


def test_shader_files_stand_where_the_register_looks():
    assert (SHADERS / "lib").is_dir()
    assert (SHADERS / "screen" / "show.glsl").is_file()
