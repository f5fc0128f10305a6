"""Writes the fragment shader of one pass: the inlined down movement, the bodies, the clamp. Knows no GL context.

A picture input becomes a function of uv, the linear combination of what is wired there; a number input
becomes a float at this pixel. Weights are data (`w_[…]`), so no weight ever recompiles anything; what does
is the number of wires into an input (the sum is unrolled) and the text of a body.
"""

import re
from dataclasses import dataclass

from dmm_av.activations.pictures import SHADERS
from dmm_av.errors import MediaError
from dmm_av.streams.kinds import Kind

# Slots behind the numbers of a frame: what is not wired is 0, what has no coefficient counts once.
ZERO, ONE = -2, -1

FULL_SCREEN = """\
void main() {
    uv_ = vec2(float((gl_VertexID << 1) & 2), float(gl_VertexID & 2));
    gl_Position = vec4(2.0 * uv_ - 1.0, 0.0, 1.0);
ONCE_}
"""

_GIVEN = """\
const float TAU = 6.283185307179586;
uniform float time;
uniform float beat;
uniform float phase;
uniform float frame;
uniform float dt;
uniform float seed;
uniform float aspect;
uniform vec2 resolution;
uniform float limit_;
float grey_(vec4 colour) { return dot(colour.rgb, vec3(0.299, 0.587, 0.114)); }
vec4 finite_(vec4 y) {
    return mix(vec4(0.0), clamp(y, -limit_, limit_), lessThanEqual(abs(y), vec4(3.0e38)));
}
vec2 mirrored_(vec2 uv) { return 1.0 - abs(mod(uv, 2.0) - 1.0); }
"""

# Spellings of Shadertoy, ISF and glslViewer for what is given here.
_ALIASES = {
    "iTime": "time",
    "iGlobalTime": "time",
    "iTimeDelta": "dt",
    "iFrame": "int(frame)",
    "iResolution": "vec3(resolution, 1.0)",
    "TIME": "time",
    "TIMEDELTA": "dt",
    "FRAMEINDEX": "int(frame)",
    "RENDERSIZE": "resolution",
    "PASSINDEX": "0",
    "isf_FragNormCoord": "uv_",
    "u_time": "time",
    "u_delta": "dt",
    "u_frame": "int(frame)",
    "u_resolution": "resolution",
    "u_beat": "beat",
    "u_seed": "seed",
}

