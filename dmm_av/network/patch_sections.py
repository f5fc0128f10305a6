"""What every text of a patch has: a format, its two sections, and rows that are complete once defaults are filled in.

Reads for `patch`, which makes patches and edits of it, and for `patch_saving`, which writes.
"""

from dmm_av.errors import PatchError, unknown
from dmm_av.network.language import ONE, Reading
from dmm_av.network.network import BUILT_IN
from dmm_av.network.patch_text import Mapping, Scalar, compose, number_in, place, shown
from dmm_av.network.ports import built_in_ports, ports_of, undeclared_ports
from dmm_av.network.reference import Reference, activation_prefix

FORMAT = 1
HEADER = ("format", "name", "about", "rates", "size", "seed", "limit")
SECTIONS = ("neurons", "matrix")


def read_sections(root, where, library, known=None):
    """The `Reading` of the sections `neurons` and `matrix` of a composed text."""
    if not isinstance(root, Mapping):
        raise PatchError(f"{place(where, root)}: a patch is a list of `key: value`. Begin with `neurons:`.")
    for key, _ in root.pairs:
        if key.text not in HEADER + SECTIONS:
            raise unknown(place(where, key), "part of a patch", shown(key.text), HEADER + SECTIONS)
    reading = Reading(where, library, known)
    for section, learn in (("neurons", reading.learn_neurons), ("matrix", reading.learn_matrix)):
        found = root.get(section)
        if found is None or (isinstance(found, Scalar) and found.is_empty):
            continue
        if not isinstance(found, Mapping):
            raise PatchError(f"{place(where, found)}: `{section}` is a list of `key: value`, one a line.")
        learn(found)
    reading.resolve()
    return reading


# --- Older formats ------------------------------------------------------------------------------------


def _weights_became_matrix(text, root):
    """Format 0 called the section `matrix` `weights`."""
    key = next((key for key, _ in root.pairs if key.text == "weights"), None)
    return text if key is None else text[: key.start] + "matrix" + text[key.end :]


# {format: what makes the next format's text of it}; each takes the text and its composed root.
MIGRATIONS = {0: _weights_became_matrix}


def migrated(text, where):
    """(text in today's format, its composed root). A patch that names no format is in format 1.

    Errors: a format from the future.
    """
    while True:
        root = compose(text, where)
        node = root.get("format") if isinstance(root, Mapping) else None
        found = number_in(node.text) if isinstance(node, Scalar) else None
        if node is None or found == FORMAT:
            return text, root
        if found not in MIGRATIONS:
            raise PatchError(
                f"{place(where, node)}: this patch is in a format that this version does not know. "
                f"It reads formats {min(MIGRATIONS)} to {FORMAT}; use a newer version."
            )
        text = MIGRATIONS[found](text, root)
        node = compose(text, where).get("format")
        text = text[: node.start] + str(int(found) + 1) + text[node.end :]


def full_rows(patch, library):
    """{(to, input): {(source, output, *branches): weight}} with the default rows that a patch leaves in place.

    patch    a `Patch` or a `Reading`
    """
    rows = {spot: dict(row) for spot, row in patch.rows.items()}
    for name, ports in awake_ports(patch, library).items():
        for port, row in ports.default_rows().items():
            if (name, port) not in rows and (name, port) not in patch.no_default:
                rows[(name, port)] = row
    return rows


def awake_ports(patch, library):
    """{name: `Ports`} of every neuron that the patch declares or wakes, built-in ones included."""
    found = built_in_ports(library)
    for name, declared in patch.neurons.items():
        if not is_implied(name):
            found[name] = ports_of(declared.activation, library)
    for name, _ in patch.rows:
        if name not in found:
            found[name] = undeclared_ports(name, library)
    return found


def is_implied(name):
    """Whether a neuron needs no declaration."""
    return name in BUILT_IN or activation_prefix(name) is not None


def source_text(source):
    """A source (source, output, *branches) as a reference; the constant's is `one`."""
    if source == ONE:
        return "one"
    name, *rest = source
    return str(Reference(name, rest[0], tuple(rest[1:]))) if rest else f"{name}/"


def target_text(name, port):
    """An input as a reference."""
    head, *branches = port.split("/")
    return str(Reference(name, head, tuple(branches)))
