"""The jobs train every model: with parameter servers on TensorFlow 1 and 2, by all-reduce on PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Answer

from repro.runtimes import Runtime
from repro.workloads import WORKLOADS

Call = Callable[..., Answer]
Get = Callable[[str], Runtime]


@pytest.mark.parametrize("model", WORKLOADS)
@pytest.mark.parametrize("name", ["tf1.12", "tf2"])
def test_a_model_is_trained_by_parameter_servers(lastbatch: Call, runtime: Get, name: str, model: str) -> None:
    """It finishes; or, on TensorFlow 1, it may hang: then for the reason that is known."""
    runtime(name)
    words = ["--arm", "dataset", "--set", f"model={model}", "--set", "ps=2", "--epoch-ends", 8, "--time-limit", 600]
    answer = lastbatch("run", "last-batch", "--runtime", name, *words, "--json")
    assert answer.code == 0, answer.err
    (arm,) = answer.json["arms"]
    if arm["verdict"] == "hung":
        assert (name, arm["finding"]["cause"]) == ("tf1.12", "tf-late-recv-after-abort"), answer.err
    else:
        assert (arm["verdict"], arm["epoch_ends"]) == ("finished", 8), answer.err


@pytest.mark.parametrize("model", ["transformer", "sampled-softmax"])
def test_a_model_is_trained_by_all_reduce(lastbatch: Call, runtime: Get, model: str) -> None:
    """Of data that are uneven the model hangs as any does, and within `join` it does not."""
    runtime("torch")
    words = ["--set", f"model={model}", "--set", "rows=4", "--set", "epoch_ends=3", "--set", "hang_at=1", "--json"]
    answer = lastbatch("run", "ddp-uneven", *words, "--time-limit", 600)
    uneven, join = answer.json["arms"]
    assert (uneven["verdict"], join["verdict"]) == ("hung", "finished"), answer.err
    assert uneven["finding"]["cause"] == "uneven-inputs" and answer.code == 0


def test_hang_rates_of_models_are_compared(lastbatch: Call, runtime: Get) -> None:
    runtime("tf1.12")
    words = ["--vary", "model=ctr,nce", "--set", "ps=2", "--most", 10, "--slice", 2, "--no-control"]
    answer = lastbatch("compare", "last-batch", *words, "--study", "models.sqlite", "--json")
    assert answer.code == 0, answer.err
    assert {cell["cell"] for cell in answer.json["cells"]} == {"model=ctr", "model=nce"}
