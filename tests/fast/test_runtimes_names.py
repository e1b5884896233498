"""What a user types, and what it stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.errors import UsageError
from repro.runtimes import known_names, parse
from repro.runtimes.names import TENSORFLOW_RELEASES, numbers
from repro.runtimes.pins import recipe


@pytest.mark.parametrize(
    ("name", "release", "python"),
    [
        ("tf1.4", "tf1.4.1", "3.6"),
        ("tf1.8", "tf1.8.0", "3.6"),
        ("tf1.12", "tf1.12.0", "3.6"),
        ("tf1.13", "tf1.13.2", "3.7"),
        ("tf1.15", "tf1.15.5", "3.7"),
        ("tf2", "tf2.21.0", "3.11"),
        ("tf1.9", "tf1.9.0", "3.6"),
        ("tf1.10", "tf1.10.1", "3.6"),
        ("tf1.12.3", "tf1.12.3", "3.6"),
        ("TF1.14.0 ", "tf1.14.0", "3.7"),
        ("tensorflow==1.15.5", "tf1.15.5", "3.7"),
        ("tf2.11", "tf2.11.1", "3.10"),
        ("tf2.12.1", "tf2.12.1", "3.11"),
        ("tf2.22.0", "tf2.22.0", "3.11"),
        ("torch", "torch2.13.0", "3.11"),
        ("torch2.13.0", "torch2.13.0", "3.11"),
        ("torch2.4", "torch2.4.0", "3.11"),
        ("jax", "jax0.10.2", "3.11"),
        ("py3.6", "py3.6", "3.6"),
        ("python3.13", "py3.13", "3.13"),
    ],
)
def test_a_name_stands_for_one_release(name: str, release: str, python: str) -> None:
    spec = parse(name)
    assert (spec.release, spec.pythons[0]) == (release, python)


@pytest.mark.parametrize("name", ["tf1.12.1", "tf1.16", "tf3", "tf1", "tf1.3.0", "torch1.0.0", "py2.7", "py3", "", "x"])
def test_an_unknown_name_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="unknown runtime") as caught:
        parse(name)
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "near"), [("tf1.12.1", "tf1.12"), ("tf1.51", "tf1.5"), ("trch", "torch"), ("py36", "py3.6")]
)
def test_a_slip_of_the_finger_gets_near_matches(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(name)
    assert near in caught.value.hint


@given(st.text(max_size=20))
def test_any_text_is_a_runtime_or_a_usage_error(text: str) -> None:
    try:
        spec = parse(text)
    except UsageError:
        return
    assert parse(spec.release).release == spec.release


@given(st.sampled_from(known_names()))
def test_every_suggested_name_can_be_asked_for(name: str) -> None:
    assert parse(name).pythons


@pytest.mark.parametrize("release", TENSORFLOW_RELEASES)
def test_every_release_has_a_recipe_on_each_of_its_interpreters(release: str) -> None:
    spec = parse(f"tf{release}")
    for minor in spec.pythons:
        plan = recipe(spec, minor)
        assert plan is not None
        assert plan.requirement.endswith(f"=={release}")
        assert plan.megabytes > 0
        if numbers(release)[0] == 1:
            assert plan.exact
            assert all("==" in pin for pin in plan.constraints)


def test_another_set_of_pins_is_another_recipe() -> None:
    digests = set()
    for name, minor in (("tf1.12", "3.6"), ("tf1.12.3", "3.6"), ("tf1.13", "3.6"), ("tf1.13", "3.7")):
        plan = recipe(parse(name), minor)
        assert plan is not None
        digests.add(plan.digest())
    assert len(digests) == 4


def test_an_interpreter_alone_has_nothing_to_install() -> None:
    assert recipe(parse("py3.11"), "3.11") is None


def test_releases_with_limits_of_their_own_get_them() -> None:
    plan = recipe(parse("tf1.10"), "3.6")
    assert plan is not None
    assert "numpy==1.14.5" in plan.constraints
    assert "setuptools==39.1.0" in plan.bootstrap
