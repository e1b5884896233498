"""Every weight of every cause, with where it comes from.

Natural log odds: 1 makes a cause 2.7 times as likely against all else, -1 so many times less likely. `prior` is
what is known when there is reason to look at all. Above zero an observation supports the cause, below it speaks
against it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

from diagnostics.model import Record


class Origin(str, enum.Enum):
    """Where a weight comes from."""

    ZOO = "measured on the zoo's programs (bench/zoo.py)"
    FAULTS = "measured on the matrix of faults (bench/faults.py)"
    REPORTS = "public reports of hangs, and programs that others wrote"
    JUDGEMENT = "judgement; not measured yet"


class Weight(Record, frozen=True):
    """`group`: of the observations of one group only the weightiest counts, since they depend on each other."""

    cause: str  # "*": of any cause that has none of its own
    observation: str
    value: float
    origin: Origin
    group: str = ""


ZOO, FAULTS, REPORTS, JUDGEMENT = Origin.ZOO, Origin.FAULTS, Origin.REPORTS, Origin.JUDGEMENT

_GROUPS = {
    "stillness": {"hung", "not-scheduled", "nothing-moved", "ran", "moves", "moved", "dumped"},
    "absent": {"absent-rests", "worker-rests", "absent-finished", "worker-finished"},
}


def _of(cause: str, origin: Origin, **values: float) -> Iterator[Weight]:
    for name, value in values.items():
        observation = name.replace("_", "-")
        group = next((group for group, members in _GROUPS.items() if observation in members), "")
        yield Weight(cause, observation, value, origin, group)


LOGS = (
    "lock-order",
    "peer-dead", "peer-startup", "network-partition", "device-or-driver", "out-of-memory", "filesystem-stall",
    "collective-mismatch", "rank-elsewhere", "dataloader-worker",
)  # fmt: skip
"""Families that a log may state."""

WEIGHTS = (
    *_of("*", ZOO, hung=1, not_scheduled=0.6, nothing_moved=0.7, moves=-3),
    *_of("*", JUDGEMENT, ran=-1.5, dumped=0.5),
    *_of("*", ZOO, absent_rests=1.9, absent_dead=-2, absent_elsewhere=-2.2, absent_finished=3),
    *_of("*", ZOO, worker_finished=1.3, worker_rests=0.9, worker_gone=-2.5, worker_moves=-4, worker_elsewhere=-2),
    *_of("*", JUDGEMENT, worker_stuck=0.3),
    *_of("*", ZOO, inside_operation=-3, unsound=-5, data_on_its_way=-2.5, servers_sound=0.6),
    *_of("barrier-short", REPORTS, prior=-1.5, waits=0.5, nobody_comes=2, other_thread=-1, child_ended=0.3),
    *_of("callback-deadlock", ZOO, prior=-1.5, callback_waits_for_lock=1, caller_waits=0.5),
    *_of("callback-deadlock", ZOO, other_thread=-1, no_other_thread=1),
    *_of("collective-mismatch", ZOO, prior=-2, stacks_differ=3.3, behind=1.5, numbers_differ=4.5, called_at=0),
    *_of("collective-mismatch", REPORTS, waits_apart=2.2, places_differ=1.9, groups_differ=-3, tears_down=-1.5),
    *_of("collective-mismatch", JUDGEMENT, pairs_unmet=3.3),
    *_of("condition-lost-wakeup", REPORTS, child_ended=-0.7, by_the_clock=1.3),
    *_of("condition-lost-wakeup", ZOO, prior=-2, waits=0.5, other_thread=-2, all_wait_inside=2.5, by_design=-2.5),
    *_of("condition-lost-wakeup", REPORTS, pool_waits_for_itself=-2, pool_elsewhere=-2, tears_down=-1),
    *_of("condition-lost-wakeup", JUDGEMENT, others_wait_for_ranks=-1.5, nobody_named=-2),
    *_of("dataloader-worker-killed", ZOO, prior=-2, waits=0.5, worker_busy=-3, worker_ended=1, workers_idle=2.5),
    *_of("dataloader-worker-killed", ZOO, no_worker=3),
    *_of("dataloader-worker-killed", JUDGEMENT, other_child=-1),
    *_of("dataloader-worker-stuck", JUDGEMENT, prior=-2, asks=0.7, source_waits=0.9, opens=2, nobody_writes=2),
    *_of("dataloader-worker-stuck", JUDGEMENT, outside=0.5, sleeps=0, other_thread=-0.5, no_other_thread=1, hung=2),
    *_of("dataloader-worker-stuck", JUDGEMENT, forked_lock=-1.5),
    *_of("device-or-driver", REPORTS, prior=-1.2, waits=1.5, alone=0.5, others_in_collective=-1.5, holds_gil=-1.5),
    *_of("device-or-driver", REPORTS, kernel_does_not_end=1.5, device_waits=1, gone=5, slowed=0, works=-3, hung=0.8),
    *_of("device-or-driver", REPORTS, may_be_long=-3.5, may_be_a_collective=-1.5, callback_stands=-2.5),
    *_of("event-loop-asleep", JUDGEMENT, prior=-1.5, sleeps=0.5, other_thread=-1.5, connected=-1.5, child=-1),
    *_of("event-loop-asleep", JUDGEMENT, connected_to_itself=1),
    *_of("event-loop-asleep", JUDGEMENT, nobody_outside=2, suspended=0, takes_locks=-2),
    *_of("event-loop-blocked", JUDGEMENT, prior=-1.5, blocks=1.5, asks_for_result=1, other_thread=-1.5),
    *_of("event-loop-blocked", JUDGEMENT, no_other_thread=1),
    *_of("coroutine-locks", JUDGEMENT, prior=-1.5, takes_lock=1, places_differ=1.5, one_place=-1),
    *_of("executor-waits-for-itself", REPORTS, prior=-1.5, tasks_wait=1.5, no_worker_free=2, worker_free=-2),
    *_of("executor-waits-for-itself", REPORTS, task_works=-2.5),
    *_of("file-lock-held", JUDGEMENT, prior=-1.5, waits=1, holder_still=0.7, holder_moves=-3, not_scheduled=0.4),
    *_of("file-lock-order", REPORTS, prior=-1, circle=3),
    *_of("filesystem-stall", ZOO, prior=-1.5, waits=3, no_rank_hangs=-2, state_d=0.3),
    *_of("filesystem-stall", REPORTS, waits_in_kernel=2),
    *_of("fork-with-threads", ZOO, prior=-1.5, only_thread=1.5, other_threads=-1, forked=1.5, same_program=1),
    *_of("fork-with-threads", ZOO, parent_has_threads=0.7, not_scheduled=0.8),
    *_of("fork-with-threads", REPORTS, owner_gone=1.5),
    *_of("frozen", FAULTS, prior=-1, frozen=4, stopped=4, unread=0.5),
    *_of("gil-held", ZOO, prior=-1.5, starved=1, holder_waits=2, holder_may_wait=1.2, holder_elsewhere=0.3, moved=-3),
    *_of("gil-held", ZOO, nothing_moved=1),
    *_of("gil-held", REPORTS, holder_in_driver=2, driver_calls_back=2),
    *_of("gil-held", JUDGEMENT, may_be_long=-2.5),
    *_of("group-order", REPORTS, prior=-1, crossed=3.5, at=0),
    *_of("helper-process-dead", REPORTS, prior=-1.5, waits=0.5, helper_ended=1, ended_badly=0.7, helper_left=-1),
    *_of("helper-process-dead", REPORTS, nobody_else=1.8),
    *_of(
        "input-stall", ZOO, prior=-2, asks=0.7, source_waits=0.7, opens=2, other_thread=-0.5, no_other_thread=2, hung=2
    ),
    *_of("input-stall", REPORTS, helper_ended=-2.5),
    *_of("input-stall", REPORTS, feeder_failed=1.8, feeder_gone=1.8, nobody_writes=2, sleeps=-0.3, outside=0.3),
    *_of("livelock", REPORTS, prior=-1.2, busy=1.5, polls=0.7, own_code=0.3, repeats=2, only_asks=1, awaited=-2),
    *_of("lock-held-elsewhere", REPORTS, prior=-1.5, waits=0.5, holder_waits=2.2, limited=-1, sleeps=-1),
    *_of("lock-order", ZOO, prior=0, places_differ=1, one_place=-2, other_busy=-0.9, other_waits=-0.4),
    *_of("lock-order", ZOO, no_other_thread=1, not_scheduled=0.8),
    *_of("lock-order", REPORTS, circle=3.5, locks_differ=1, owner_gone=-4, held_elsewhere=-2),
    *_of("lock-owner-gone", REPORTS, prior=-1, owner_gone=3, forked=-3),
    *_of(
        "lock-taken-again", REPORTS, prior=-1.5, waits=0.5, owner_itself=3.5, owner_other=-2, interrupted=2, forked=-3
    ),
    *_of("lock-taken-again", REPORTS, other_thread=-1.5, unread=-1, no_other_thread=1.2),
    *_of("network-partition", FAULTS, prior=-1.5, lost=3, both_ways=0, others_reached=0.5, both_alive=1, gone=-4),
    *_of("out-of-memory", FAULTS, prior=-1, ended=5, sigkill=0.5, counted=1.5),
    *_of("outside-silent", REPORTS, prior=-1.5, reads=0.5, opens=1.5, from_outside=0.3, from_known=-2),
    *_of("outside-silent", REPORTS, nobody_writes=1, other_thread=-1.5),
    *_of("peer-dead", FAULTS, prior=-1, gone=2.5, out_of_memory=-4, others_followed=0.5, left_behind=0.3),
    *_of("peer-dead", JUDGEMENT, may_have_finished=-0.7),
    *_of("peer-dead", FAULTS, others_go_on=-3, last_words=0, lost_a_peer=-2.5, ended_by_signal=3.5),
    *_of("peer-dead", FAULTS, ended_with_status=2),
    *_of("peer-startup", ZOO, prior=-1.5, missing=1.5, log_names=2, asks=0.7, no_step_yet=2, connects_in_vain=0.5),
    *_of("peer-startup", ZOO, another_missing=-1, trained_before=-3, unconnected=1),
    *_of("peer-startup", REPORTS, not_serving=0.7),
    *_of("peer-startup", REPORTS, all_wait=0.7, all_there=-2, elsewhere=-1.5, dead=-2),
    *_of("pipe-circle", REPORTS, prior=-1, waits=1.5, both_write=1.5, both_read=0.7, one_reads=-0.5),
    *_of(
        "pool-task-lost",
        REPORTS,
        prior=-1.5,
        waits=0.5,
        workers_idle=2,
        no_worker=2,
        worker_busy=-4,
        worker_ended=1,
        worker_replaced=1,
    ),
    *_of("queue-nobody-puts", REPORTS, prior=-1.5, waits=0.5, nobody_puts=1),
    *_of("queue-nobody-takes", REPORTS, prior=-1.5, waits=0.5, nobody_takes=1),
    *_of("queue-not-drained", REPORTS, prior=-1.5, parent_joins=0.7, child_leaves=1.5, feeder_writes=2),
    *_of(
        "rank-elsewhere",
        REPORTS,
        prior=-1.2,
        waits=0.8,
        absent=0.3,
        few=0.3,
        absent_moves=-3,
        undecided=-0.8,
        absent_waits=0.3,
        hung=0.5,
        behind=0.9,
    ),
    *_of("process-circle", REPORTS, prior=-1.2, waits=0.9, hung=0.5, one_of_several=-0.1),
    *_of("process-elsewhere", REPORTS, prior=-1.5, waits=0.8, elsewhere=0.3, waits_itself=0.3, hung=0.5),
    *_of("process-elsewhere", REPORTS, stood_before=0.3, came_later=-0.5, one_of_several=-0.8, sleeps=-0.2, unread=1),
    *_of("rank-elsewhere", ZOO, absent_has_left=-1.6),
    *_of("rank-elsewhere", REPORTS, lock_held=-1),
    *_of("shared-lock-left", REPORTS, prior=-1.5, waits=0.7, nobody_holds=1.5, helper_ended=0.7, others_work=-2),
    *_of("shared-lock-left", JUDGEMENT, may_be_its_own=-1),
    *_of("slow", FAULTS, prior=0, slow=1, gone=-3, far=0.5, lossy=0.3, backlog=0.3, shaped=0.3),
    *_of("stale-lock-file", REPORTS, prior=-1, waits=0.9, nobody_has_it=2, held=-3, hung=0.7, builder=-3, named_so=0.8),
    *_of("stale-lock-file", REPORTS, makes=2),
    *_of("subprocess-pipe-full", ZOO, prior=-2, parent_waits=1, child_in_pipe=3.5, child_writes=0.7),
    *_of("subprocess-pipe-full", REPORTS, parent_has_end=0.7, reads_another=0),
    *(weight for family in LOGS for weight in _of(f"log-{family}", JUDGEMENT, prior=-1.5, states=2.6, hints=1.2)),
    *_of("teardown", ZOO, prior=-2, waits=1, not_done=-1, done=0.7, absent_finished=2.5),
    *_of("teardown", REPORTS, tears_down=1.9, awaited=0.3, awaited_locked=-1.5, awaited_moves=-3, pool=-1.5),
    *_of("tf-barrier-short", ZOO, prior=-2.5, waits=0, all_wait=1.2, at_end=-3, in_barrier=3, called_from=1.5),
    *_of("tf-barrier-short", ZOO, waits_elsewhere=-1, alone=-2),
    *_of("tf-chief-left-first", ZOO, prior=-2, asks=1.2, trained_before=1.2, chief_silent=1.5, chief_finished=1.5),
    *_of("tf-chief-left-first", ZOO, dead=-2.5, other_silent=-1),
    *_of("tf-coordinator-worker-lost", ZOO, prior=-2, waits_for_failed=2, program_waits=0.7, workers_left=-2),
    *_of("tf-coordinator-worker-lost", ZOO, no_worker_left=1),
    *_of("tf-data-autotune-pause", ZOO, prior=-1, ends_iterator=2, autotuner_sleeps=1.5, moves=-1.5, too_long=-5),
    *_of("tf-inter-op-pool-exhausted", ZOO, prior=-2.5, several_inside=2, one_inside=0.3, holds_thread=1),
    *_of("tf-inter-op-pool-exhausted", ZOO, pool_works=-3, pool_idle=1, steps_begun=1, one_step=-1.5, hung=0.5),
    *_of("tf-late-recv-after-abort", ZOO, prior=-5.2, waits=0, client_stopped=-6, proven=8, input_ended=3.3),
    *_of("tf-late-recv-after-abort", ZOO, input_not_ended=-2, one_server=-3, server_unseen=-1, not_connected=-3),
    *_of("tf-late-recv-after-abort", ZOO, connections_sound=1, inside_operation=-4, did_not_run=0.5, refuted=-8),
    *_of("tf-late-recv-after-abort", ZOO, servers=0.3, server_gone=-4, both_windows=1, no_operation=0.5),
    *_of("tf-late-recv-after-abort", ZOO, server_hangs=-4, narrow_window=-0.5, windows_closed=-2.5, servers_idle=2),
    *_of("tf-late-recv-after-abort", ZOO, servers_serve=1.5, server_busy=-1),
    *_of("tf-queue-full", REPORTS, prior=-1.5, feeder_waits=1.2, main_joins=1.2, runner=0.3),
    *_of("tf-queue-full", JUDGEMENT, server_gone=-4, on_servers=-1),
    *_of("tf-queue-not-started", ZOO, prior=-1.5, waits=0.7, reader_waits=1.5, no_operation=1, runner=-1.5),
    *_of("tf-queue-not-started", ZOO, dataset=-1.5, no_runner=1, hung=0.5, not_scheduled=0.2, dumped=0),
    *_of("tf-queue-not-started", REPORTS, other_workers=-3, server_gone=-4, server_busy=-3, recorded=-1.5),
    *_of("tf-queue-not-started", REPORTS, fed_before=-3.5, feeds_itself=-2.5),
    *_of("tf-queue-not-started", JUDGEMENT, on_servers=-0.6, server_unseen=-1, several_servers=-1.5),
    *_of("tf-session-close", ZOO, prior=-2, closing=1.5, not_scheduled=1.5, moves=-2, peer_left=1.5, hung=1.5),
    *_of("tf-session-close", ZOO, inside_operation=-1.5),
    *_of("tf-session-close", REPORTS, peer_dead=-2.5),
    *_of("tf-sync-tokens", ZOO, prior=-2.5, runner_waits=2.2, waits=0.5, steps_alike=1, at_end=-1),
    *_of("tf-sync-tokens", ZOO, worker_finished=2, worker_rests=1.4),
    *_of("tf-sync-tokens", REPORTS, worker_absent=2),
    *_of("throttled", FAULTS, prior=-1.5, throttled=2, slow=1.5, hung=-3),
    *_of("uneven-inputs", ZOO, prior=-2, waits=0.8, barrier=-1.5, one_step_more=1.5),
    *_of("uneven-inputs", JUDGEMENT, tears_down=-1.5),
)

_TABLE: Mapping[tuple[str, str], Weight] = {(weight.cause, weight.observation): weight for weight in WEIGHTS}


def weight_of(cause: str, observation: str) -> Weight:
    """Raises: KeyError: the table has no such observation."""
    return _TABLE.get((cause, observation)) or _TABLE["*", observation]
