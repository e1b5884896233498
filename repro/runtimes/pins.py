"""What each framework release is installed with: frozen sets of packages that were tried together.

Old releases name their dependencies without an upper limit, so an unpinned install gets today's, which no
longer work with them. A set is a constraints file: every release of its range takes from it what it needs.
"""

import hashlib
import json

import msgspec

from repro.runtimes.names import JAX_DEFAULT, TORCH_DEFAULT, RuntimeSpec, numbers

# enum34 comes with 1.4 only, and is harmless on CPython 3.6: the standard library's enum is found first.
_TF1_COMMON = """
    astor==0.8.1 bleach==1.5.0 enum34==1.1.10 gast==0.2.2 google-pasta==0.2.0 h5py==2.10.0
    html5lib==0.9999999 keras-applications==1.0.8 keras-preprocessing==1.1.2 opt-einsum==3.3.0
    protobuf==3.19.6 six==1.17.0
"""
_TF1_PY36 = """
    absl-py==1.4.0 cached-property==1.5.2 dataclasses==0.8 grpcio==1.48.2 importlib-metadata==4.8.3
    markdown==3.3.7 mock==4.0.3 termcolor==1.1.0 typing-extensions==4.1.1 werkzeug==2.0.3 wrapt==1.15.0
    zipp==3.6.0
"""
_TF1_PY37 = """
    absl-py==2.1.0 cached-property==1.5.2 grpcio==1.62.3 importlib-metadata==6.7.0 markdown==3.4.4
    markupsafe==2.1.5 mock==5.2.0 termcolor==2.3.0 typing-extensions==4.7.1 werkzeug==2.2.3 wrapt==1.16.0
    zipp==3.15.0
"""
# The companions of TensorFlow 1 that follow its release numbers; their last patch releases.
_TF1_TENSORBOARD = {
    4: "tensorflow-tensorboard==0.4.0",
    5: "tensorflow-tensorboard==1.5.1",
    6: "tensorboard==1.6.0",
    7: "tensorboard==1.7.0",
    8: "tensorboard==1.8.0",
    9: "tensorboard==1.9.0",
    10: "tensorboard==1.10.0",
    11: "tensorboard==1.11.0",
    12: "tensorboard==1.12.2",
    13: "tensorboard==1.13.1 tensorflow-estimator==1.13.0",
    14: "tensorboard==1.14.0 tensorflow-estimator==1.14.0",
    15: "tensorboard==1.15.0 tensorflow-estimator==1.15.1",
}
# 1.10 alone refuses a later numpy, 1.9 to 1.11 a later setuptools.
_TF1_NUMPY = {10: "numpy==1.14.5"}
_TF1_SETUPTOOLS = {9: "setuptools==39.1.0", 10: "setuptools==39.1.0", 11: "setuptools==39.1.0"}
# 2.x states most of its limits itself. What it leaves open, and broke later, is limited here.
_TF2_OPEN: tuple[tuple[tuple[int, int], str], ...] = (
    ((2, 5), "numpy<1.20 protobuf<3.20 h5py<3.2 wrapt<1.15 six<2"),
    ((2, 11), "numpy<1.24 protobuf<3.20 h5py<3.9 wrapt<1.15 six<2"),
    ((2, 15), "numpy<1.27 protobuf<4.26 h5py<3.12 wrapt<1.15 six<2 setuptools<81"),
    ((2, 18), "numpy<2.0 protobuf<4.26 h5py<3.13 keras<3.6 ml-dtypes<0.5 six<2 setuptools<81"),
    ((2, 19), "numpy<2.2 protobuf<6 h5py<3.15 keras<3.11 ml-dtypes<0.6 six<2 setuptools<81"),
    ((2, 20), "numpy<2.4 protobuf<7 h5py<3.15 keras<3.13 ml-dtypes<0.6 six<2 setuptools<81"),
)
_TF2_21_PY311 = """
    absl-py==2.5.1 astunparse==1.6.3 certifi==2026.10.19.post1 charset-normalizer==3.5.2
    flatbuffers==25.12.19 gast==0.7.0 google-pasta==0.2.0 grpcio==1.85.3 h5py==3.14.0 idna==3.20
    keras==3.15.1 libclang==18.1.1 markdown-it-py==4.3.0 mdurl==0.1.2 ml-dtypes==0.6.0 namex==0.1.0
    numpy==2.4.6 opt-einsum==3.4.0 optree==0.20.0 packaging==26.3 protobuf==7.36.2 pygments==2.21.0
    requests==2.34.2 rich==15.0.0 six==1.17.0 termcolor==3.3.0 typing-extensions==4.16.0 urllib3==2.8.0
    wheel==0.48.0 wrapt==2.5.2
"""

# Beside the CPU build. numpy is optional for torch, but without it no tensor becomes an array.
_TORCH_PY311 = """
    filelock==4.2.12 fsspec==2026.9.0 jinja2==3.1.6 markupsafe==3.0.4 mpmath==1.3.0 networkx==3.6.1
    numpy==2.4.6 setuptools==80.10.2 sympy==1.14.0 typing-extensions==4.16.0
"""
_JAX_PY311 = "jaxlib==0.10.2 ml-dtypes==0.6.0 numpy==2.4.6 opt-einsum==3.4.0 scipy==1.17.1"

