"""The releases that scenarios need, installed for real: minutes the first time, then from the cache."""

import subprocess

import pytest

from diagnostics.errors import MissingError
from repro.runtimes import Runtime, available, ensure

_RELEASES = [
    ("tf1.4", "1.4.1", "3.6."),
    ("tf1.8", "1.8.0", "3.6."),
    ("tf1.12", "1.12.0", "3.6."),
    ("tf1.13", "1.13.2", "3."),
    ("tf1.15", "1.15.5", "3."),
    ("tf2", "2.21.0", "3."),
]

# One session over the gRPC runtime: what every scenario is made of.
_SESSION = """
import tensorflow as tf
tf = tf.compat.v1 if tf.__version__ >= "2" else tf
with tf.Graph().as_default():
    server = tf.train.Server.create_local_server()
    with tf.Session(server.target) as session:
        print(tf.__version__ if hasattr(tf, "__version__") else "", session.run(tf.constant(20) + 22))
"""


def made(name: str) -> Runtime:
    try:
        return ensure(name, print)
    except MissingError as error:
        pytest.skip(str(error))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "release", "python"), _RELEASES)
def test_a_release_runs_a_session_on_its_own_server(name: str, release: str, python: str) -> None:
    # GIVEN
    runtime = made(name)
    assert (runtime.framework, runtime.framework_version) == ("tensorflow", release)
    assert runtime.python_version.startswith(python)
    # WHEN
    done = subprocess.run(
        [runtime.python, "-I", "-c", _SESSION], capture_output=True, text=True, timeout=300, check=False
    )
    # THEN
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "42"


@pytest.mark.timeout(1800)
def test_what_was_made_is_reported_as_ready_and_is_consistent() -> None:
    runtime = made("tf1.12")
    state = next(each for each in available() if each.name == "tf1.12")
    assert (state.state, state.path) == ("ready", runtime.directory)
    assert 300e6 < state.size < 1000e6
    check = subprocess.run([runtime.python, "-I", "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout
