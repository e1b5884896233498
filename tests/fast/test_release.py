"""A tag becomes a release by a workflow that runs elsewhere: what it names has to be here, and it holds no secret."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import lacking

from diagnostics.errors import MissingError

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "release"))
from notes import notes  # noqa: E402

WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
PROJECT = '[project]\nname = "lastbatch"\nversion = "1.2.3"\n'
CHANGELOG = "# Changelog\n\n## Unreleased\n\n- later\n\n## 1.2.3 - 2026-01-31\n\n- new\n\n## 1.2.30\n\n- old\n"


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    try:
        import yaml
    except ModuleNotFoundError:
        lacking(MissingError("PyYAML is not installed", "pip install '.[test]'"))
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow[True] == {"push": {"tags": ["v*"]}}, "`on` is read as true by YAML 1.1"
    assert workflow["permissions"] == {"contents": "read"}
    found: dict[str, Any] = workflow["jobs"]
    return found


def steps(jobs: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs.items():
        for step in job["steps"]:
            yield name, step


def test_the_commands_and_the_files_that_it_names_are_here(jobs: dict[str, Any]) -> None:
    commands = "\n".join(step["run"] for _, step in steps(jobs) if "run" in step)
    for script in (named := re.findall(r"python (\w+/\w+\.py)\b", commands)):
        assert (ROOT / script).is_file(), script
    assert named
    sessions = (ROOT / "noxfile.py").read_text()
    called = " ".join(re.findall(r"nox -s ([\w ]+)", commands)).split()
    assert {"lint", "types", "fast", "docs", "release"} == set(called)
    for name in called:
        assert f"def {name}(session" in sessions, name
    assert "dist/site" in sessions and "dist/lastbatch.pyz" in sessions


def test_all_four_are_published_and_only_after_the_checks(jobs: dict[str, Any]) -> None:
    text = WORKFLOW.read_text()
    for artifact in ("dist/*.whl", "dist/*.tar.gz", "dist/lastbatch.pyz", "dist/site"):
        assert artifact in text
    for name, job in jobs.items():
        assert job["timeout-minutes"] <= 60
        assert ("needs" in job) == (name != "build")
    build = jobs["build"]["steps"]
    checked = next(index for index, step in enumerate(build) if "nox -s lint" in step.get("run", ""))
    stored = [index for index, step in enumerate(build) if "upload" in step.get("uses", "")]
    assert stored and checked < min(stored)
    kept = {step["with"]["name"] for _, step in steps(jobs) if "upload-artifact" in step.get("uses", "")}
    taken = {step["with"].get("name") for _, step in steps(jobs) if "download-artifact" in step.get("uses", "")}
    assert taken <= {*kept, None}


def test_it_has_no_token_and_each_job_only_the_rights_that_it_needs(jobs: dict[str, Any]) -> None:
    assert "secrets." not in WORKFLOW.read_text()
    rights = {name: job.get("permissions", {}) for name, job in jobs.items()}
    assert rights == {
        "build": {},
        "index": {"id-token": "write"},
        "page": {"contents": "write"},
        "site": {"pages": "write", "id-token": "write"},
    }
    for _, step in steps(jobs):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[\w./]+", step.get("uses", "a/b@v1")), step
        # What a tag is called must not become part of a command.
        assert "${{" not in step.get("run", ""), step


def test_the_notes_are_the_section_of_the_version() -> None:
    assert notes("v1.2.3", PROJECT, CHANGELOG) == "- new\n"
    assert notes("v1.2.3", PROJECT, "## [1.2.3] - 2026-01-31\n\n### Added\n\n- a\n") == "### Added\n\n- a\n"


@pytest.mark.parametrize(
    ("tag", "changelog", "said"),
    [
        ("v1.2.4", CHANGELOG, "tag v1.2.3, or change it"),
        ("1.2.3", CHANGELOG, "tag v1.2.3, or change it"),
        ("v1.2.3", "## Unreleased\n\n- new\n", "no section 1.2.3"),
        ("v1.2.3", "## 1.2.3\n\n## 1.2.2\n\n- old\n", "no section 1.2.3"),
        ("v1.2.3", "## 1x2y3\n\n- other\n", "no section 1.2.3"),
    ],
)
def test_a_tag_on_the_wrong_commit_builds_nothing(tag: str, changelog: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        notes(tag, PROJECT, changelog)


def test_the_version_of_this_tree_can_be_read() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    (version,) = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    assert notes(f"v{version}", project, f"## {version}\n\n- first\n") == "- first\n"
