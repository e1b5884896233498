"""A coordinator of TensorFlow 2 waits for workers that are gone, and keeps their steps until one comes back.

The coordinator has a thread for each worker. What carries the cause: its main thread waits for the scheduled steps,
and every such thread waits for a worker that has failed, so that nobody takes a step.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import may_be_stuck
from diagnostics.model import Process, Role, State
from diagnostics.stacks.position import pairs

_COORDINATOR = "ClusterCoordinator."


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes if may_be_stuck(process))


def _examine_process(process: Process) -> Case | None:
    positions = [position for _, position in pairs(process)]
    lost = [position for position in positions if position.has(Role.POOL_TASK) and position.has(Role.PROXY)]
    asking = [position for position in positions if position.operation.startswith(_COORDINATOR)]
    if not lost:
        return None
    case = Case("tf-coordinator-worker-lost")
    where = [process.rank]
    said = f"threads of the coordinator wait for a worker that has failed to come back: {len(lost)}"
    case.saw("waits-for-failed", said, "stacks", where)
    if asking:
        case.saw("program-waits", "the program waits for the steps that it scheduled", "stacks", where)
    left = [position for position in positions if position.has(Role.POOL_TASK) and position not in lost]
    if left:
        case.saw("workers-left", f"{len(left)} other workers are there, and take the steps", "stacks", where)
    else:
        case.saw("no-worker-left", "no other worker is there that could take a step", "stacks", where)
    if process.state is State.HUNG:
        case.saw("hung", process.state_why or "it hangs", "samples", where)
    case.needs("how the worker ended: its own log, or whoever started it")
    return case


CAUSE = Cause(
    id="tf-coordinator-worker-lost",
    only="tensorflow",
    family="peer-dead",
    title="The coordinator waits for workers that are gone: nobody is left to take its steps",
    examine=examine,
    not_to_be_confused_with=(
        "With other workers left the job goes on, and only this one's share is missing. A parameter server that is "
        "lost ends the coordinator with an error."
    ),
    versions="tf.distribute.coordinator.ClusterCoordinator, TensorFlow 2.4 and newer",
    remedies=(
        Remedy(
            "restart-worker",
            "Start the worker again, at the address that the cluster's specification has for it: the step is done then",
        ),
        Remedy(
            "restart-by-itself",
            "Let whoever runs the job start lost workers again by itself, and watch how many there are",
        ),
        Remedy("poll-done", "Poll coordinator.done() with a limit of your own in place of join()"),
    ),
    references=(
        "https://www.tensorflow.org/tutorials/distribute/parameter_server_training",
        "https://www.tensorflow.org/api_docs/python/tf/distribute/coordinator/ClusterCoordinator",
    ),
    scenario="ps-strategy",
    search_for=(
        "    wait (threading.py:331)",
        "    wait_on_failure (tensorflow/python/distribute/coordinator/cluster_coordinator.py:955)",
        "    _process_closure (tensorflow/python/distribute/coordinator/cluster_coordinator.py)",
        "    _process_queue (tensorflow/python/distribute/coordinator/cluster_coordinator.py)",
    ),
)
