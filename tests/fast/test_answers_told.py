"""One process's bad answer costs that process alone, and the reason is kept."""

from __future__ import annotations

from typing import Any

from diagnostics.frameworks.joining import enrich as joining
from diagnostics.frameworks.partners import enrich as partners
from diagnostics.model import Collection, Frame, Partner, Process, Thread
from diagnostics.transport import Options
from diagnostics.transport.answers import Answer
from diagnostics.transport.lines import AskedThere
from diagnostics.transport.reach import Progress


class Hosts:
    """The way to three hosts, of which one answers with something else than evidence."""

    def __init__(self, good: dict[str, Any], bad: dict[str, Any]) -> None:
        self._answers = {
            "a": Answer(asked=(AskedThere(7, good),)),
            "b": Answer(asked=(AskedThere(7, bad),)),
            "c": Answer(asked=(AskedThere(7, good),), left_out=("late",)),
        }

    def collect(self, options: Options, progress: Progress) -> Collection:
        raise NotImplementedError

    def visit(self, do: object, processes: object, options: Options, **more: Any) -> dict[str, Answer]:
        return self._answers


def inside(function: str) -> Collection:
    threads = (Thread(7, "python", (Frame(function, "/v/torch/distributed/distributed_c10d.py", 9),)),)
    return Collection(0.0, 0.0, tuple(Process(f"worker:{host}", 7, host, threads=threads) for host in "abc"))


def test_one_bad_answer_of_three_leaves_the_two_others() -> None:
    good = {"partners": [{"tid": 7, "operation": "recv", "rank": 1}]}
    bad = {"partners": [{"tid": 7, "operation": "recv", "rank": "one"}]}
    found = partners.look(inside("recv"), Hosts(good, bad))
    told = (Partner(7, "recv", 1),)
    assert [one.partners for one in found.processes] == [told, (), told]
    late, broken = found.left_out
    assert late == "late (on c)" and broken.startswith("partners: process 7: ") and broken.endswith("(on b)")


def test_a_source_that_answers_with_another_shape_is_left_out_for_that_process() -> None:
    group = {"group": "default_pg", "rank": 0, "size": 3}
    found = joining.look(inside("init_process_group"), Hosts(group, {"groups": [group]}))
    assert [len(one.groups) for one in found.processes] == [1, 0, 1]
    assert any("joining: process 7" in why for why in found.left_out)
