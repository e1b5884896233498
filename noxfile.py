"""What CI does, one session each: `nox -l` lists them, `nox -s fast` runs one."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "docs", "fast"]
nox.options.reuse_existing_virtualenvs = True


def tests(session: nox.Session, tier: str) -> None:
    """A tier of the tests, or the files and options that are given after `--`."""
    session.install("-q", "-e", ".[test]")
    session.run("python", "-m", "pytest", *(session.posargs or [f"tests/{tier}"]))


@nox.session
def fast(session: nox.Session) -> None:
    """Values in, values out."""
    tests(session, "fast")


@nox.session
def process(session: nox.Session) -> None:
    """Real processes, no framework."""
    tests(session, "process")


@nox.session
def framework(session: nox.Session) -> None:
    """TensorFlow and PyTorch, which are installed when they are first needed."""
    tests(session, "framework")


@nox.session
def docker(session: nox.Session) -> None:
    """Containers, networks, faults. Needs an engine: .ci/docker-engine start."""
    tests(session, "docker")


@nox.session
def coverage(session: nox.Session) -> None:
    """Lines and branches that the fast and process tests come to, or those that are given after `--`."""
    session.install("-q", "-e", ".[dev]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or ["tests/fast", "tests/process"]))
    session.run("coverage", "combine", "-q")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and who may import whom."""
    session.install("-q", "-e", ".[test]")
    session.run("ruff", "check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    session.install("-q", "-e", ".[test]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Pages that are made from the code are up to date; the site builds without a warning, into dist/site."""
    session.install("-q", "-e", ".[docs]")
    session.run("python", "docs/make_causes.py", "--check")
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", "dist/site")


@nox.session
def release(session: nox.Session) -> None:
    """The wheel, the sdist and the file for machines without pip, in dist/."""
    session.install("-q", "build", "pip")
    session.run("python", "release/build.py", "wheel", "dist")
    session.run("python", "release/build.py", "sdist", "dist")
    session.run("python", "release/build.py", "pyz", "dist/lastbatch.pyz")


@nox.session
def bench(session: nox.Session) -> None:
    """A benchmark by its name, with its arguments: nox -s bench -- zoo --seeds 1."""
    if not session.posargs:
        session.error("say which: nox -s bench -- NAME ARGUMENTS, for the files in bench/")
    name, *rest = session.posargs
    session.install("-q", "-e", ".[test]")
    session.run("python", f"bench/{name}.py", *rest)
