"""What the documents tell a reader to type or to open is there: README, docs, the skill, manifests and every help text.

Each command line is run by the program itself, up to the point where it would touch a process, a cluster or a
framework; what reads files reads some. So a command that is gone, an option that is renamed or may not stand beside
another, a value that is missing, a scenario, arm, setting or fault that does not exist is found here.
"""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import report_samples
import typer
from typer.testing import CliRunner

from diagnostics import bundle, pipeline
from diagnostics.discover.places import Place
from diagnostics.discover.selectors import KINDS, Selection
from diagnostics.watching import address_of
from repro import runtimes
from repro.cli import COMMANDS, app, load
from repro.scenario import Need

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "diagnostics").rglob("*.md")])
MANIFESTS = sorted([*(ROOT / "docs").rglob("*.yaml"), *(ROOT / "docker").glob("*.yaml")])
OF_NOW = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""Without the page that also tells what things were called once."""

BEGUN = ("attach", "watch", "trace", "run", "compare", "bisect", "shrink", "verify", "plan", "scenarios")
"""Commands that are called: they find out themselves whether what is named exists, before they start anything."""
OFFLINE = ("diagnose", "report")
"""Commands that are called with files of the names that are written there."""
SAMPLES = {
    "SCENARIO": "last-batch", "run NAME": "run last-batch", "--remedy NAME": "--remedy one-server",
    "--webhook URL": "--webhook https://example.org/hook", "AXIS=LEVEL,...": "ps=1,4",
    "--from R --to R": "--from tf1.4 --to tf1.15"
}  # fmt: skip
"""What a reader would put in the place of these words."""
BEFORE = frozenset({"sudo", "srun", "nice", "python", "python3", "Next", "$"})
"""Words that may stand before the program's name, the last two in what is printed."""
OF_OTHERS = frozenset({
    "--accept", "--cap-add", "--hang-dir", "--hang-exit", "--hang-grace", "--hang-timeout", "--job_name", "--native",
    "--nnodes", "--node-rank", "--ps_hosts", "--task_index", "--worker_hosts",
})  # fmt: skip
"""Options that the text speaks of without their program: of the plugin, py-spy, torchrun, Docker, a user's job."""


class Call(NamedTuple):
    """A command line of ours: where it stands, its command and what follows."""

    place: str
    command: str
    words: list[str]

    def __str__(self) -> str:
        return f"{self.place}: lastbatch {shlex.join([self.command, *self.words])}"


def blocks_of(text: str) -> list[str]:
    """Blocks of code, by a fence or by four spaces; a line that goes on is one."""
    found = re.findall(r"^```\w*\n(.*?)^```|((?:^    .*\n)+)", text, re.MULTILINE | re.DOTALL)
    return ["".join(block).replace("\\\n", " ") for block in found]


def spans_of(text: str) -> list[str]:
    """Code within a line of text."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def programs_in(line: str) -> Iterator[list[str]]:
    """The words of each program that a shell would start for this line, from its name on."""
    line = re.sub(r"\$\([^()]*(?:\([^()]*\))?[^()]*\)", "4711", line)  # what a shell would put in
    for word, sample in SAMPLES.items():
        line = line.replace(word, sample)
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    program: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set("();<>|&"):
            yield program
            program = []
        else:
            program.append(word)


def may_stand_before(words: Sequence[str]) -> bool:
    """Whether what comes after these words is a program's name and no argument."""
    if words and words[0] in ("kubectl", "srun") and words[-1] == "--":
        return True
    if words and words[0] == "ssh":
        words = words[2:]
    return all(word in BEFORE or re.fullmatch(r"[A-Z_]+=.*", word) for word in words)