_OWN_TEXT = "the engine's own text"

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+["<]([^">]+)[">][ \t]*$', re.MULTILINE)
_VERSION = re.compile(r"^[ \t]*#[ \t]*version.*$", re.MULTILINE)
_FUNCTION = re.compile(r"^\w+[ \t]+(?!if\b|for\b|while\b|switch\b)(\w+)[ \t]*\([^;{)]*\)\s*\{", re.MULTILINE)
_GLOBAL = re.compile(r"^(float|vec[234]|mat[23])[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*)[ \t]*;", re.MULTILINE)
_ONCE = re.compile(r"^void[ \t]+once[ \t]*\(\s*\)", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# Mesa forgets the file number of a `#line`, so it is in the line: file 2, line 34 is line 20034.
_FILE = 10_000
# Where drivers put the line: Mesa `1:23(5): error: …`, NVIDIA `1(23) : error …`, others `ERROR: 1:23: …`.
_COMPLAINTS = (
    re.compile(r"^\d+:(?P<line>\d+)\(\d+\): (?:preprocessor )?error: (?P<text>.*)$", re.MULTILINE),
    re.compile(r"^\d+\((?P<line>\d+)\) : error (?:\w+: )?(?P<text>.*)$", re.MULTILINE),
    re.compile(r"^ERROR: \d+:(?P<line>\d+): (?P<text>.*)$", re.MULTILINE),
)


@dataclass(frozen=True)
class Read:
    """One texture that a program samples, as `s0_`, `s1_` … in the order of `Wiring.reads`.

    kind        `image`, `matrix`, `file` (a setting; `source` is its name) or `integral` (of an input)
    edge        what lies beyond the border: `mirror repeat clamp none`
    here        only read at the pixel that is written
    """

    kind: str
    source: str
    output: str = "out"
    previous: bool = False
    edge: str = "clamp"
    here: bool = False


@dataclass(frozen=True)
class WiredInput:
    """An input with what is wired there: `weight` is the index of its constant in `w_`, the terms follow it.

    terms      indices of the reads
    integral   for a rate with a picture wired: the read of its integral, else -1
    """

    name: str
    kind: Kind
    edge: str
    weight: int
    terms: tuple
    integral: int = -1
    has_constant: bool = True


@dataclass(frozen=True)
class Wiring:
    """The down movement of one pass, apart from its numbers.

    reads    textures, in the order of the samplers
    inputs   `WiredInput`s
    slots    where each `w_[i]` stands in the numbers of a frame (ZERO, ONE: behind their end)
    rates    ((input, index of its constant in `w_`, wrap), …): numbers the stage integrates
    is_pure  one activation, not weighted
    """

    reads: tuple
    inputs: tuple
    slots: tuple
    rates: tuple
    is_pure: bool

    @property
    def shape(self):
        """What the text of the shader depends on: all but names and slots."""
        reads = tuple((read.kind, read.edge) for read in self.reads)
        return reads, self.inputs, self.is_pure

    @property
    def is_constant(self):
        """Whether every number input is one number for the whole picture."""
        return not any(wired.kind is Kind.FIELD and wired.terms for wired in self.inputs)


@dataclass(frozen=True)
class Body:
    """The text of one activation, its includes put in.

    files        names, by the numbers its `#line`s carry less one
    paths        the same as whole paths
    reads_here   image inputs that it samples at its own uv only
    once         ((type, name), …): globals that its function `once` fills; None without one
    """

    text: str
    function: str
    files: tuple
    paths: tuple
    reads_here: frozenset
    once: tuple | None


@dataclass(frozen=True)
class ShaderText:
    """A whole shader, samplers `s0_`, `s1_` …; `files` by the numbers in its `#line`s (0: none)."""

    vertex: str
    fragment: str
    files: tuple


# --- Bodies -----------------------------------------------------------------------------------------


def read_body(activation):
    """The body of a picture activation, read from its file.

    errors   MediaError: unreadable, an include that is missing, no function of the file's name
    """
    path = activation.body
    files, pieces, paths = [], [], []
    function = activation.name.replace(".", "_")

    def put(path, where):
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MediaError(f"{where}: `{path.name}` cannot be read ({error}).") from error
        number = len(files) + 1
        files.append(path.name)
        paths.append(path.resolve())
        # drivers may refuse anything beyond ASCII, even in comments
        text = _VERSION.sub("", text.encode("ascii", "replace").decode())
        position, line = 0, 1
        pieces.append(f"#line {number * _FILE + 1}\n")
        for found in _INCLUDE.finditer(text):
            pieces.append(text[position : found.start()])
            line += text.count("\n", position, found.end())
            position = found.end()
            target = next(
                (folder / found[1] for folder in (path.parent, SHADERS) if (folder / found[1]).is_file()), None
            )
            if target is None:
                raise MediaError(
                    f"{path.name}, line {line}: there is no `{found[1]}` beside the file or in `shaders/`."
                )
            if target.resolve() not in paths:
                pieces.append("\n")
                put(target, f"{path.name}, line {line}")
                pieces.append(f"\n#line {number * _FILE + line}")
        pieces.append(text[position:])
        pieces.append("\n")
        return text

    own = _COMMENT.sub(" ", put(path, path.name))
    text = "".join(pieces)
    if re.search(r"\bvoid\s+mainImage\s*\(", own):
        text += f"vec4 {function}(vec2 uv) {{ vec4 y = vec4(0.0); mainImage(y, uv * resolution); return y; }}\n"
    elif not re.search(rf"\bvec4\s+{function}\s*\(\s*vec2\b", own):
        raise MediaError(
            f"{path.name}: no function `vec4 {function}(vec2 uv)`. "
            "The body of an activation is a function of that name."
        )
    reads_here = frozenset(
        name for name, port in activation.inputs.items() if port.kind is Kind.IMAGE and _read_here(name, own)
    )
    once = None
    if _ONCE.search(_COMMENT.sub(" ", text)):
        once = tuple(
            (kind, name.strip())
            for kind, names in _GLOBAL.findall(_COMMENT.sub(" ", text))
            for name in names.split(",")
        )
    return Body(text, function, tuple(files), tuple(paths), reads_here, once)


def _read_here(name, text):
    """Whether a body samples an input only at its own uv: then no filtering and no edge is needed."""
    calls = len(re.findall(rf"\b{name}\s*\(", text))
    at_uv = len(re.findall(rf"\b{name}\s*\(\s*uv\s*\)", text))
    meanings = len(re.findall(r"\bvec2\s+uv\b", text))
    changes = re.search(r"\buv(\.\w+)?\s*([-+*/]?=[^=]|\+\+|--)", text)
    return calls == at_uv and meanings == 1 and not changes


# --- The down movement --------------------------------------------------------------------------------


def wire(pass_, activations, reads_here):
    """The `Wiring` of a pass.

    activations   of its components, in order
    reads_here    names of image inputs that every component reads only at its own pixel
    """
    rows = {row.input: row for row in pass_.rows}
    reads, inputs, slots, rates = [], [], [], []

    def read(*description, **more):
        candidate = Read(*description, **more)
        if candidate not in reads:
            reads.append(candidate)
        return reads.index(candidate)

    for name, (port, edge, wrap) in _ports(activations).items():
        row = rows.get(name) or next((rows[other] for other in port.also if other in rows), None)
        weight = len(slots)
        slots.append(ZERO if row is None or row.constant < 0 else row.constant)
        terms = []
        for term in row.terms if row else ():
            here = port.kind is Kind.FIELD or name in reads_here
            shown = edge if term.kind == "image" and not here else "clamp"
            terms.append(read(term.kind, term.source, term.output, term.previous, shown, here))
            slots.append(term.slot)
        integral = -1
        if port.rate:
            rates.append((name, weight, wrap))
            if terms:
                integral = read("integral", name, here=True)
        has_constant = slots[weight] != ZERO or not terms
        inputs.append(WiredInput(name, port.kind, edge, weight, tuple(terms), integral, has_constant))
    for activation in activations:
        for setting in activation.settings.values():
            if setting.kind == "file":
                read("file", setting.name)
    slots.extend(component.coefficient if component.coefficient >= 0 else ONE for component in pass_.components)
    is_pure = len(pass_.components) == 1 and pass_.components[0].coefficient < 0
    return Wiring(tuple(reads), tuple(inputs), tuple(slots), tuple(rates), is_pure)


def _ports(activations):
    """The union of the inputs of a mixture, by name: {name: (port, edge, wrap)}."""
    ports = {}
    for activation in activations:
        for name, port in activation.inputs.items():
            if port.kind is not Kind.VVALUE:
                edge = activation.notes.get("edges", {}).get(name, "clamp")
                ports.setdefault(name, (port, edge, activation.notes.get("wraps", {}).get(name, 1.0)))
    return ports


def _sum(wired, wiring, sample):
    """`w_[…] + w_[…] * …`, unrolled; `sample` writes one term from its sampler and its kind."""
    terms = []
    if wired.has_constant:
        terms.append(f"vec4(w_[{wired.weight}])" if wired.kind is Kind.IMAGE else f"w_[{wired.weight}]")
    for offset, index in enumerate(wired.terms, 1):
        terms.append(f"w_[{wired.weight + offset}] * {sample(f's{index}_', wiring.reads[index].kind)}")
    return " + ".join(terms)


def _sampled_colour(sampler, kind):
    if kind == "matrix":
        return f"vec4(texture({sampler}, vec2(uv.x, 1.0 - uv.y)).r)"
    return f"texture({sampler}, uv)"


def _sampled_grey(sampler, kind):
    if kind == "matrix":
        return f"texture({sampler}, vec2(uv.x, 1.0 - uv.y)).r"
    return f"grey_(texture({sampler}, uv))"


def _opening(samplers, weights):
    """The beginning of vertex and fragment shader: (vertex lines, fragment lines)."""
    given = ["#version 330 core\n", _GIVEN, f"uniform float w_[{weights}];\n"]
    textures = [f"uniform sampler2D s{index}_;\n" for index in range(samplers)]
    return [*given, "noperspective out vec2 uv_;\n"], [
        *given,
        *textures,
        "noperspective in vec2 uv_;\nout vec4 out_;\n",
    ]


def _input_functions(wiring, in_vertex=False):
    """Picture and matrix inputs as functions, number inputs as floats with a function that fills them."""
    lines, fields = [], []
    for wired in wiring.inputs:
        if wired.kind is Kind.IMAGE or wired.kind is Kind.MATRIX:
            is_image = wired.kind is Kind.IMAGE
            total = _sum(wired, wiring, _sampled_colour if is_image else _sampled_grey)
            mirrors = any(
                wiring.reads[index].edge == "mirror" and not wiring.reads[index].here for index in wired.terms
            )
            if in_vertex:
                total, mirrors = "vec4(0.0)" if is_image else "0.0", False
            uv = "uv = mirrored_(uv); " if mirrors else ""
            kind = "vec4" if is_image else "float"
            lines.append(f"{kind} {wired.name}(vec2 uv) {{ {uv}return {total}; }}\n")
        else:
            lines.append(f"float {wired.name};\n")
            if wired.integral >= 0:
                total = f"w_[{wired.weight}] + texture(s{wired.integral}_, uv).r"
            else:
                total = _sum(wired, wiring, _sampled_grey)
            fields.append(f"    {wired.name} = {total};\n")
    return [*lines, "void inputs_(vec2 uv) {\n", *fields, "}\n"]


# --- Whole shaders --------------------------------------------------------------------------------------


def _setting_constants(activations, settings):
    """Settings as GLSL constants, so that a body can branch on them at no cost."""
    lines = []
    for setting in (setting for activation in activations for setting in activation.settings.values()):
        name, value = setting.name, settings.get(setting.name, setting.default)
        if setting.kind == "file":
            lines.append(f"uniform vec2 {name}_size;\n")
        elif setting.kind == "number":
            lines.append(f"const float {name} = {float(value or 0.0)!r};\n")
        elif setting.kind == "integer":
            lines.append(f"const int {name} = {int(value or 0)};\n")
        elif setting.kind == "boolean":
            lines.append(f"const bool {name} = {str(bool(value)).lower()};\n")
        elif setting.kind == "choice":
            chosen = value if value in setting.choices else setting.default
            lines.append(f"const int {name} = {setting.choices.index(chosen)};\n")
            lines += [f"const int {name}_{choice} = {at};\n" for at, choice in enumerate(setting.choices)]
    return list(dict.fromkeys(lines))


def pass_shader(wiring, activations, bodies, settings, samples=1, rows_from_top=False):
    """The shader of a pass.

    What a body computes in `once` runs in the vertex shader, three times a frame, unless a picture is
    wired into one of its numbers.

    settings        {name: value}
    samples         a texel is the mean of samples x samples points (for what is measured)
    rows_from_top   row 0 of the target is the top of the picture (for matrices)
    """
    words = {word for body in bodies for word in re.findall(r"\w+", body.text)}
    aliases = [f"#define {alias} {given}\n" for alias, given in _ALIASES.items() if alias in words]
    texts, files, calls, onces, globals_ = [], [_OWN_TEXT], [], [], []
    first = len(wiring.slots) - len(bodies)
    for number, body in enumerate(bodies):
        own = _own_names(body, number) if len(bodies) > 1 else {}
        texts += [f"#define {name} {unique}\n" for name, unique in own.items()]
        texts.append(_renumbered(body.text, len(files) - 1))
        texts += [f"#undef {name}\n" for name in own]
        files.extend(body.files)
        call = f"{own.get(body.function, body.function)}(uv)"
        if len(bodies) > 1:  # what is not finite in one must not spoil the others
            call = f"finite_({call})"
        calls.append(call if wiring.is_pure else f"w_[{first + number}] * {call}")
        if body.once is not None:
            onces.append(own.get("once", "once"))
            globals_ += [(kind, own.get(name, name)) for kind, name in body.once]
    constants = _setting_constants(activations, settings)
    is_once = bool(onces) and wiring.is_constant
    vertex, fragment = _opening(len(wiring.reads), len(wiring.slots))
    if is_once:
        vertex += [f"flat out {kind} once{index}_;\n" for index, (kind, _) in enumerate(globals_)]
        fragment += [f"flat in {kind} once{index}_;\n" for index, (kind, _) in enumerate(globals_)]
        vertex += [*aliases, *_input_functions(wiring, in_vertex=True), *constants]
        vertex += [*_file_functions(activations, None), *texts, "#line 1\n"]
        filled = ["    inputs_(vec2(0.5));\n", *(f"    {once}();\n" for once in onces)]
        filled += [f"    once{index}_ = {name};\n" for index, (_, name) in enumerate(globals_)]
        before = [f"{name} = once{index}_; " for index, (_, name) in enumerate(globals_)]
        start = ["void start_() { ", *before, "}\n"]
    else:
        filled = []
        start = ["void start_() { ", *(f"{once}(); " for once in onces), "}\n"]
    vertex.append(FULL_SCREEN.replace("ONCE_", "".join(filled)))
    fragment += [*aliases, *_input_functions(wiring), *constants, *_file_functions(activations, wiring), *texts]
    fragment += ["#line 1\n", *start]
    fragment.append(f"vec4 whole_(vec2 uv) {{ inputs_(uv); start_(); return finite_({' + '.join(calls)}); }}\n")
    at = "vec2(uv_.x, 1.0 - uv_.y)" if rows_from_top else "uv_"
    main = _MAIN_ONE if samples == 1 else _MAIN_MANY.replace("SAMPLES", str(samples))
    fragment.append(main.replace("AT_", at))
    return ShaderText("".join(vertex), "".join(fragment), tuple(files))


def _own_names(body, number):
    """Names that only this body of a mixture may know, so that two bodies can have helpers of one name."""
    text = _COMMENT.sub(" ", body.text)
    names = set(_FUNCTION.findall(text))
    names.update(name.strip() for _, found in _GLOBAL.findall(text) for name in found.split(","))
    return {name: f"{name}_of{number}_" for name in sorted(names)}


def _renumbered(text, files_before):
    """A body whose `#line`s count its files after those of the bodies before it."""
    return re.sub(
        r"^#line (\d+)",
        lambda found: f"#line {int(found[1]) + files_before * _FILE}",
        text,
        flags=re.MULTILINE,
    )


def _file_functions(activations, wiring):
    """Picture files as functions of uv; without a wiring as nothing."""
    lines = []
    for activation in activations:
        for setting in activation.settings.values():
            if setting.kind == "file":
                total = "vec4(0.0)"
                if wiring is not None:
                    total = f"texture(s{wiring.reads.index(Read('file', setting.name))}_, uv)"
                lines.append(f"vec4 {setting.name}(vec2 uv) {{ return {total}; }}\n")
    return list(dict.fromkeys(lines))


_MAIN_ONE = "void main() { out_ = whole_(AT_); }\n"
_MAIN_MANY = """\
void main() {
    vec4 sum = vec4(0.0);
    for (int i = 0; i < SAMPLES; i++)
        for (int j = 0; j < SAMPLES; j++)
            sum += whole_(AT_ + ((vec2(i, j) + 0.5) / float(SAMPLES) - 0.5) / resolution);
    out_ = sum / float(SAMPLES * SAMPLES);
}
"""


def integral_shader(wired, wiring, wrap):
    """The shader of a hidden texture that integrates the pictures wired into a rate, pixel by pixel.

    It reads the terms of the input and then, last, its own state; numbers are integrated by the stage.
    """
    kinds = [wiring.reads[index].kind for index in wired.terms]
    terms = [f"w_[{index}] * {_sampled_grey(f's{index}_', kind)}" for index, kind in enumerate(kinds)]
    vertex, fragment = _opening(len(kinds) + 1, len(kinds))
    fragment += [
        "void main() {\n",
        "    vec2 uv = uv_;\n",
        f"    float moved = texture(s{len(kinds)}_, uv).r + dt * ({' + '.join(terms)});\n",
        f"    out_ = vec4(abs(moved) <= 3.0e38 ? mod(moved, {float(wrap)!r}) : 0.0);\n",
        "}\n",
    ]
    vertex.append(FULL_SCREEN.replace("ONCE_", ""))
    return ShaderText("".join(vertex), "".join(fragment), (_OWN_TEXT,))


def screen_shader(kinds, show, show_body):
    """The shader that turns the row of the screen into display values; rows of pixels run from the top.

    kinds       `image` or `matrix` of every term of the row
    show        index of the way signed values are shown
    show_body   text of `shaders/screen/show.glsl`
    """
    terms = [f"w_[{index + 1}] * {_sampled_colour(f's{index}_', kind)}" for index, kind in enumerate(kinds)]
    vertex, fragment = _opening(len(kinds), len(kinds) + 1)
    fragment += [
        f"const int show = {show};\n#line {_FILE + 1}\n",
        show_body,
        "\nvoid main() {\n",
        "    vec2 uv = vec2(uv_.x, 1.0 - uv_.y);\n",
        f"    vec4 y = {' + '.join(['vec4(w_[0])', *terms])};\n",
        "    out_ = vec4(shown(finite_(y).rgb), 1.0);\n",
        "}\n",
    ]
    vertex.append(FULL_SCREEN.replace("ONCE_", ""))
    return ShaderText("".join(vertex), "".join(fragment), (_OWN_TEXT, "show.glsl"))


def complaint(log, files):
    """What a driver says of a shader, as a sentence with the file's own line.

    files   names by the numbers in the `#line`s
    """
    for pattern in _COMPLAINTS:
        found = pattern.search(log)
        if found:
            number, line = divmod(int(found["line"]), _FILE)
            file = files[number] if number < len(files) else files[-1]
            text = found["text"].strip().rstrip(".")
            return f"{file}, line {line}: {text}."
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "no reason given")
    return f"{files[-1]}: the graphics driver refuses the shader ({last})."
