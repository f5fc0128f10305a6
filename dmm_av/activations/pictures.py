"""Picture activations: one shader file each, entered in the register from the header of the file.

A header is the leading comment of `shaders/activations/NAME.glsl`, in YAML. It declares what the file
draws: name, other names, inputs, outputs, settings. Knows no GPU; how a file becomes a program is the
engine's business.
"""

import re
from dataclasses import replace
from pathlib import Path

import yaml

from dmm_av.errors import DmmError, MediaError, nearest
from dmm_av.network.activation import LIBRARY, Activation, Input, Output, Setting
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import UNITS

SHADERS = Path(__file__).resolve().parents[2] / "shaders"

# What the engine gives every body besides its inputs; an input cannot have one of these names.
GIVEN = (
    "time",
    "beat",
    "phase",
    "frame",
    "dt",
    "resolution",
    "aspect",
    "seed",
    "TAU",
    "uv",
)

EDGES = ("mirror", "repeat", "clamp", "none")
CHANNELS = ("grey", "red", "green", "blue", "alpha")
PARTS = ("whole", "left", "right", "top", "bottom")
MOVING = ("movie", "camera")
SETTING_KINDS = ("file", "choice", "number", "integer", "boolean", "size", "text")

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HEADER = re.compile(r"\s*/\*(.*?)\*/", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_ACTIVATION_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?\Z")
_FIELDS = {
    "header": ("name", "also", "about", "inputs", "outputs", "settings", "memory", "moving", "source", "family"),
    "image input": ("kind", "default", "delayed", "edge", "about", "also"),
    "matrix input": ("kind", "default", "delayed", "about", "also"),
    "number input": (
        "kind",
        "unit",
        "default",
        "range",
        "curve",
        "delayed",
        "rate",
        "wrap",
        "about",
        "also",
    ),
    "output": ("kind", "unit", "mean", "of", "about"),
    "setting": ("kind", "default", "choices", "about"),
}
# Words that GLSL keeps for itself and that a person might well choose as the name of an input.
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
        attribute const uniform varying layout centroid flat smooth noperspective break continue do for while switch
        case default if else in out inout float int void bool true false invariant discard return mat2 mat3 mat4 vec2
        vec3 vec4 ivec2 ivec3 ivec4 bvec2 bvec3 bvec4 uint uvec2 uvec3 uvec4 lowp mediump highp precision struct common
        partition active asm class union enum typedef template this packed goto inline noinline volatile public static
        extern external interface long short double half fixed unsigned superp input output filter sizeof cast namespace
        using main once sample texture buffer shared resource patch
        """,
    )
)


class _Mistake(Exception):
    """Something wrong in a header: a sentence, and the path of keys where it stands."""

    def __init__(self, path, sentence):
        super().__init__(sentence)
        self.path = path
        self.sentence = sentence


def read_shader(path, text=None):
    """The activation that a shader file declares in its header.

    text     its content, where it has been read already
    errors   MediaError with file and line
    """
    path = Path(path)
    if text is None:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MediaError(f"{path.name}: the shader cannot be read ({error}).") from error
    found = _HEADER.match(text)
    if not found:
        raise MediaError(f"{path.name}, line 1: no header. Begin the file with a comment `/* name: … inputs: … */`.")
    first_line = text.count("\n", 0, found.start(1)) + 1
    try:
        header = yaml.load(found[1], _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise MediaError(f"{path.name}, line {line}: the header cannot be read: {problem}.") from error
    try:
        return _activation(header, path)
    except _Mistake as mistake:
        line = first_line + _line_of(found[1], mistake.path)
        raise MediaError(f"{path.name}, line {line}: {mistake.sentence}") from mistake


def _line_of(header, path):
    """The line, counted from 0 in the header, of the entry at a path of keys, or of its nearest parent."""
    node, line = yaml.compose(header, _Loader), 0
    for key in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        found = next(((name, value) for name, value in pairs if name.value == str(key)), None)
        if found is None:
            break
        line, node = found[0].start_mark.line, found[1]
    return line


def _activation(header, path):
    if not isinstance(header, dict):
        raise _Mistake((), "the header is no list of `key: value` lines.")
    _check_fields(header, "header", ())
    name = header.get("name")
    if not isinstance(name, str) or not _ACTIVATION_NAME.match(name):
        raise _Mistake(("name",), "`name:` is missing or no name. Write e.g. `name: ripple`.")
    if name != path.name.removesuffix(".glsl"):
        raise _Mistake(("name",), f"the file declares `{name}`; call the file `{name}.glsl`.")
    if not header.get("about"):
        raise _Mistake((), "`about:` is missing. Say in one sentence what it draws.")
    outputs, means = _outputs(header.get("outputs"))
    inputs, edges, wraps = _inputs(header.get("inputs"))
    settings = _settings(header.get("settings"))
    for setting in settings:
        if setting in inputs:
            raise _Mistake(("settings", setting), f"`{setting}` is an input as well. Rename one of them.")
    notes = {"edges": edges, "wraps": wraps, "means": means, "memory": bool(header.get("memory", False))}
    if "moving" in header:
        if header["moving"] not in MOVING or not any(setting.kind == "file" for setting in settings.values()):
            raise _Mistake(("moving",), "`moving:` is `movie` or `camera`, and a setting of kind `file` names it.")
        notes["moving"] = header["moving"]
    return Activation(
        name=name,
        side="picture",
        about=" ".join(str(header["about"]).split()),
        inputs=inputs,
        outputs=outputs,
        settings=settings,
        body=path,
        also=_also(header, ()),
        source=str(header.get("source", "")),
        family=str(header.get("family", "pictures")),
        notes=notes,
    )


def _check_fields(declared, what, path):
    for key in declared:
        if key not in _FIELDS[what]:
            raise _Mistake((*path, key), f"a {what} has no field `{key}`. {nearest(str(key), _FIELDS[what])}")


def _declarations(declared, section):
    """(name, fields) of a section of the header, with its shape checked."""
    if declared is None:
        return
    if not isinstance(declared, dict):
        raise _Mistake((section,), f"`{section}:` is no list of `name: {{…}}` lines.")
    for name, fields in declared.items():
        if not isinstance(name, str) or not _NAME.match(name):
            raise _Mistake((section, name), f"`{name}` is no name: small letters, digits and _, a letter first.")
        if section != "outputs" and (name in GIVEN or name in _RESERVED):
            raise _Mistake((section, name), f"`{name}` has a meaning of its own in shaders. Choose another name.")
        if fields is not None and not isinstance(fields, dict):
            raise _Mistake((section, name), f"`{name}` needs fields in braces: `{name}: {{kind: …}}`.")
        yield name, fields or {}


def _also(fields, path):
    also = fields.get("also", ())
    if not isinstance(also, list | tuple) or not all(isinstance(name, str) for name in also):
        raise _Mistake((*path, "also"), "`also` is no list of names: write `also: [name]`.")
    return tuple(also)


def _number(fields, key, default, path):
    number = fields.get(key, default)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _Mistake((*path, key), f"`{key}: {number}` is no number.")
    return float(number)


def _inputs(declared):
    inputs, edges, wraps = {}, {}, {}
    for name, fields in _declarations(declared, "inputs"):
        path = ("inputs", name)
        kind = fields.get("kind", "number")
        if kind not in ("image", "matrix", "number"):
            raise _Mistake((*path, "kind"), f"no input is of kind `{kind}`. Known: image, matrix, number.")
        _check_fields(fields, f"{kind} input", path)
        unit = _unit(fields, path)
        inputs[name] = Input(
            name,
            {"image": Kind.IMAGE, "matrix": Kind.MATRIX, "number": Kind.FIELD}[kind],
            _number(fields, "default", 0.0, path),
            unit,
            delayed=bool(fields.get("delayed", False)),
            rate=bool(fields.get("rate", False)),
            about=str(fields.get("about", "")),
            also=_also(fields, path),
        )
        if kind == "image":
            edges[name] = fields.get("edge", "mirror")
            if edges[name] not in EDGES:
                raise _Mistake((*path, "edge"), f"no edge is called `{edges[name]}`. {nearest('', EDGES)}")
        if fields.get("rate"):
            wraps[name] = _number(fields, "wrap", 1.0, path)
            if wraps[name] <= 0.0:
                raise _Mistake((*path, "wrap"), "`wrap` is no positive number of periods.")
    return inputs, edges, wraps


def _unit(fields, path):
    name = fields.get("unit", "number")
    if name not in UNITS:
        raise _Mistake((*path, "unit"), f"no unit is called `{name}`. {nearest(str(name), UNITS)}")
    unit = UNITS[name]
    if "range" in fields:
        ends = fields["range"]
        if (
            not isinstance(ends, list)
            or len(ends) != 2
            or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
            or not ends[0] < ends[1]
        ):
            raise _Mistake((*path, "range"), "`range` needs two numbers, the lower first: `range: [0, 1]`.")
        unit = replace(unit, low=float(ends[0]), high=float(ends[1]))
    curve = fields.get("curve", unit.curve)
    if curve not in ("linear", "exponential") or (curve == "exponential" and unit.low <= 0.0):
        raise _Mistake(
            (*path, "curve" if "curve" in fields else "range"),
            "`curve` is `linear`, or `exponential` with a range above 0.",
        )
    return replace(unit, curve=curve)


def _outputs(declared):
    """Outputs, and for numbers what they measure: {name: (channel, part)}."""
    outputs, means = {}, {}
    for name, fields in _declarations(declared, "outputs") if declared else ():
        path = ("outputs", name)
        _check_fields(fields, "output", path)
        kind = fields.get("kind", "image")
        if kind not in ("image", "matrix", "number", "vvalue"):
            raise _Mistake((*path, "kind"), f"no output is of kind `{kind}`. Known: image, matrix, number, vvalue.")
        outputs[name] = Output(name, Kind(kind), _unit(fields, path), str(fields.get("about", "")))
        if kind in ("number", "vvalue"):
            channel, part = fields.get("mean", "grey"), fields.get("of", "whole" if kind == "number" else "cells")
            if channel not in CHANNELS:
                raise _Mistake((*path, "mean"), f"`mean: {channel}` is unknown. {nearest('', CHANNELS)}")
            if part not in (PARTS if kind == "number" else ("cells",)):
                raise _Mistake((*path, "of"), f"`of: {part}` is unknown. {nearest('', PARTS)}")
            means[name] = (channel, part)
    if means and len(means) != len(outputs):
        raise _Mistake(("outputs",), "the outputs are all numbers and trees, or one picture or matrix called `out`.")
    if not means and outputs and list(outputs) != ["out"]:
        raise _Mistake(("outputs",), "a shader draws one picture or matrix, called `out`.")
    return outputs or {"out": Output("out", Kind.IMAGE)}, means


def _settings(declared):
    settings = {}
    for name, fields in _declarations(declared, "settings"):
        path = ("settings", name)
        _check_fields(fields, "setting", path)
        kind = fields.get("kind", "number")
        if kind not in SETTING_KINDS:
            raise _Mistake((*path, "kind"), f"no setting is of kind `{kind}`. {nearest(str(kind), SETTING_KINDS)}")
        choices = tuple(fields.get("choices", ()))
        if kind == "choice" and (not choices or fields.get("default") not in choices):
            raise _Mistake(path, f"`{name}` needs `choices: [...]` and one of them as `default`.")
        settings[name] = Setting(name, kind, fields.get("default"), choices, str(fields.get("about", "")))
    settings.setdefault(
        "size", Setting("size", "size", None, about="[width, height] in pixels; else the size of the stage")
    )
    return settings


def read_folder(folder, library):
    """Enters every shader file of a folder; returns [(file name, sentence)] of those with mistakes."""
    mistakes = []
    for path in sorted(Path(folder).glob("*.glsl")):
        try:
            library.add(read_shader(path), replace=library is not LIBRARY)
        except DmmError as error:
            mistakes.append((path.name, str(error)))
    return mistakes


MISTAKES = read_folder(SHADERS / "activations", LIBRARY)
