"""A coordinator of TensorFlow 2 waits for workers that are gone, and keeps their steps until one comes back.

The coordinator has a thread for each worker. What carries the cause: its main thread waits for the scheduled steps, and
every such thread waits for a worker that has failed, so that nobody takes a step.
"""

from __future__ import annotations

import os

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.thread_waits import short
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.model import Process, State, Thread
from diagnostics.stacks.prefix_tree import main_thread

_ASKS_IT = frozenset({"join", "schedule", "fetch"})


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process) for process in facts.processes)


def _examine_process(process: Process) -> Case | None:
    if process.state is State.FINISHED:
        return None
    lost = [thread for thread in process.threads if _passes(thread, "wait_on_failure")]
    if not lost:
        return None
    case = Case("tf-coordinator-worker-lost")
    where = [process.rank]
    said = f"threads of the coordinator wait for a worker that has failed to come back: {len(lost)}"
    case.saw("waits-for-failed", said, "stacks", where)
    main = main_thread(process)
    if main and any(_passes(main, name) for name in _ASKS_IT):
        case.saw("program-waits", "the program waits for the steps that it scheduled", "stacks", where)
    left = [thread for thread in process.threads if _passes(thread, "_process_queue") and thread not in lost]
    if left:
        said = f"{len(left)} other workers are there, and take the steps"
        case.saw("workers-left", said, "stacks", where)
    else:
        case.saw("no-worker-left", "no other worker is there that could take a step", "stacks", where)
    if process.state is State.HUNG:
        case.saw("hung", "it is silent for longer than its history allows", "recorder", where)
    case.needs("how the worker ended: its own log, or whoever started it")
    return case


def _passes(thread: Thread, function: str) -> bool:
    return any(
        not frame.native and short(frame) == function and os.path.basename(frame.file) == "cluster_coordinator.py"
        for frame in thread.frames
    )


CAUSE = Cause(
    id="tf-coordinator-worker-lost",
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
