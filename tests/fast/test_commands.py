"""The list of commands is written down, so that `--help` imports none: it has to say what the commands say."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest
from typer.testing import CliRunner

from repro.cli import COMMANDS, app


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
