"""What a workload needs, from its settings alone."""

import json

import pytest
from hypothesis import given, settings, strategies
from typer.testing import CliRunner

from diagnostics.errors import UsageError
from repro import scenarios, workloads
from repro.cli import app
from repro.cluster.limits import parse_limits
from repro.setting import Setting, resolve
from repro.workloads.placement import place
from repro.workloads.terms import term, total

PUBLISHED = {
    # Exact counts of the released checkpoints: keras-hub, keras_hub/src/models/gpt2/gpt2_presets.py. The
    # GPT-2 paper's 117M, 345M, 762M and 1542M were called wrong by its authors (openai/gpt-2, README.md).
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    # Brown et al. 2020, Language Models are Few-Shot Learners, table D.1; table 2.1 rounds it to 175.0B.
    "gpt3": 174_600_000_000,
}


def planned(name: str, **known: object) -> workloads.Plan:
    workload = workloads.find(name)
    return workloads.plan(workload, workloads.complete(workload, known))


def need(plan: workloads.Plan, rank: str) -> int:
    return next(need.bytes for need in plan.ranks if need.rank == rank)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_have_their_published_number_of_parameters(name: str) -> None:
    assert planned(name).parameter_count == pytest.approx(PUBLISHED[name], rel=1e-3)


@given(data=strategies.data())
@settings(max_examples=60, deadline=None)
def test_the_formula_counts_what_the_tensors_hold(data: strategies.DataObject) -> None:
    workload = data.draw(strategies.sampled_from(list(workloads.WORKLOADS.values())))
    numbers = {
        setting.name: data.draw(strategies.integers(max(setting.least, 1), 40))
        for setting in workload.settings
        if type(setting.default) is int
    }
    known = workloads.complete(workload, numbers)
    by_part: dict[str, int] = {}
    for variable in workload.variables(known):
        by_part[variable.part] = by_part.get(variable.part, 0) + variable.size
    formula = {part.name: part.value for part in workload.parameters(known) if part.value}
    assert formula == {part: count for part, count in by_part.items() if count}


@given(servers=strategies.integers(1, 9), vocabulary=strategies.integers(9, 500))
@settings(max_examples=30, deadline=None)
def test_every_value_sits_on_exactly_one_server(servers: int, vocabulary: int) -> None:
    for workload in workloads.WORKLOADS.values():
        known = workloads.complete(workload, {"vocabulary": vocabulary, "ps": servers})
        variables = workload.variables(known)
        held = place(variables, servers)
        assert len(held) == servers
        assert sum(part.size for parts in held for part in parts) == sum(v.size for v in variables)


def test_a_formula_shows_the_numbers_that_it_was_computed_with() -> None:
    shown = term("norms", "layers * 4 * width**2 // 2", {"layers": 3, "width": 2000, "model": "x"})
    assert shown.value == 3 * 4 * 2000**2 // 2
    assert (shown.formula, shown.numbers) == ("layers × 4 × width² ÷ 2", "3 × 4 × 2,000² ÷ 2")  # noqa: RUF001


def test_activations_grow_with_the_batch_and_attention_with_the_square_of_the_sequence() -> None:
    def terms(**known: object) -> dict[str, int]:
        worker = planned("transformer", ps=0, **known).ranks[0]
        return {term.name.split(" (")[0]: term.value for term in worker.terms}

    small, batch, long = terms(rows=4), terms(rows=8), terms(rows=4, sequence=64)
    for name in ("layers", "attention", "output"):
        assert batch[name] == 2 * small[name]
    assert long["layers"] == 2 * small["layers"]
    assert long["attention"] == 4 * small["attention"]


def test_recomputation_trades_the_layers_for_their_inputs() -> None:
    kept, again = (need(planned("gpt2", ps=0, recompute=flag), "worker:0") for flag in (False, True))
    assert again < kept


def test_mixed_training_with_adam_takes_sixteen_bytes_a_parameter() -> None:
    plan = planned("gpt2", ps=0, precision="mixed", optimizer="adam")
    assert total(plan.states) == 16 * plan.parameter_count


def test_a_limit_is_kept_and_one_row_more_breaks_it() -> None:
    workload = workloads.find("ctr")
    known = workloads.complete(workload, {"vocabulary": 100_000})
    limit = 1 << 30
    rows = workloads.largest_batch(workload, known, limit)
    assert max(n.bytes for n in planned("ctr", vocabulary=100_000, rows=rows).ranks) <= limit
    assert max(n.bytes for n in planned("ctr", vocabulary=100_000, rows=rows + 1).ranks) > limit


