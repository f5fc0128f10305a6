"""What the documents say: every example is tried, every link leads somewhere, every list is complete.

The messages of docs/osc.md are tried in test_osc.py.
"""

import re
from pathlib import Path

import pytest
import typer

from dmm_av.activations.library import open_library
from dmm_av.commands.command_line import commands, main
from dmm_av.commands.listing import manual
from dmm_av.commands.opening import read_events
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.errors import DmmError
from dmm_av.io.osc_addresses import gather, translate
from dmm_av.network.notation import USAGE, parse_line
from dmm_av.network.patch import parse_patch, read_patch
from dmm_av.network.patch_sections import HEADER
from dmm_av.scheduler.lockstep import LockStep
from dmm_av.scheduler.machine import Machine
from dmm_av.streams.kinds import Kind, converter, is_legal

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LESSONS = sorted(path for path in (ROOT / "patches").glob("*.yaml") if path.stem != "demo")
APP = ".venv/bin/python app.py "
PATIENCE = 20  # ticks in which an edit is answered
LARGEST_STILL, LARGEST_STILLS = 60_000, 700_000  # bytes, of one and of all

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
every_page_with_a_terminal = pytest.mark.parametrize(
    "page", [page for page in PAGES if "```console" in page.read_text(encoding="utf-8")], ids=lambda page: page.name
)


@pytest.fixture(scope="module")
def library():
    return open_library()


def blocks(page, language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def section(page, title):
    """The text below a heading, up to the next of its rank."""
    return re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )[1]


