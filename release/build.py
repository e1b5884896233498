"""Builds what users install: `python release/build.py wheel OUT`, `python release/build.py sdist OUT`,
`python release/build.py pyz OUT [PYTHON ...]`.

The wheel and the sdist go into OUT, a folder; the sdist takes the package `build`. The pyz is one file for nodes
without pip: Python's zipapp, with every dependency inside. Packages with native parts come as wheels of each PYTHON
(3.10 and newer); their extension modules carry the release in their names, so that one folder serves all.
`release/start.py` unpacks it where it runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "diagnostics", "repro", "docker")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64")
LEFT_OUT = ("*.pyc", "__pycache__", "_cffi*.so", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "*.pyi")
"""Of installed packages: what nothing reads at run time."""


def wheel(out: Path) -> Path:
    return _built(out, "*.whl", "pip", "-q", "--disable-pip-version-check", "wheel", "--no-deps", "--wheel-dir")


def sdist(out: Path) -> Path:
    return _built(out, "*.tar.gz", "build", "--sdist", "--outdir")


def _built(out: Path, pattern: str, module: str, *words: str) -> Path:
    """From a copy, so that the checkout stays clean. `words` end with the option that says where to."""
    with tempfile.TemporaryDirectory() as temporary:
        copy, made = Path(temporary, "source"), Path(temporary, "made")
        copy.mkdir()
        for name in SOURCES:
            whole = ROOT / name
            if whole.is_dir():
                shutil.copytree(whole, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(whole, copy)
        subprocess.run([sys.executable, "-m", module, *words, str(made), str(copy)], check=True, stdout=sys.stderr)
        (built,) = made.glob(pattern)
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(built, out))


def pyz(out: Path, pythons: Sequence[str] = PYTHONS) -> None:
    """For this processor's Linux, from the oldest of `pythons`: what it resolves to holds for the others as well."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        ours, pins, site = wheel(home), home / "pins.txt", home / "site-packages"
        pins.touch()
        for python in pythons:
            target = home / python
            platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
            _pip(
                "install", "--target", str(target), "--python-version", python, "--implementation", "cp", *platforms,
                "--only-binary", ":all:", "--no-compile", "--constraint", str(pins), str(ours),
            )  # fmt: skip
            if not pins.stat().st_size:
                pins.write_text("\n".join(_releases(target)))
            shutil.copytree(target, site, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
        start = (ROOT / "release" / "start.py").read_text().replace("@PYTHONS@", " ".join(pythons))
        _pack(out, site, start)


def _pip(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *words], check=True)


def _releases(target: Path) -> Iterable[str]:
    for info in sorted(target.glob("*.dist-info")):
        name, _, release = info.name.removesuffix(".dist-info").rpartition("-")
        if name != "lastbatch":
            yield f"{name}=={release}"


def _pack(out: Path, site: Path, start: str) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr("__main__.py", start)
            for path in sorted(site.rglob("*")):
                if path.is_file():
                    archive.write(path, str(Path("site-packages", path.relative_to(site))))
    out.chmod(0o755)


if __name__ == "__main__":
    if sys.argv[1:2] in (["wheel"], ["sdist"]) and len(sys.argv) == 3:
        print({"wheel": wheel, "sdist": sdist}[sys.argv[1]](Path(sys.argv[2])))
    elif sys.argv[1:2] == ["pyz"] and len(sys.argv) >= 3:
        pyz(Path(sys.argv[2]), sys.argv[3:] or PYTHONS)
        print(sys.argv[2])
    else:
        sys.exit(__doc__)
