"""The tree guards its own shape: who imports whom, what each module says of itself, what no file may name."""

import ast
import re
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dmm_av"

LAYERS = [
    "streams",
    "network",
    "activations",
    "engine",
    "scheduler",
    "io",
    "ui",
    "synthesis",
    "commands",
]
EVERYWHERE = {"errors"}


def text_of(path):
    return path.read_text("utf-8")


def tree_files(*suffixes):
    """Files that could be checked in: those that .gitignore does not name."""
    patterns = [".git"] + [line.rstrip("/") for line in text_of(ROOT / ".gitignore").split()]
    unwalked = [ROOT]
    while unwalked:
        for path in sorted(unwalked.pop().iterdir()):
            if any(fnmatch(path.name, pattern) for pattern in patterns):
                continue
            if path.is_dir():
                unwalked.append(path)
            elif not suffixes or path.suffix in suffixes:
                yield path


def python_modules(*folders):
    return [
        path for path in tree_files(".py") if any(path.is_relative_to(ROOT / folder) for folder in folders)
    ]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported_modules(source, module):
    """Dotted names that a module imports, at its top or hidden in a function, relative and dynamic ones too.

    source    its text
    module    its own dotted name, which relative imports start from
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if (
                called in {"import_module", "__import__"}
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)


def imported_layers(source, module):
    """The folders of the package that a module imports from."""
    parts = [name.split(".") for name in imported_modules(source, module)]
    return {part[1] for part in parts if part[0] == "dmm_av" and len(part) > 1}


def uphill_imports(source, module):
    """Folders that a module imports although they lie above its own, or are in no layer at all."""
    own = module.split(".")[1]
    below = EVERYWHERE if own in EVERYWHERE else EVERYWHERE | set(LAYERS[: LAYERS.index(own) + 1])
    return imported_layers(source, module) - below


def foreign_libraries(folder):
    """Libraries outside the standard one that a folder imports: {library: [file, ...]}."""
    libraries = {}
    for path in python_modules(folder):
        for imported in imported_modules(text_of(path), module_name(path)):
            library = imported.split(".")[0]
            if library not in sys.stdlib_module_names | {"dmm_av"}:
                libraries.setdefault(library, []).append(name_of(path))
    return libraries


# The order of the folders


def test_every_folder_of_the_package_has_a_place_in_the_order():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    loose = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert folders <= set(LAYERS)
    assert loose == EVERYWHERE


def test_imports_run_downhill():
    uphill = {
        name_of(path): layers
        for path in python_modules("dmm_av")
        if path.parent != PACKAGE or path.stem in EVERYWHERE
        if (layers := uphill_imports(text_of(path), module_name(path)))
    }
    assert uphill == {}


@pytest.mark.parametrize(
    "line",
    [
        "import dmm_av.engine.plan",
        "import dmm_av.engine.plan as plan",
        "from dmm_av.engine import plan",
        "from dmm_av import engine",
        "from ..engine import plan",
        "from ..engine.plan import Plan",
        "from .. import engine",
        "def later():\n    from dmm_av.engine.plan import Plan",
        "class Cycle:\n    def later(self):\n        import dmm_av.engine",
        "importlib.import_module('dmm_av.engine.plan')",
        "__import__('dmm_av.engine')",
        "if TYPE_CHECKING:\n    from dmm_av.engine.plan import Plan",
    ],
)
def test_an_import_of_a_folder_above_is_seen_however_it_is_written(line):
    assert uphill_imports(line, "dmm_av.network.cycle") == {"engine"}
    assert uphill_imports(line, "dmm_av.scheduler.clock") == set()


def test_errors_import_nothing_of_the_package():
    assert imported_layers(text_of(PACKAGE / "errors.py"), "dmm_av.errors") == set()


def test_an_import_stands_at_the_top_of_its_module_except_in_commands_which_must_start_fast():
    hidden = [
        f"{name_of(path)}:{inner.lineno}"
        for path in python_modules("dmm_av")
        if not path.is_relative_to(PACKAGE / "commands")
        for function in ast.walk(ast.parse(text_of(path)))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


# Libraries


@pytest.mark.parametrize("folder", ["dmm_av/streams", "dmm_av/network"])
def test_the_machine_knows_no_library_beyond_numpy_and_the_yaml_reader(folder):
    known = {"numpy", "yaml"}
    assert {name: files for name, files in foreign_libraries(folder).items() if name not in known} == {}


def test_the_engine_knows_no_device_and_no_protocol():
    devices = {"glfw", "sounddevice", "pythonosc", "soundfile", "watchfiles"}
    assert {
        name: files for name, files in foreign_libraries("dmm_av/engine").items() if name in devices
    } == {}


def declared_requirements():
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    runtime = [Requirement(line) for line in project["dependencies"]]
    return runtime, runtime + [Requirement(line) for line in project["optional-dependencies"]["dev"]]


def test_every_library_that_the_instrument_imports_is_declared():
    distributions = packages_distributions()
    declared = {canonicalize_name(requirement.name) for requirement in declared_requirements()[0]}
    undeclared = {
        library: files
        for library, files in foreign_libraries("dmm_av").items()
        if not declared & {canonicalize_name(name) for name in distributions.get(library, [])}
    }
    assert undeclared == {}


def test_every_declared_library_has_its_reason_in_the_docs():
    documented = re.findall(r"^\| ([\w.-]+)", text_of(ROOT / "docs" / "dependencies.md"), re.MULTILINE)
    declared = {canonicalize_name(requirement.name) for requirement in declared_requirements()[1]}
    assert declared - {canonicalize_name(name) for name in documented} == set()


def locked_requirements():
    """[(requirement, its hashes)] of requirements.lock."""
    text = text_of(ROOT / "requirements.lock").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return [(Requirement(line.split(" --hash=")[0]), line.split(" --hash=")[1:]) for line in lines]


def test_the_lock_names_one_version_with_hashes_and_no_address():
    for requirement, hashes in locked_requirements():
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement
        assert hashes, requirement
        assert not requirement.url, requirement


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_lock_meets_every_declared_requirement(python, system):
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "implementation_name": "cpython",
    }
    locked = {}
    for requirement, _ in locked_requirements():
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert canonicalize_name(requirement.name) not in locked, f"two versions of {requirement.name}"
            (specifier,) = requirement.specifier
            locked[canonicalize_name(requirement.name)] = specifier.version
    for requirement in declared_requirements()[1]:
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


# What each module is


def test_init_files_are_empty_and_nothing_is_listed_twice_to_be_exported():
    folders = {path.parent for path in python_modules("dmm_av")}
    missing = [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()]
    filled = [
        name_of(path)
        for path in python_modules("dmm_av")
        if path.name == "__init__.py" and path.stat().st_size
    ]
    assert (missing, filled) == ([], [])


def test_a_module_says_what_lives_in_it():
    silent = [
        name_of(path)
        for path in tree_files(".py")
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(text_of(path)))
    ]
    assert silent == []


def test_no_module_is_named_for_having_no_place():
    shapeless = {
        "util",
        "utils",
        "helper",
        "helpers",
        "manager",
        "managers",
        "handler",
        "handlers",
        "misc",
        "common",
    }
    assert [name_of(path) for path in tree_files(".py") if shapeless & set(path.stem.split("_"))] == []


def test_app_is_a_table_of_contents_under_40_lines():
    assert len(text_of(ROOT / "app.py").splitlines()) < 40


def calls_of_text_as_code(source):
    """Line numbers of `exec(...)` and `eval(...)`; methods of that name are other things."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called.removeprefix("builtins.") in {"exec", "eval"}:
            yield node.lineno


