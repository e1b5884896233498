"""Synchronous replicas wait for a token that comes only when every worker has given its gradient.

`SyncReplicasOptimizer` has each worker give its gradient to accumulators on the servers and then take a token. The
chief's queue runner takes as many gradients as there are replicas, applies them and puts the tokens. A worker that
has run out of data gives none, so the runner and all other workers wait: without a thread, in RunStep. What carries
the cause: the runner's thread, which TensorFlow calls QueueRunnerThread-dummy_queue-sync_token_q, waits in its
step.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, input_end, names
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.steps import Roles, look_at_others, look_at_sound_rest, remote_steps
from diagnostics.model import Process
from diagnostics.model.rank import parse

_RUNNER = ("sync_token_q", "QueueRunnerThread-dummy_queue")


def examine(facts: Facts) -> Case | None:
    roles = Roles(facts)
    adding_up = [process for process in roles.clients if _adds_up(process)]
    if not adding_up:
        return None
    case = Case("tf-sync-tokens")
    said = "the thread that adds up the workers' gradients and hands out tokens waits in its step"
    case.saw("runner-waits", said, "thread names", names(adding_up))
    stepping = [process for process in roles.clients if len(remote_steps(process)) > (process in adding_up)]
    if stepping:
        case.saw("waits", "waits in a step of its own", "stacks", names(stepping))
    others = [process for process in roles.others if process not in adding_up and process.pid > 0]
    if absent := [rank for rank in facts.missing_ranks if parse(rank).role == "worker"]:
        case.saw("worker-absent", "is of the cluster, and no process of it is there", "cluster, connections", absent)
    if not look_at_others(case, others) and not absent:
        case.needs("which worker gives no gradient: attach to all of them, and compare their steps")
    look_at_sound_rest(case, facts, roles)
    _look_at_steps(case, roles)
    return case


def _adds_up(process: Process) -> bool:
    """TensorFlow 1 names the thread after the queue. Without names, it is a runner whose main thread steps as well."""
    return any(any(part in at.thread.name for part in _RUNNER) for at in remote_steps(process))


def _look_at_steps(case: Case, roles: Roles) -> None:
    ended = [process.flight.steps for process in roles.others if process.flight]
    ahead = [process for process in roles.clients if process.flight]
    if ahead and ended and all(p.flight and p.flight.steps >= min(ended) for p in ahead):
        said = "has done as many steps as the worker that left, and is in one more"
        case.saw("steps-alike", said, "recorder", names(ahead))
    if at_end := [process for process in roles.clients if input_end(process.flight)]:
        case.saw("at-end", "its own input ends in this step", "recorder", names(at_end))


CAUSE = Cause(
    id="tf-sync-tokens",
    only="tensorflow",
    family="sync-starvation",
    title="Synchronous replicas wait for a token, and a worker that should give its gradient takes no part any more",
    examine=examine,
    not_to_be_confused_with=(
        "A worker that is slow, or blocked in its own input, holds up all others in the same way: then that is the "
        "cause. A receive that escaped an abort looks alike where the runner's thread is not seen."
    ),
    versions="tf.train.SyncReplicasOptimizer, in TensorFlow 1 and as tf.compat.v1.train.SyncReplicasOptimizer in 2",
    remedies=(
        Remedy(
            "same-batches",
            "Give every worker the same number of batches, or let data repeat and end by a number of global steps",
        ),
        Remedy(
            "fewer-to-aggregate",
            "Set replicas_to_aggregate below the number of workers, so that one that has left is not waited for",
        ),
        Remedy("end-together", "Let workers that have run out wait at a barrier, and end all of them together"),
    ),
    references=(
        "https://www.tensorflow.org/versions/r1.15/api_docs/python/tf/train/SyncReplicasOptimizer",
        "https://github.com/tensorflow/tensorflow/issues/20342",
        "https://github.com/tensorflow/tensorflow/issues/5022",
    ),
    scenario="sync-starved",
    search_for=(
        'Thread 4711 (idle): "MainThread"',
        "    tensorflow::LocalMaster::RunStep(...)",
        "    _call_tf_sessionrun (tensorflow/python/client/session.py:1407)",
        'Thread 4790 (idle): "QueueRunnerThread-dummy_queue-sync_token_q_EnqueueMany"',
        "    tensorflow::LocalMaster::RunStep(...)",
        "    _run (tensorflow/python/training/queue_runner_impl.py:257)",
    ),
)