def calls_in(lines: Sequence[str], place: str) -> Iterator[Call]:
    for line in lines:
        if not re.search(r"\blastbatch(?:\.pyz)? [a-z-]", line):
            continue
        for words in programs_in(line):
            for at, word in enumerate(words):
                if word.rpartition("/")[2] in ("lastbatch", "lastbatch.pyz") and may_stand_before(words[:at]):
                    if words[at + 1 :]:
                        yield Call(place, words[at + 1], words[at + 2 :])
                    break


def written_calls() -> list[Call]:
    calls: list[Call] = []
    for page in PAGES:
        text, place = page.read_text(), str(page.relative_to(ROOT))
        calls += calls_in([line for block in blocks_of(text) for line in block.splitlines()], place)
        # A command alone between backquotes is its name, and no line to type.
        calls += [call for call in calls_in(spans_of(text), place) if call.words]
        named = re.findall(r"`(?:\S*/)?lastbatch ([a-z]+)`", text)
        assert set(named) <= COMMANDS.keys(), place
    for page in MANIFESTS:
        comments = re.findall(r"^# +(\S.*)$", page.read_text(), re.MULTILINE)
        calls += calls_in(comments, str(page.relative_to(ROOT)))
    for name, lazy in COMMANDS.items():
        told = inspect.getdoc(getattr(import_module(lazy.module), lazy.function)) or ""
        examples = re.findall(r"Example: (.+?)(?= {4}Example:|$)", told, re.MULTILINE)
        calls += calls_in(examples, f"{name} --help")
    return calls


@pytest.fixture
def nothing_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands end where they would build a runtime or start a trial, on a machine that has all they need."""

    def build(_: str, runtime: str, *rest: object) -> None:
        runtimes.parse(runtime)
        raise typer.Exit

    monkeypatch.chdir(ROOT)  # an option that reads a file from the repository finds it
    answer = pipeline.Answer(*report_samples.last_batch_hang())
    for name, found in (
        ("attach.pipeline.attach", answer), ("attach.jobs_here", ()), ("attach._hosts", ("node1",)),
        ("attach.ready", nullcontext()), ("attach.refuse_no_place", None), ("watch.refuse_no_place", None),
        ("watch._Watch", SimpleNamespace(run=lambda: 0)), ("watch._start", None),
        ("watch.select", Selection((), (), ())), ("watch.Board", nullcontext(SimpleNamespace(url=""))),
        ("attach.which_target", typer.Exit()), ("trace.bpftrace.lacking", None),
    ):  # fmt: skip
        monkeypatch.setattr(f"diagnostics.cli.{name}", lambda *_, found=found, **__: found)
    monkeypatch.setattr("diagnostics.cli.attach.resolve", lambda words, *_: Place(None, tuple(words)))
    monkeypatch.setattr("diagnostics.cli.trace.select", lambda *_: build("", "torch"))
    monkeypatch.setattr(Need, "is_there", lambda _: True)
    monkeypatch.setattr("repro.cli.run.prepare", build)
    monkeypatch.setattr("repro.cli.compare._measured_pace", lambda *_: 20.0)
    for name in ("compare", "bisect", "shrink", "verify"):
        monkeypatch.setattr(f"repro.cli.{name}.conduct", lambda *_: 0)


@pytest.mark.usefixtures("nothing_begins")
def test_every_command_line_is_taken() -> None:
    calls = written_calls()
    for place, least in (("README.md", 20), ("docs/", 100), ("docs/kubernetes/", 2), ("--help", len(COMMANDS))):
        assert sum(place in call.place for call in calls) >= least, f"the command lines of {place} were not found"
    refused = []
    for told in {(call.command, *call.words): call for call in calls}.values():
        command, words = told.command, told.words
        if command in ("--help", "--version"):
            continue
        if command not in COMMANDS:
            refused.append(f"{told}: there is no such command")
        elif command in BEGUN:
            refused += why_refused(told, told.words)
        if command not in BEGUN or command in ("attach", "trace"):
            try:
                given = load(command).make_context(command, list(words)).params
            except Exception as error:  # click's own errors, of click or of the copy in typer
                refused.append(f"{told}: {error}")
                continue
            unknown = [one for one in given.get("targets") or () if not is_selector(one)]
            refused += [f"{told}: {one} is no selector" for one in unknown]
    assert not refused, "\n".join(refused)


def why_refused(told: Call, words: Sequence[str], given: bytes | None = None) -> list[str]:
    ended = CliRunner().invoke(app, [told.command, *words], input=given)
    if ended.exit_code in (0, 1, 4) and (ended.exception is None or isinstance(ended.exception, SystemExit)):
        return []
    return [f"{told}: {ended.output.strip() or repr(ended.exception)}"]


DUMP = """Process 100: python train.py
Python v3.11.7 (/usr/bin/python3.11)