def test_text_becomes_code_in_one_place_only():
    allowed = PACKAGE / "engine" / "step_compiler.py"
    found = [
        f"{name_of(path)}:{line}"
        for path in python_modules("app.py", "dmm_av", "tools", "bench")
        if path != allowed
        for line in calls_of_text_as_code(text_of(path))
    ]
    assert found == []
    assert list(calls_of_text_as_code("exec('x = 1')\nself.eval('x')\nbuiltins.eval('x')")) == [1, 3]


# What no file may name

# a letter in brackets keeps a pattern from finding itself here
FORBIDDEN = {
    "a folder of one machine": (
        r"(?<![\w.])/(wor[k]|far[m]|roo[t]|home/[a-z][-\w]*|Users/\w+)/"
        r"|[A-Z]:\\User[s]\\"
    ),
    "a folder beside the tree": r"\.\./share[d]",
    "a package registry": (
        r"pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.(org|com)|deb\.debia[n]\.org|index-ur[l]"
        r"|\"resolve[d]\": \"http"
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what):
    pattern = re.compile(FORBIDDEN[what])
    named = []
    for path in tree_files():
        try:
            text = text_of(path)
        except UnicodeDecodeError:
            continue  # pictures, sounds
        named += [
            f"{name_of(path)}: {line.strip()[:100]}" for line in text.splitlines() if pattern.search(line)
        ]
    assert named == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a folder of one machine", "see /wor" + "k/main/app.py"),
        ("a folder of one machine", "'/hom" + "e/ada/patches'"),
        ("a folder of one machine", "C:" + "\\Use" + "rs\\ada"),
        ("a folder beside the tree", ".." + "/shared/design.md"),
        ("a package registry", "https://py" + "pi.org/simple"),
    ],
)
def test_such_a_name_would_be_found(what, text):
    assert re.search(FORBIDDEN[what], text)