def test_the_fewest_servers_hold_a_large_vocabulary_and_one_fewer_does_not() -> None:
    workload = workloads.find("sampled-softmax")
    known = workloads.complete(workload, {"vocabulary": 10_000_000})
    limit = 1 << 30
    fewest = workloads.fewest_servers(workload, known, limit)
    assert need(planned("sampled-softmax", vocabulary=10_000_000, ps=fewest), "ps:0") <= limit
    assert need(planned("sampled-softmax", vocabulary=10_000_000, ps=fewest - 1), "ps:0") > limit


def test_more_servers_do_not_help_where_one_tensor_is_too_large() -> None:
    workload = workloads.find("gpt2")
    assert workloads.fewest_servers(workload, workloads.complete(workload, {}), 64 << 20) == 0


def test_memory_is_needed_by_every_rank_of_a_scenario_and_includes_the_framework() -> None:
    needed = workloads.memory_needed({"model": "wide", "workers": 2, "ps": 3, "rows": 1}, "tf1.12")
    assert set(needed) == {"worker:0", "worker:1", "ps:0", "ps:1", "ps:2"}
    assert min(needed.values()) >= workloads.idle_bytes("tf1.12")


def test_a_trial_that_cannot_fit_this_machine_is_told_before_it_starts() -> None:
    job = {"workers": 1, "ps": 4, "rows": 1}
    assert not list(workloads.warnings({**job, "model": "ctr"}, "tf1.12"))
    (warning,) = workloads.warnings({**job, "model": "nce", "vocabulary": 10**12}, "tf1.12")
    assert "5 ranks" in warning and "lastbatch plan nce" in warning
    assert not list(workloads.warnings({"epoch_ends": 8}, "py3.11"))


def test_a_limit_below_the_plan_is_said_before_the_start() -> None:
    job = {"workers": 1, "ps": 2, "rows": 1, "model": "ctr", "vocabulary": 100_000}
    needed = max(workloads.memory_needed(job, "tf1.12").values())
    (warning,) = workloads.warnings(job, "tf1.12", needed - 1)
    assert "its limit is" in warning and "lastbatch plan ctr" in warning
    assert not list(workloads.warnings(job, "tf1.12", needed))


def test_a_job_without_servers_is_planned_without_them() -> None:
    needed = workloads.memory_needed({"workers": 2, "model": "transformer"}, "torch")
    assert set(needed) == {"worker:0", "worker:1"}
    assert workloads.memory_needed({"workers": 2, "model": "linear"}, "torch") == {}


def test_limits_of_containers_come_from_the_plan() -> None:
    assert parse_limits(["memory=plan"]).host_config(1000)["mem_limit"] == 1150
    assert parse_limits(["memory=512"]).host_config(1000)["mem_limit"] == 512 << 20
    assert parse_limits([]).host_config(1000) == {}
    result = CliRunner().invoke(app, ["run", "gil-held", "--backend", "docker", "--limit", "memory=plan"])
    assert result.exit_code == 2 and "memory=512" in result.output


def test_a_choice_takes_its_values_only() -> None:
    knob = Setting("optimizer", "adam", "", choices=("sgd", "adam"))
    assert resolve("it", [knob], {"optimizer": "sgd"}) == {"optimizer": "sgd"}
    with pytest.raises(UsageError, match="It takes: sgd, adam"):
        knob.parse("lamb")


def test_plan_prints_every_formula_and_answers_the_other_way_round() -> None:
    result = CliRunner().invoke(app, ["plan", "gpt2", "--set", "ps=0", "--memory", "16g", "--json"])
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["parameter_count"] == PUBLISHED["gpt2"]
    assert all(term["formula"] and term["numbers"] for rank in answer["ranks"] for term in rank["terms"])
    assert answer["fitting"]["largest_batch"] > 0
    assert CliRunner().invoke(app, ["plan", "ctr"]).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "gpt4"], "no workload 'gpt4'"),
        (["plan", "gpt2", "--set", "heads=7"], "not a multiple"),
        (["plan", "ctr", "--memory", "much"], "not a size"),
        (["plan", "ctr", "--set", "heads=2"], "has no setting 'heads'"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(words: list[str], said: str) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_what_fits_nowhere_is_bad_news() -> None:
    assert CliRunner().invoke(app, ["plan", "gpt3", "--memory", "16g"]).exit_code == 1


def test_values_that_do_not_go_together_are_refused_before_anything_starts() -> None:
    with pytest.raises(UsageError, match="not a multiple of heads=2"):
        scenarios.find("last-batch").resolve({"model": "transformer", "width": "65"})
    assert CliRunner().invoke(app, ["plan", "gpt2", "--set", "width=65"]).exit_code == 2