Thread 100 (idle): "MainThread"
    train (train.py:5)
"""
"""As py-spy dump writes it."""


def test_every_command_line_that_reads_files_gives_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evidence, _ = report_samples.last_batch_hang()
    refused, done = [], 0
    for told in {(call.command, *call.words): call for call in written_calls()}.values():
        if told.command not in OFFLINE or "--help" in told.words or told.words[0] == "makes":  # says what it is for
            continue
        paths = [str(path) for path in load(told.command).make_context(told.command, list(told.words)).params["paths"]]
        for path in {path.lstrip("/") for path in paths} - {"-"}:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            if path.endswith(bundle.SUFFIX) or path == "FILE":
                bundle.write(Path(path), evidence, {})
            elif Path(path).suffix:
                Path(path).write_text(DUMP)
            else:
                Path(path).mkdir(exist_ok=True)
                (Path(path) / "rank0.txt").write_text(DUMP)
        words = [word.lstrip("/") if word in paths else word for word in told.words]
        refused += why_refused(told, words, DUMP.encode())
        done += 1
    assert not refused, "\n".join(refused)
    assert done > 15, "the command lines were not found"


def is_selector(word: str) -> bool:
    """Also a word in capitals, which stands for one."""
    return word.isdigit() or word.startswith((*KINDS, "k8s:")) or bool(re.fullmatch(r"[A-Z]+(?:\.\.\.)?", word))


def options_of(name: str) -> set[str]:
    return {"--help", *(word for param in load(name).params for word in (*param.opts, *param.secondary_opts))}


def test_every_option_that_the_text_speaks_of_exists() -> None:
    """`attach --device` is one of attach, `--device` one of any command."""
    of = {name: options_of(name) for name in COMMANDS}
    every = set().union(*of.values(), OF_OTHERS, ["--version"])
    told = 0
    for page in OF_NOW:
        for span in spans_of(page.read_text()):
            first, *_ = span.split() or [""]
            if first in of or first.startswith("--"):
                options = re.findall(r"(?<![\w-])--[a-z][\w-]*", span.partition(" -- ")[0])
                told += len(options)
                assert set(options) <= of.get(first, every), f"{page.name}: {span}"
    assert told > 60, "the options were not found"


SCRIPT = re.compile(r"(?:^|[ /])python3? ((?:bench|docs|release|tests)/\S+\.py)|(?:^|/)(?:nox -s (\w+))")


def test_every_script_and_session_exists() -> None:
    sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    found = 0
    for page in PAGES:
        text = page.read_text()
        for line in [*(line.strip() for block in blocks_of(text) for line in block.splitlines()), *spans_of(text)]:
            for script, session in SCRIPT.findall(line):
                found += 1
                assert (ROOT / script).is_file() if script else session in sessions, f"{page.name}: {line}"
    assert found > 20, "the scripts were not found"


def source_with_imports(script: Path) -> str:
    """Of a script and of the modules beside it that it imports, which may declare its options."""
    text = script.read_text()
    beside = (script.parent / f"{name}.py" for name in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    return text + "".join(module.read_text() for module in beside if module.is_file())


def test_every_option_of_a_script_is_declared_in_it() -> None:
    found = 0
    for page in PAGES:
        text = page.read_text()
        for line in [*(line for block in blocks_of(text) for line in block.splitlines()), *spans_of(text)]:
            for script, rest in re.findall(r"python3? (bench/\S+\.py) ([^#&|;']*)", line):
                declared = source_with_imports(ROOT / script)
                for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", rest):
                    found += 1
                    named = option[2:].replace("-", "_")
                    assert f'"{option}"' in declared or re.search(rf"\b{named}: ", declared), f"{page.name}: {line}"
    assert found > 20, "the options were not found"


def test_every_extra_and_option_of_pytest_that_the_text_names_exists() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    extras = set(re.findall(r"^(\w+) = \[", project.partition("[project.optional-dependencies]")[2], re.MULTILINE))
    plugin = (ROOT / "diagnostics" / "pytest_plugin" / "__init__.py").read_text()
    named, asked = set[str](), set[str]()
    for page in [*PAGES, ROOT / "noxfile.py", ROOT / ".ci" / "run", *(ROOT / ".github" / "workflows").glob("*.yml")]:
        text = page.read_text()
        named |= {one for many in re.findall(r"(?:\.|lastbatch)\[([\w,]+)\]", text) for one in many.split(",")}
        asked |= set(re.findall(r"--hang-(?:timeout|dir|exit|grace)\b", text))
    assert {"mcp", "docs", "test"} <= named <= extras, named
    assert asked and {option for option in asked if f'"{option}"' not in plugin} == set()


def test_every_file_that_the_text_names_exists() -> None:
    tops = {path.name for path in (*ROOT.iterdir(), *(ROOT / "diagnostics").iterdir()) if path.is_dir()}
    found = 0
    for page in OF_NOW:
        for span in spans_of(page.read_text()):
            if re.fullmatch(r"[\w.-]+(?:/[\w.-]+)*/?", span) and "/" in span and span.split("/")[0] in tops:
                if re.search(r"/[A-Z]+\.py$", span):  # NAME.py is to be made
                    span = span.rpartition("/")[0]
                found += 1
                assert any((top / span).exists() for top in (ROOT, ROOT / "diagnostics")), f"{page.name}: {span}"
    assert found > 50, "the files were not found"


def anchors_of(page: Path) -> set[str]:
    """As GitHub and the site make them of headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == ROOT], ids=lambda page: page.name)
