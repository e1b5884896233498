"""The list of commands is written down, so that `--help` imports none: it has to say what the commands say."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from repro import workloads
from repro.cli import COMMANDS, app, load, run
from repro.cluster.limits import NodeLimits

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says_of_itself(name: str) -> None:
    lazy = COMMANDS[name]
    told = inspect.getdoc(getattr(import_module(lazy.module), lazy.function))
    assert told is not None
    assert lazy.summary == " ".join(told.split("\n\n")[0].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    answer = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert answer.exit_code == 0
    assert f"Example: lastbatch {name}" in answer.output


@pytest.mark.parametrize("wrong", [["nonsense"], ["attach", "--nonsense"], ["run"]])
def test_a_wrong_call_is_one(wrong: list[str]) -> None:
    assert CliRunner().invoke(app, wrong).exit_code == 2


def words_of_errors() -> Iterator[tuple[str, str]]:
    """Each error that the program may end with, by where it is raised."""
    for package in ("diagnostics", "repro"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error"):
                    said = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", " ".join(map(str, said))


def options_of(name: str) -> set[str]:
    params = load(name).params
    return {"--help", *(option for param in params for option in (*param.opts, *param.secondary_opts))}


def options_in(words: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z][a-z-]+", words)


def test_a_hint_names_only_options_that_exist() -> None:
    known = set().union(*map(options_of, COMMANDS))
    named = [(place, option) for place, said in words_of_errors() for option in options_in(said)]
    assert len(named) > 20, "the hints were not found"
    assert [(place, option) for place, option in named if option not in known] == []


PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
PAGES += sorted((ROOT / "diagnostics").rglob("*.md"))
PROGRAM = re.compile(
    r"^(?:\$ |    )?(?:sudo |srun |ssh \S+ )*(?:(?:\.venv/bin/)?(lastbatch|nox|pytest)"
    r"|(?:\S*/)?python3? (bench/\S+|docs/\S+|release/\S+|tests/\S+|lastbatch.pyz))\b(.*)$",
    re.MULTILINE,
)


def calls_in_documents() -> Iterator[tuple[str, str, list[str]]]:
    """Page, program and words of each command line in a block of code or a paragraph that is indented as one."""
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```|((?:^    .*\n)+)", page.read_text(), re.MULTILINE | re.DOTALL):
            for name, script, rest in PROGRAM.findall("".join(block).replace("\\\n", " ")):
                rest = re.sub(r"\$\([^)]*\)+", "4711", rest)  # what a shell would put in
                rest = re.split(r"(?<!\S)(?:&&|[|#>;])", rest)[0]
                yield page.name, name or script, shlex.split(rest)


def test_the_documents_call_only_what_there_is() -> None:
    """Every command is read as the program itself would read it, up to the point where it would do something."""
    calls = list(calls_in_documents())
    assert len(calls) > 150, "the calls were not found"
    for page, program, words in calls:
        what = f"{page}: {program} {shlex.join(words)}"
        if program in ("lastbatch", "lastbatch.pyz"):
            if words and not words[0].startswith("-"):
                assert words[0] in COMMANDS, what
                with pytest.MonkeyPatch.context() as here:
                    here.chdir(ROOT)
                    context = load(words[0]).make_context(words[0], [word.rstrip("…") for word in words[1:]])
                assert context, what
        elif program == "nox":
            named = words[words.index("-s") + 1] if "-s" in words else "fast"
            assert f"def {named}(session" in (ROOT / "noxfile.py").read_text(), what
        elif program != "pytest":
            assert (ROOT / program).exists(), what


def test_a_warning_is_printed_without_its_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workloads, "warnings", lambda *_: ["rank [0] needs more than it may have"])
    run._warn("dataset", {}, "tf1.12", NodeLimits())
    assert capsys.readouterr().err == "dataset: rank [0] needs more than it may have\n"