def table(text):
    """The cells of the first table, head and rule left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def examples(page):
    """[(text, where)] of the patches on a page."""
    return [(text, f"{page.name}, example {number}") for number, text in enumerate(blocks(page, "yaml"), 1)]


def running(patch, library, path=None):
    return LockStep(patch, library, SignalVM(patch.rates.sample, patch.rates.tick), path=path)


def told(run, words):
    """What `app.py edit WORDS` prints as a refusal; None where the edit is accepted."""
    replies = []

    def answer(sentence, *_):
        replies.append(sentence)

    try:
        if words[0].startswith("/"):
            values = [float(word) if re.fullmatch(r"[-\d.]+", word) else word for word in words[1:]]
            request, _ = gather(translate(words[0], values))
            run.performance.request(request.group, request.commands, request.data, answer)
            replies += [None] * (request.group is None and not request.commands)
        elif words[0] == "get":
            name, _, port = words[1].partition(".")
            run.performance.answers("w", (name, *port.split("/")))
            replies.append(None)
        else:
            run.performance.command("eval", (" ".join(words),), reply=answer)
    except DmmError as error:
        return str(error)
    for _ in range(PATIENCE):
        run.step()
    assert replies, f"`{' '.join(words)}` was not answered"
    return replies[0]


# --- Examples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where"),
    [pytest.param(text, where, id=where) for page in PAGES for text, where in examples(page)],
)
def test_an_example_is_a_patch_without_mistakes(text, where, library):
    patch = parse_patch(text, where, library)
    machine = Machine(patch, library, SignalVM(patch.rates.sample, patch.rates.tick))
    assert patch.warnings == () and [notice.sentence for notice in machine.notices] == []


@every_page_with_a_terminal
def test_commands_are_the_ones_that_there_are(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    program = typer.main.get_command(commands)
    for line in "".join(blocks(page, "console")).splitlines():
        if line.startswith("$ make "):
            assert line.removeprefix("$ make ") in targets, line
        elif line.startswith("$ "):
            assert line.startswith(f"$ {APP}"), line
            name, *words = line.removeprefix(f"$ {APP}").split()
            program.commands[name].make_context(name, words)  # raises where an option is unknown or ill-typed


@every_page_with_a_terminal
def test_commands_that_are_quick_do_what_they_are_said_to(page, tmp_path, monkeypatch, capsys):
    (tmp_path / "patches").symlink_to(ROOT / "patches")
    for name, text in re.findall(r"`(\w+\.yaml)`:\n\n```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for line in "".join(blocks(page, "console")).splitlines():
        words = line.removeprefix(f"$ {APP}").split()
        if words[0] == "render":
            words = [{"10": "0.1", "1080p": "64x36"}.get(word, word) for word in words]
            words[words.index("-o") + 1] = Path(words[words.index("-o") + 1]).name
            words += [] if "--size" in words else ["--size", "64x36"]
        if words[0] in ("check", "list", "trace", "render"):
            assert main(words) == 0, capsys.readouterr().err


@every_page_with_a_terminal
def test_edits_in_a_terminal_are_accepted_or_refused_as_printed(page, library):
    run = None
    written = dict(re.findall(r"`(\w+\.yaml)`:\n\n```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    lines = "".join(blocks(page, "console")).splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith(f"$ {APP}play "):
            name = line.split()[4]
            patch = parse_patch(written[name], name, library) if name in written else read_patch(ROOT / name, library)
            run = running(patch, library)
        if line.startswith(f"$ {APP}edit "):
            refused = told(run, line.removeprefix(f"$ {APP}edit ").split())
            assert (refused or "") == (after if not after.startswith("$") else ""), line


def test_edits_within_the_ten_minutes_are_accepted(library):
    page = ROOT / "docs" / "first_ten_minutes.md"
    (text,) = blocks(page, "yaml")
    run = running(parse_patch(text, "first.yaml", library), library)
    edits = re.findall(r"`app\.py edit ([^`]+)`", section(page, "5. Write one"))
    assert len(edits) >= 3
    for edit in edits:
        assert told(run, edit.split()) is None, edit


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_proposes_edits_that_it_accepts(path, library):
    remark = path.read_text(encoding="utf-8").partition("format:")[0]
    edits = re.findall(r"app\.py edit (\S+(?: \S+)*)", remark)
    run = running(read_patch(path, library), library)
    assert edits
    for edit in edits:
        assert told(run, edit.split()) is None, edit


def test_the_demo_proposes_edits_that_it_accepts_after_its_last_event(library):
    patch = read_patch(ROOT / "patches" / "demo.yaml", library)
    events = read_events(ROOT / "patches" / "demo.events.jsonl", patch.rates.tick)
    run = LockStep(patch, library, SignalVM(patch.rates.sample, patch.rates.tick), events=events)
    for _ in range(20 * patch.rates.tick):
        run.step()
    edits = re.findall(r"app\.py edit (\S+(?: \S+)*)", patch.text.partition("format:")[0])
    assert len(edits) >= 3
    for edit in edits:
        assert told(run, edit.split()) is None, edit


# --- Lists ------------------------------------------------------------------------------------------------


def test_the_page_of_activations_is_what_the_declarations_say():
    page = (ROOT / "docs" / "activations.md").read_text(encoding="utf-8")
    assert page == manual(), "run `app.py list activations --markdown > docs/activations.md`"


def test_the_page_of_patches_names_every_key_of_the_head():
    page = ROOT / "docs" / "patch_format.md"
    assert set(re.findall(r"`(\w+)`", "".join(row[0] for row in table(section(page, "Head"))))) == set(HEADER)


def test_every_line_of_notation_can_be_read_and_every_verb_is_shown():
    rows = table(section(ROOT / "docs" / "patch_format.md", "Notation"))
    lines = [line for row in rows for line in re.findall(r"`([^`]+)`", row[0])]
    for line in lines:
        parse_line(line)
    assert set(USAGE) - {"set", "eval"} <= {line.split()[0] for line in lines}


def test_the_table_of_kinds_says_what_may_flow():
    targets = (Kind.NUMBER, Kind.AUDIO, Kind.VVALUE, Kind.MATRIX, Kind.IMAGE, Kind.FIELD)
    names = {"number": Kind.NUMBER, "audio": Kind.AUDIO, "tree": Kind.VVALUE, "matrix": Kind.MATRIX}
    for name, *cells in table(section(ROOT / "docs" / "patch_format.md", "What may flow where")):
        source = names.get(name, Kind.IMAGE)
        for target, cell in zip(targets, cells, strict=True):
            remedy = re.fullmatch(r"`(.*)`", cell)
            assert is_legal(source, target) == (bool(cell) and remedy is None), (name, target)
            assert remedy is None or converter(source, target) == remedy[1].replace("`, then `", ", then ")


def test_the_page_of_architecture_names_files_that_there_are():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/.*]+\.(?:py|glsl|yaml)|[\w/]+/)`", text):
        if not name.startswith("my_") and "NAME" not in name:
            assert any(any(root.glob(name)) for root in (ROOT, ROOT / "dmm_av", ROOT / "dmm_av" / "engine")), name


# --- Links and stills -------------------------------------------------------------------------------------


@every_page
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}, target


def test_the_readme_shows_a_still_of_every_lesson():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in LESSONS:
        assert f"(patches/{path.name})" in readme and f"(docs/images/{path.stem}.jpg)" in readme, path.stem


def test_stills_are_small():
    sizes = [path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()]
    assert max(sizes) <= LARGEST_STILL and sum(sizes) <= LARGEST_STILLS
