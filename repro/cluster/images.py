"""Images for the ranks of a Docker cluster: one for each runtime, built once, from what this machine can reach.

With an image registry the base is `python:X.Y-slim`. Without one it is a Debian made from packages by mmdebstrap
(docker/base.sh), and an interpreter of this machine is copied in; the same Dockerfile takes both.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

import repro
from diagnostics.errors import LastbatchError, MissingError
from repro import runtimes
from repro.cluster.supervisor import die_with_parent
from repro.runtimes.build import choose_interpreter
from repro.runtimes.interpreters import Interpreter
from repro.runtimes.pins import Recipe, recipe

REPOSITORY = "lastbatch"
DEBIAN = "lastbatch-debian"
SUITE = "bookworm"
_LEFT_OUT = frozenset({"test", "tests", "idlelib", "tkinter", "turtledemo", "site-packages", "__pycache__", "lib2to3"})
_INDEX = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
Progress = Callable[[str], None]


def home() -> Path:
    """The directory with the Dockerfile: in a checkout beside the packages, else where it was installed to."""
    beside = Path(str(repro.__file__)).parent.parent / "docker"
    return beside if (beside / "Dockerfile").exists() else Path(sys.prefix) / "share" / "lastbatch" / "docker"


def ensure_image(client: docker.DockerClient, name: str, progress: Progress = lambda _: None) -> str:
    """The tag of the image for a runtime such as `tf1.12`, built if it is not there: 1 to 10 min, 0.4 to 2 GB.

    Raises:
        UsageError: no such runtime.
        MissingError: no base, no interpreter, no package index.
    """
    spec = runtimes.parse(name)
    interpreter_of = choose_interpreter(spec)
    plan = recipe(spec, interpreter_of.minor)
    if plan is None:
        raise LastbatchError(f"{name} has no framework to put into an image", "Take one such as tf1.12")
    recipe_text = (home() / "Dockerfile").read_text() + plan.digest()
    tag = f"{REPOSITORY}:{spec.release}-{hashlib.sha256(recipe_text.encode()).hexdigest()[:12]}"
    if _has(client, tag):
        return tag
    base, interpreter = _base(client, interpreter_of, progress)
    progress(f"building the image of {spec.release} from {base}")
    with tempfile.TemporaryFile() as context:
        _pack(context, plan, interpreter)
        context.seek(0)
        try:
            client.images.build(
                fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, network_mode="host",
                buildargs={
                    "BASE": base, "BOOTSTRAP": " ".join(plan.bootstrap),
                    "REQUIREMENT": " ".join((plan.requirement, *plan.extras)), "MODULE": plan.module,
                    **{key: os.environ[key] for key in _INDEX if key in os.environ},
                },
                labels={"lastbatch.image": spec.release},
            )  # fmt: skip
        except BuildError as error:
            raise _build_failure(spec.release, error) from None
    return tag


def _has(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def _build_failure(release: str, error: BuildError) -> LastbatchError:
    lines = [str(entry.get("stream") or entry.get("error") or "").strip() for entry in error.build_log]
    said = next((line for line in reversed(lines) if "ERROR" in line or "error" in line), str(error))
    return LastbatchError(f"the image of {release} could not be built: {said[:300]}", "See docs/docker.md")


def _base(client: docker.DockerClient, found: Interpreter, progress: Progress) -> tuple[str, Path | None]:
    """Image to build on, and the interpreter's directory to copy into it, None where the image has one."""
    official, interpreter = f"python:{found.minor}-slim", Path(found.python).resolve().parent.parent
    if _has(client, official):
        return official, None
    if not _has(client, f"{DEBIAN}:{SUITE}"):
        try:
            progress(f"asking the registry for {official}")
            client.images.pull(official)
            return official, None
        except (APIError, DockerException):
            pass
    return debian(client, progress), interpreter


def debian(client: docker.DockerClient, progress: Progress = lambda _: None) -> str:
    """The tag of the base that is made from Debian packages, made where it is not there.

    Raises: as `make_debian`.
    """
    tag = f"{DEBIAN}:{SUITE}"
    if not _has(client, tag):
        make_debian(client, progress)
    return tag


def make_debian(client: docker.DockerClient, progress: Progress = lambda _: None) -> None:
    """Import the base that is made from Debian packages.

    Raises:
        MissingError: neither a registry nor mmdebstrap, or its mirror cannot be reached.
    """
    if not shutil.which("mmdebstrap"):
        raise MissingError(
            "no image registry can be reached, and mmdebstrap is not installed",
            f"apt-get install mmdebstrap, or import a base: docker/base.sh | docker import - {DEBIAN}:{SUITE}",
        )
    progress("no registry: making a base from Debian packages (20 s to some minutes)")
    with tempfile.NamedTemporaryFile(suffix=".tar") as tarball:
        done = subprocess.run(
            [home() / "base.sh", SUITE], stdout=tarball, stderr=subprocess.PIPE, text=True, check=False,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        if done.returncode:
            words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise MissingError(f"no base could be made from Debian packages: {words}", "Check the package mirror")
        said = client.api.import_image_from_file(tarball.name, repository=DEBIAN, tag=SUITE)
        # Podman leaves the tag out.
        client.api.tag(json.loads(said.strip().splitlines()[-1])["status"], DEBIAN, SUITE)


def _pack(target: IO[bytes], plan: Recipe, interpreter: Path | None) -> None:
    """The build context: Dockerfile, constraints, and an interpreter of this machine, or an empty directory."""
    with tarfile.open(fileobj=target, mode="w") as tar:
        _add_text(tar, "Dockerfile", (home() / "Dockerfile").read_text())
        _add_text(tar, "ca.crt", _certificates())
        _add_text(tar, "constraints.txt", "\n".join(plan.constraints) + "\n")
        directory = tarfile.TarInfo("interpreter")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(directory)
        for path in _parts(interpreter) if interpreter else ():
            tar.add(path, f"interpreter/{path.parent.name}/{path.name}", filter=_wanted)


def _certificates() -> str:
    """Those that this machine was told to trust for the package index, "" for the usual ones."""
    named = (Path(os.environ.get(key, "")) for key in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"))
    return next((path.read_text() for path in named if path.is_file()), "")


def _parts(interpreter: Path) -> Iterable[Path]:
    yield from (interpreter / "bin").glob("python3*")
    yield from (path for path in (interpreter / "lib").iterdir() if path.name.startswith(("libpython", "python3")))
    yield from (interpreter / "include").iterdir()


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    last = entry.name.rpartition("/")[2]
    # In `config-3.6m-...` lies the static library: as large as all the rest, and nothing links to it.
    if last in _LEFT_OUT or (last.startswith("libpython") and last.endswith(".a")):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))