# What the older interpreters bring along does not know today's wheel tags (manylinux2010 and later); the last
# pip that runs on them does. setuptools and wheel are for what only has sources: gast, html5lib, termcolor.
_BOOTSTRAP: dict[str, tuple[str, ...]] = {
    "3.6": ("pip==21.3.1", "setuptools==59.6.0", "wheel==0.37.1"),
    "3.7": ("pip==23.3.2", "setuptools==67.8.0", "wheel==0.42.0"),
}

# Measured sizes of the finished environment in MB (10**6 bytes).
_MEGABYTES = {
    (1, 4): 310,
    (1, 8): 370,
    (1, 12): 500,
    (1, 13): 550,
    (1, 15): 600,
    (2, 0): 520,
    (2, 11): 1160,
    (2, 12): 1820,
    (2, 16): 1300,
    (2, 21): 1600,
}
_TORCH_MEGABYTES = 1000
_JAX_MEGABYTES = 650


class Recipe(msgspec.Struct, frozen=True):
    """How a runtime is installed on one CPython minor."""

    requirement: str
    """What pip is asked for: `tensorflow==1.12.0`."""
    bootstrap: tuple[str, ...]
    """Installed first, by the pip that the interpreter brings along."""
    constraints: tuple[str, ...]
    module: str
    """What has to be importable at the end."""
    megabytes: int
    """Size of the finished environment in MB, about."""
    exact: bool
    """Whether every package is pinned to one release; otherwise what is left open follows the index."""
    extras: tuple[str, ...] = ()
    """Asked for besides, within the constraints."""

    def digest(self) -> str:
        """Changes whenever an environment made by this recipe is to be made anew."""
        content = [self.requirement, self.bootstrap, self.constraints, *self.extras]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def recipe(spec: RuntimeSpec, python_minor: str, machine: str = "x86_64") -> Recipe | None:
    """The recipe of a framework release on `python_minor`; None for an interpreter alone.

    Args:
        spec: which runtime.
        python_minor: one of `spec.pythons`.
        machine: the interpreter's architecture.
    """
    if spec.framework == "tensorflow":
        return _tensorflow(spec.framework_version, python_minor, machine)
    if spec.framework == "torch":
        return _torch(spec.framework_version, python_minor)
    if spec.framework == "jax":
        exact = spec.framework_version == JAX_DEFAULT and python_minor == "3.11"
        pins = tuple(_JAX_PY311.split()) if exact else ()
        return Recipe(f"jax=={spec.framework_version}", (), pins, "jax", _JAX_MEGABYTES, exact)
    return None


def _torch(release: str, python_minor: str) -> Recipe:
    exact = release == TORCH_DEFAULT and python_minor == "3.11"
    open_limits = "numpy<2 setuptools<81" if numbers(release) < (2, 3, 0) else "numpy<3 setuptools<81"
    pins = tuple(sorted((_TORCH_PY311 if exact else open_limits).split()))
    # A CPU build (2.13.0+cpu) also answers to this. Whether the index has one is its own choice; the ordinary
    # Linux build brings CUDA along, several GB.
    return Recipe(f"torch=={release}", (), pins, "torch", _TORCH_MEGABYTES, exact, ("numpy",))


def _tensorflow(release: str, python_minor: str, machine: str) -> Recipe:
    major, minor = numbers(release)[:2]
    bootstrap = _BOOTSTRAP.get(python_minor, ())
    if major == 1:
        own = _TF1_PY36 if python_minor == "3.6" else _TF1_PY37
        numpy = _TF1_NUMPY.get(minor, "numpy==1.16.6")
        pins = f"{_TF1_COMMON} {own} {numpy} {_TF1_TENSORBOARD[minor]}"
        if minor in _TF1_SETUPTOOLS:
            bootstrap = (bootstrap[0], _TF1_SETUPTOOLS[minor], *bootstrap[2:])
        return Recipe(
            f"tensorflow=={release}",
            bootstrap,
            tuple(sorted(pins.split())),
            "tensorflow",
            _megabytes(1, minor),
            True,
        )
    # The smaller package has no releases before 2.1, nor any for other machines.
    package = "tensorflow-cpu" if (major, minor) >= (2, 1) and machine == "x86_64" else "tensorflow"
    exact = (major, minor) == (2, 21) and python_minor == "3.11"
    pins = _TF2_21_PY311 if exact else _open_limits((major, minor))
    return Recipe(
        f"{package}=={release}",
        bootstrap,
        tuple(sorted(pins.split())),
        "tensorflow",
        _megabytes(2, minor),
        exact,
    )


def _open_limits(release: tuple[int, int]) -> str:
    for last, limits in _TF2_OPEN:
        if release <= last:
            return limits
    return ""


def _megabytes(major: int, minor: int) -> int:
    """The size of the nearest measured minor release: a guess that is right within some tens of percent."""
    nearest = min((key for key in _MEGABYTES if key[0] == major), key=lambda key: abs(key[1] - minor), default=(0, 0))
    return _MEGABYTES.get(nearest, 0)
