"""Matrices: the same numbers by BLAS and as shaders, on the golden cases of images as matrices."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from drawings import draw_alone, drawing_of, frame, gl_context, play
from test_pictures import write_picture

from dmm_av.engine.drawing import Component, Drawing, Pass, Row
from dmm_av.engine.stage import PictureEngine
from dmm_av.network.activation import LIBRARY
from dmm_av.streams.linear import resized

GOLDEN = json.loads((Path(__file__).parent / "fixtures" / "image_products.json").read_text("utf-8"))
TINY = {name: np.array(matrix) for name, matrix in GOLDEN["tiny"].items()}
A, B = TINY["A"], TINY["B"]
FUNCTIONS = sorted(
    activation.name for activation in LIBRARY if activation.family == "matrices" and "shape" in activation.notes
)


@pytest.fixture(scope="module", params=["numpy", "gpu"])
def path(request):
    return request.param


@pytest.fixture(scope="module")
def compute(path):
    """compute(activation, input=…) on one of the paths."""
    return lambda name, **inputs: draw_alone(name, inputs, path=path)


@pytest.fixture
def context():
    with gl_context() as context:
        yield context


@pytest.fixture
def engine(context, path):
    engine = PictureEngine(context, (64, 36), matrix_path=path)
    yield engine
    engine.release()


def close(expected, tolerance=2e-6):
    return pytest.approx(np.array(expected), abs=tolerance)


# tiny


def test_the_product_of_two_matrices(compute):
    assert compute("matmul", a=A, b=B) == close(TINY["A@B"])


def test_softmax_of_rows_and_of_columns(compute):
    assert compute("softmax_rows", matrix=A) == close(TINY["softmax_rows_A"])
    assert compute("softmax_columns", matrix=B) == close(TINY["softmax_cols_B"])


def test_normalising_after_adding_one(compute):
    assert compute("normalise_rows", matrix=A, plus=1) == close(TINY["rows_x_plus_1_A"])
    assert compute("normalise_columns", matrix=B, plus=1) == close(TINY["cols_x_plus_1_B"])


def test_signed_maps_the_unit_interval_to_minus_one_to_one(compute):
    assert compute("signed", matrix=A) == close(TINY["signed(A)"])


def test_products_stretched_to_be_seen(compute):
    def shown(a, b):
        return compute("stretch", matrix=compute("matmul", a=a, b=b))

    assert shown(A, B) == close(TINY["show(A@B)"])
    assert shown(compute("transpose", matrix=A), A) == close(TINY["show(A^T A)"])
    assert shown(compute("signed", matrix=A), compute("signed", matrix=B)) == close(TINY["show(signed(A)@signed(B))"])
    assert shown(compute("softmax_rows", matrix=A), compute("softmax_columns", matrix=B)) == close(
        TINY["show(softmax_rows(A)@softmax_cols(B))"], 1e-5
    )


# synthetic64

ROW, COLUMN = np.mgrid[0:64, 0:64]
M64 = (
    0.5
    + 0.25 * np.sin(2 * np.pi * 3 * ROW / 64)
    + 0.25 * np.cos(2 * np.pi * 5 * COLUMN / 64) * np.sin(2 * np.pi * (ROW + 2 * COLUMN) / 64)
)
J64 = 0.6 * ((ROW // 8 + COLUMN // 8) % 2) + 0.4 * ROW * COLUMN / 63**2
CORNERS = ([0, 0, 0, 1, 1, 63, 63, 31], [0, 1, 63, 0, 1, 0, 63, 17])


def assert_statistics(matrix, golden):
    golden = GOLDEN["synthetic64"][golden]
    assert matrix[CORNERS] == close(next(value for key, value in golden.items() if key.startswith("corners")), 1e-4)
    assert matrix.mean() == pytest.approx(golden["mean"], abs=1e-4)
    assert matrix.std() == pytest.approx(golden["std"], abs=1e-4)


def test_the_synthetic_pictures_are_the_golden_ones():
    assert_statistics(M64, "M_stats")
    assert_statistics(J64, "J_stats")


def test_the_symmetric_product_of_a_picture_with_itself(compute):
    transposed = compute("transpose", matrix=M64)
    assert_statistics(compute("stretch", matrix=compute("matmul", a=transposed, b=M64)), "show(M^T M)")


def test_the_symmetric_product_after_softmax(compute):
    soft = compute("softmax_columns", matrix=M64)
    product = compute("matmul", a=compute("transpose", matrix=soft), b=soft)
    assert_statistics(compute("stretch", matrix=product), "show(softcols(M)^T softcols(M)) with exp")


def test_the_product_of_two_pictures_after_softmax(compute):
    product = compute("matmul", a=compute("softmax_rows", matrix=J64), b=compute("softmax_columns", matrix=M64))
    assert_statistics(compute("stretch", matrix=product), "show(softrows(J) softcols(M)) with exp")


def test_the_symmetric_product_with_x_plus_one(compute):
    scaled = compute("normalise_columns", matrix=M64, plus=1)
    product = compute("matmul", a=compute("transpose", matrix=scaled), b=scaled)
    assert_statistics(compute("stretch", matrix=product), "same with x+1")


# Edges


def test_softmax_of_huge_numbers_does_not_overflow(compute):
    soft = compute("softmax_rows", matrix=np.array([[1e4, 1e4 - 1.0], [-1e4, -1e4]]))
    assert soft == close([[0.7310586, 0.2689414], [0.5, 0.5]], 1e-5)


def test_a_flat_matrix_stretched_is_zero(compute):
    assert not compute("stretch", matrix=np.full((3, 4), 0.7)).any()


def test_a_row_with_the_sum_zero_becomes_zero(compute):
    assert compute("normalise_rows", matrix=np.array([[1.0, -1.0], [1.0, 3.0]])) == close([[0, 0], [0.25, 0.75]])


def test_a_crossfade_of_matrices_runs_from_a_to_b(compute):
    assert compute("crossfade.matrix", a=A, b=2 * A, amount=0.25) == close(1.25 * A)
    assert compute("crossfade.matrix", a=A, b=1.0, amount=0.5) == close(0.5 * A + 0.5)


def test_a_number_in_a_product_is_a_square_matrix_full_of_it(compute):
    assert compute("matmul", a=A, b=0.5) == close(A @ np.full((3, 3), 0.5))


def test_what_is_not_finite_becomes_zero(compute):
    product = compute("matmul", a=np.full((2, 2), 1e30), b=np.full((2, 2), 1e30))
    assert not product.any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_paths_of_every_matrix_activation_agree(name):
    activation = LIBRARY[name]
    generator = np.random.default_rng(3)
    inputs = {
        port.name: generator.random((9, 9)) if str(port.kind) == "matrix" else port.default or 0.3
        for port in activation.inputs.values()
    }
    by_blas, by_shader = (draw_alone(name, inputs, path=path) for path in ("numpy", "gpu"))
    assert by_blas.dtype == by_shader.dtype == np.float32
    assert by_shader == close(by_blas, 1e-5)


# In a network


def feed(engine, **matrices):
    for name, matrix in matrices.items():
        engine.feed(name, np.asarray(matrix, np.float32))


def matrix_wire(engine, neurons, screen="out", frames=1):
    """Like `play`, with sources that are not neurons taken as matrices."""
    drawing, values, slots = drawing_of(neurons, screen, engine.size)
    passes = []
    for pass_ in drawing.passes:
        rows = [
            Row(
                row.input,
                row.constant,
                tuple(
                    term
                    if term.source in neurons
                    else type(term)(term.source, "out", "matrix", term.slot, term.previous)
                    for term in row.terms
                ),
            )
            for row in pass_.rows
        ]
        passes.append(Pass(pass_.name, pass_.components, tuple(rows), pass_.settings, pass_.seed, pass_.kind))
    drawing = Drawing(1, drawing.size, drawing.limit, tuple(passes), drawing.screen, drawing.show, drawing.readbacks)
    said = engine.adopt(drawing)
    for number in range(frames):
        said += engine.draw(frame(number, values))
    return said, drawing, values, slots


def test_an_input_is_the_weighted_sum_of_matrices_and_a_number(engine):
    feed(engine, m=A, n=2 * A)
    said, *_ = matrix_wire(engine, {"out": {"is": "signed", "matrix": {"m": 0.5, "n": -2.0, "one": 0.25}}})
    assert said == []
    assert engine.matrix("out") == close(2 * (0.5 * A - 4 * A + 0.25) - 1)


def test_a_contribution_of_another_shape_counts_as_zero_and_is_named_once(engine):
    feed(engine, m=A, n=B)
    said, *_ = matrix_wire(engine, {"out": {"is": "signed", "matrix": {"m": 1.0, "n": 1.0}}}, frames=3)
    assert engine.matrix("out") == close(2 * A - 1)
    assert len(said) == 1
    assert said[0][0] == "out"
    assert "2 × 3" in said[0][1]
    assert "3 × 2" in said[0][1]


def test_a_product_whose_inner_sizes_differ_is_zero_and_named_once(engine):
    feed(engine, m=A, n=np.ones((2, 5)))
    said, *_ = matrix_wire(engine, {"out": {"is": "matmul", "a": "m", "b": "n"}}, frames=3)
    assert engine.matrix("out").shape == (2, 5)
    assert not engine.matrix("out").any()
    assert [name for name, _ in said] == ["out"]
    assert "3 columns" in said[0][1]


def test_a_second_input_of_another_shape_counts_as_zero(engine):
    feed(engine, m=A, n=B)
    said, *_ = matrix_wire(engine, {"out": {"is": "crossfade.matrix", "a": "m", "b": "n", "amount": 0.25}})
    assert engine.matrix("out") == close(0.75 * A)
    assert len(said) == 1


def test_a_mixture_of_matrix_activations_is_their_weighted_sum(engine):
    feed(engine, m=A)
    matrix_wire(engine, {"out": {"is": {"signed": 0.5, "stretch": 2.0}, "matrix": "m"}})
    assert engine.matrix("out") == close(0.5 * (2 * A - 1) + 2.0 * A)


def test_a_loop_of_matrices_reads_the_frame_before(engine):
    feed(engine, m=A)
    neurons = {"out": {"is": "crossfade.matrix", "a": "out", "b": "m", "amount": 0.5}}
    _, drawing, values, _ = matrix_wire(engine, neurons)
    assert engine.matrix("out") == close(0.5 * A)
    engine.draw(frame(1, values))
    assert engine.matrix("out") == close(0.75 * A)
    engine.draw(frame(2, values))
    assert engine.matrix("out") == close(0.875 * A)


def test_nothing_is_computed_anew_while_everything_stays_as_it_was(engine, monkeypatch):
    feed(engine, m=A)
    _, drawing, values, slots = matrix_wire(engine, {"out": {"is": "signed", "matrix": "m"}})
    calls = []
    compute = engine.matrices.compute
    monkeypatch.setattr(engine.matrices, "compute", lambda *given: calls.append(1) or compute(*given))
    engine.draw(frame(1, values))
    assert calls == []
    assert engine.matrix("out") == close(2 * A - 1)
    values[slots["out.matrix m"]] = 0.5
    engine.draw(frame(2, values))
    assert calls == [1]
    assert engine.matrix("out") == close(A - 1)


def test_a_tree_from_the_machine_is_a_matrix_until_it_changes(engine):
    drawing, values, _ = drawing_of({"w": {"is": "matrix_of"}}, "w", engine.size)
    engine.adopt(drawing)
    engine.draw(frame(0, values))
    assert engine.matrix("w").tolist() == [[0.0]]
    engine.draw(frame(1, values, {"w": np.array([[0.5, np.nan]], np.float32)}))
    assert engine.matrix("w").tolist() == [[0.5, 0.0]]
    engine.draw(frame(2, values))
    assert engine.matrix("w").tolist() == [[0.5, 0.0]]


# Between pictures and matrices


def test_row_0_of_a_matrix_is_the_top_row_of_the_picture_it_is_wired_into(engine):
    drawing, values, _ = drawing_of({"w": {"is": "matrix_of"}, "p": {"is": "product.image", "a": "w"}}, "p", (64, 36))
    engine.adopt(drawing)
    engine.draw(frame(0, values, {"w": np.array([[1.0, 0.25], [0.0, 0.5]], np.float32)}))
    drawn = engine.picture("p")
    assert drawn[0, 0].tolist() == [1.0] * 4
    assert drawn[0, -1].tolist() == [0.25] * 4
    assert drawn[-1, 0].tolist() == [0.0] * 4
    assert drawn[-1, -1].tolist() == [0.5] * 4


def test_a_matrix_on_the_screen_is_seen_upright(engine):
    drawing, values, _ = drawing_of({"w": {"is": "matrix_of"}}, "w", (64, 36))
    engine.adopt(drawing)
    engine.draw(frame(0, values, {"w": np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)}))
    assert engine.screen_pixels()[0, 0, 0] == 255
    assert engine.screen_pixels()[-1, 0, 0] == 0


def test_a_picture_goes_into_greys_and_back_without_turning(engine):
    neurons = {
        "s": {"is": "shape", "sides": 0, "radius": 0.1, "x": -0.3, "y": 0.3},
        "g": {"is": "grey", "size": [64, 36]},
        "p": {"is": "picture_of", "red": "g", "green": "g", "blue": "g"},
    }
    neurons["g"]["picture"] = "s"
    assert play(engine, neurons, "p") == []
    assert engine.matrix("g").shape == (36, 64)
    there, back = engine.picture("s")[..., 0], engine.picture("p")[..., 0]
    assert np.abs(there - back).max() < 0.3  # four taps soften the edge
    assert (there > 0.9).sum() > 10
    assert np.argwhere(there > 0.9).mean(axis=0) == pytest.approx(np.argwhere(back > 0.9).mean(axis=0), abs=0.5)


def test_greys_of_the_frame_before_can_be_read(engine):
    neurons = {
        "g": {"is": "grey", "picture": "s", "size": [4, 4]},
        "b": {"is": "signed", "matrix": "h"},
        "h": {"is": "signed", "matrix": "g"},
        "s": {"is": "solid", "red": 1, "green": 1, "blue": 1},
    }
    drawing, values, _ = drawing_of(neurons, "s", engine.size)
    engine.adopt(drawing)
    engine.draw(frame(0, values))
    assert engine.matrix("g") == close(np.zeros((4, 4)))
    assert engine.matrix("h") == close(-np.ones((4, 4)))
    engine.draw(frame(1, values))
    assert engine.matrix("g") == close(np.ones((4, 4)), 1e-4)
    assert engine.matrix("b") == close(-3 * np.ones((4, 4)))
    engine.draw(frame(2, values))
    assert engine.matrix("b") == close(np.ones((4, 4)), 1e-3)


def test_monochrome_reads_a_file_at_its_own_size_or_at_another(context, tmp_path, path):
    pixels = np.random.default_rng(5).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    write_picture(tmp_path / "noise.png", pixels)
    engine = PictureEngine(context, (64, 36), folder=tmp_path, matrix_path=path)
    greys = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    assert play(engine, {"m": {"is": "monochrome", "file": "noise.png", "size": None}}, "m") == []
    assert engine.matrix("m") == close(greys)
    play(engine, {"m": {"is": "monochrome", "file": "noise.png", "size": [4, 3]}}, "m")
    assert engine.matrix("m") == close(greys.reshape(3, 2, 4, 2).mean(axis=(1, 3)), 1e-5)
    [(name, sentence)] = play(engine, {"n": {"is": "monochrome", "file": "none.png"}}, "n")
    assert name == "n"
    assert "none.png" in sentence
    engine.release()


def test_resizing_keeps_the_mean_whatever_the_sizes():
    matrix = np.random.default_rng(1).random((17, 31), np.float32)
    for size in ((31, 17), (5, 3), (64, 40), (1, 1)):
        assert resized(matrix, size).shape == size[::-1]
        assert resized(matrix, size).mean() == pytest.approx(matrix.mean(), abs=1e-5)
    assert np.array_equal(resized(matrix, (31, 17)), matrix)


# Which path


def test_blas_runs_on_a_software_rasteriser_and_the_choice_can_be_said(context):
    engine = PictureEngine(context, (64, 36))
    begun = time.perf_counter()
    sentence = engine.matrices.report()
    if "llvmpipe" in engine.renderer:
        assert time.perf_counter() - begun < 0.03
        assert "BLAS" in sentence
    assert sentence.endswith(".")
    engine.release()


def test_a_matrix_goes_to_the_gpu_only_when_a_picture_reads_it(context):
    engine = PictureEngine(context, (64, 36), matrix_path="numpy")
    feed(engine, m=A)
    matrix_wire(engine, {"x": {"is": "signed", "matrix": "m"}, "out": {"is": "stretch", "matrix": "x"}})
    assert engine.stream("x").texture is None
    assert engine.stream("out").texture is not None  # the screen
    engine.release()


def test_a_wrong_mixture_is_a_sentence(context):
    engine = PictureEngine(context, (64, 36))
    pass_ = Pass("x", (Component("signed"), Component("stripes")), (), (), 0, "image")
    [(name, sentence)] = engine.adopt(Drawing(1, (64, 36), 4.0, (pass_,), Row("image", -1)))
    assert name == "x"
    assert "mixed" in sentence
    engine.release()
