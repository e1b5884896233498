"""The list of commands is written down, so that `--help` imports none: it has to say what the commands say."""

from __future__ import annotations

import ast
import inspect
import re
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


def test_a_warning_is_printed_without_its_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workloads, "warnings", lambda *_: ["rank [0] needs more than it may have"])
    run._warn("dataset", {}, "tf1.12", NodeLimits())
    assert capsys.readouterr().err == "dataset: rank [0] needs more than it may have\n"