def test_links_at_the_root_lead_somewhere(page: Path) -> None:
    """The site's own are checked where it is built."""
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        target = ROOT / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), f"{link}#{anchor}"


def test_the_menu_of_the_site_has_every_page() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    assert len(pages) > 20
    assert [page for page in pages if not re.search(rf"[ \[]{re.escape(page)}\b", menu)] == []


def test_python_in_the_documents_imports_what_there_is() -> None:
    found = 0
    for page in OF_NOW:
        for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            compile(code, page.name, "exec")
            for module, names in re.findall(r"^from (diagnostics\S*|repro\S*) import (.+)$", code, re.MULTILINE):
                found += 1
                for name in names.split(", "):
                    home = import_module(module)
                    assert hasattr(home, name) or import_module(f"{module}.{name}"), f"{page.name}: {name}"
    assert found, "no import was found"


def test_the_collector_of_opentelemetry_reads_what_is_served() -> None:
    """The recipe is whole: what its pipeline names is there, and it asks for the page at the port of the example."""
    yaml = pytest.importorskip("yaml")
    text = (ROOT / "docs" / "attach.md").read_text()
    (recipe,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    made = yaml.safe_load(recipe)
    for one in made["service"]["pipelines"].values():
        assert set(one["receivers"]) == set(made["receivers"])
        assert set(one["exporters"]) == set(made["exporters"])
    (job,) = made["receivers"]["prometheus"]["config"]["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, port = address_of(target)
    assert host == "127.0.0.1" and f"--serve {port}" in text
