"""Which processes make up a job, from what they say and from whom they talk to."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.discover.cluster_spec import addresses_in
from diagnostics.discover.identity import batch_of, identity_of
from diagnostics.discover.jobs import find_jobs
from diagnostics.discover.scan import Seen
from diagnostics.discover.selectors import choose
from diagnostics.errors import UsageError

CLUSTER = {"ps": ["127.0.0.1:2220", "127.0.0.1:2221"], "worker": ["127.0.0.1:2230"]}
PYTHON = ("python", "train.py")


def tf_config(role: str, index: int) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": CLUSTER, "task": {"type": role, "index": index}})}


@pytest.mark.parametrize(
    ("environ", "command", "rank", "job"),
    [
        (tf_config("ps", 1), PYTHON, "ps:1", "tf-"),
        ({"CLUSTER_SPEC": json.dumps(CLUSTER), "JOB_NAME": "worker", "TASK_INDEX": "0"}, PYTHON, "worker:0", "tf-"),
        (
            {},
            ("python", "t.py", "--job_name=ps", "--task_index", "1", "--ps_hosts=a:1,b:2", "--worker_hosts", "c:3"),
            "ps:1",
            "tf-",
        ),
        (
            {"RANK": "3", "WORLD_SIZE": "8", "MASTER_ADDR": "198.18.0.1", "MASTER_PORT": "29500"},
            PYTHON,
            "worker:3",
            "torch-198.18.0.1:29500",
        ),
        ({"SLURM_JOB_ID": "77", "SLURM_PROCID": "5", "SLURM_NTASKS": "6"}, PYTHON, "worker:5", "slurm-77"),
        (
            {"CONTAINER_ID": "container_e17_1410901177871_0001_01_000005"},
            PYTHON,
            "container:5",
            "yarn-1410901177871_0001",
        ),
    ],
)
def test_each_way_in_which_a_process_says_its_rank(
    environ: dict[str, str], command: tuple[str, ...], rank: str, job: str
) -> None:
    identity = identity_of(environ, command)
    assert identity and identity.rank == rank and identity.job.startswith(job)


def test_containers_are_known_by_their_control_group() -> None:
    docker = identity_of({}, PYTHON, "0::/system.slice/docker-" + "ab" * 32 + ".scope")
    pod = identity_of(
        {"HOSTNAME": "mnist-worker-2"}, PYTHON,
        "0::/kubepods/burstable/pod12345678-1234-1234-1234-123456789abc/" + "cd" * 32,
    )  # fmt: skip
    assert docker and docker.job == "docker-abababababab"
    for place in ("machine.slice/libpod-{}.scope", "libpod_parent/libpod-{}", "user.slice/x/libpod-{}.scope/container"):
        podman = identity_of({}, PYTHON, f"0::/{place.format('ef' * 32)}")
        assert podman and podman.job == "podman-efefefefefef"
    assert pod and (pod.job, pod.rank) == ("pod-mnist", "worker:2")


def test_a_sparse_cluster_keeps_its_indices() -> None:
    assert addresses_in({"worker": {"3": "h:1"}}) == (("worker:3", "h:1"),)


@given(st.text(), st.lists(st.text()))
def test_nonsense_claims_nothing_and_breaks_nothing(text: str, command: list[str]) -> None:
    identity_of({"TF_CONFIG": text, "CLUSTER_SPEC": text, "RANK": text, "WORLD_SIZE": text}, command, text)


def test_who_serves_the_address_of_a_rank_is_that_rank() -> None:
    """GIVEN a server that says nothing, THEN its port tells which one it is."""
    worker = Seen(10, 1, 0, PYTHON, identity_of(tf_config("worker", 0), PYTHON), listens=("127.0.0.1:2230",))
    silent = Seen(11, 1, 0, ("./serve",), listens=("0.0.0.0:2221",))
    (job,) = find_jobs([worker, silent])
    assert {member.pid: member.rank for member in job.members} == {10: "worker:0", 11: "ps:1"}
    assert job.missing == ("ps:0",)
    assert (job.elsewhere, job.absent) == ((), ("ps:0",)), "nobody serves the address that it should have here"


def test_children_and_launchers_are_not_ranks() -> None:
    """GIVEN a shell that starts a rank that forks a loader, all with the same environment, THEN one rank, one child."""
    identity = identity_of({"RANK": "0", "WORLD_SIZE": "1"}, PYTHON)
    shell = Seen(20, 1, 0, ("/bin/bash", "run.sh"), identity)
    rank = Seen(21, 20, 0, PYTHON, identity)
    loader = Seen(22, 21, 0, PYTHON, identity)
    (job,) = find_jobs([shell, rank, loader])
    assert [(member.pid, member.rank) for member in job.members] == [(21, "worker:0"), (22, "child/worker:0/22")]


def test_what_a_rank_has_forked_is_its_child_also_where_it_has_connections_of_its_own() -> None:
    """GIVEN torchrun, two ranks, and a helper of the first that has its environment and serves a socket."""
    torchrun = Seen(50, 1, 0, ("python", "/usr/bin/torchrun", "train.py"), framework="torch", listens=("[::]:29500",))
    said = [
        identity_of({"RANK": str(n), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}, PYTHON)
        for n in (0, 1)
    ]
    links = [((f"127.0.0.1:{5000 + n}", "127.0.0.1:29500"),) for n in (0, 1)]
    ranks = [Seen(51 + n, 50, 0, PYTHON, said[n], framework="torch", links=links[n]) for n in (0, 1)]
    own = ("127.0.0.1:7000", "127.0.0.1:7001")
    helper = Seen(60, 51, 0, PYTHON, said[0], framework="torch", links=(own, *links[0]), listens=(own[0],))
    named = {member.pid: member.rank for job in find_jobs([torchrun, *ranks, helper]) for member in job.members}
    assert (named[51], named[52], named[60]) == ("worker:0", "worker:1", "child/worker:0/60")


@pytest.mark.parametrize(("away", "absent"), [(False, ("worker:2",)), (True, ())])
def test_who_is_connected_to_nobody_else_has_no_ranks_elsewhere(away: bool, absent: tuple[str, ...]) -> None:
    """GIVEN two ranks of three that meet where only the program knows, THEN the third one is neither here nor there."""
    said = [identity_of({"RANK": str(n), "WORLD_SIZE": "3"}, PYTHON) for n in (0, 1)]
    link = ("127.0.0.1:29714", "127.0.0.1:40000")
    more = (("198.18.0.1:29714", "198.18.0.2:40001"),) if away else ()
    ranks = [
        Seen(51, 50, 0, PYTHON, said[0], links=(link, *more)), Seen(52, 50, 0, PYTHON, said[1], links=(link[::-1],))
    ]  # fmt: skip
    (job,) = find_jobs(ranks)
    assert job.absent == absent


def test_peers_without_a_name_are_offered() -> None:
    identity = identity_of({"RANK": "0", "WORLD_SIZE": "1"}, PYTHON)
    rank = Seen(
        30, 1, 0, PYTHON, identity, links=(("127.0.0.1:40000", "127.0.0.1:7077"), ("198.18.0.1:4", "198.18.0.9:53"))
    )
    helper = Seen(31, 1, 0, ("./store",), listens=("127.0.0.1:7077",), links=(("127.0.0.1:7077", "127.0.0.1:40000"),))
    (job,) = find_jobs([rank, helper])
    assert [(peer.address, peer.pid) for peer in job.peers] == [("198.18.0.9:53", 0), ("pid 31", 31)]


def test_processes_that_claim_nothing_are_joined_by_their_connections() -> None:
    left = Seen(40, 1, 0, PYTHON, framework="torch", links=(("127.0.0.1:1", "127.0.0.1:2"),))
    right = Seen(41, 1, 0, PYTHON, framework="torch", links=(("127.0.0.1:2", "127.0.0.1:1"),))
    alone = Seen(42, 1, 0, PYTHON, framework="torch")
    assert [[m.pid for m in job.members] for job in find_jobs([left, right, alone])] == [[40, 41], [42]]


def test_a_data_loaders_worker_is_a_child_and_a_rank_that_the_program_started_is_none() -> None:
    link = ("127.0.0.1:40", "127.0.0.1:50")
    trainer = Seen(10, 1, 0, ("python", "train.py"), framework="torch", links=(link,))
    worker = Seen(11, 10, 0, ("python", "train.py"), framework="torch", links=(link,))
    rank = Seen(12, 10, 0, ("python", "-c", "spawn_main"), framework="torch", links=(link[::-1],), listens=(link[1],))
    (job,) = find_jobs([trainer, worker, rank])
    assert {member.pid: member.rank for member in job.members} == {
        10: "pid:10", 11: "child/pid:10/11", 12: "pid:12",
    }  # fmt: skip


def test_an_allocation_is_known_by_its_number_whatever_names_the_ranks() -> None:
    """GIVEN torchrun in a job of Slurm beside another job, THEN its number chooses the ranks, not what starts them."""
    slurm = {"SLURM_JOB_ID": "77", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}
    torch = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}

    def seen(pid: int, parent: int, environ: dict[str, str], *command: str) -> Seen:
        return Seen(pid, parent, 0, command, identity=identity_of(environ, command), batch=batch_of(environ))

    processes = [
        seen(10, 1, slurm, "/bin/bash", "slurm_script"),
        seen(11, 10, slurm, "python", "/usr/bin/torchrun", "train.py"),
        seen(12, 11, {**slurm, **torch}, "python", "train.py"),
        seen(20, 1, {**slurm, "SLURM_JOB_ID": "78"}, "python", "train.py"),
    ]
    chosen = choose(["slurm:77"], processes, find_jobs(processes))
    assert [(member.pid, member.rank) for member in chosen.members] == [(12, "worker:0")]
    with pytest.raises(UsageError, match="no process of slurm:79"):
        choose(["slurm:79"], processes, find_jobs(processes))


def test_an_application_of_yarn_is_known_by_its_containers() -> None:
    environ = {"CONTAINER_ID": "container_e17_1410901177871_0001_01_000005"}
    one = Seen(10, 1, 0, PYTHON, identity=identity_of(environ, PYTHON), batch=batch_of(environ))
    chosen = choose(["yarn:application_1410901177871_0001"], [one], find_jobs([one]))
    assert [member.pid for member in chosen.members] == [10]


@pytest.mark.parametrize(("status", "taken"), [(-9, True), (1, True), (0, False), (None, False)])
def test_a_helper_that_did_not_end_well_is_looked_at_while_its_entry_is_left(status: int | None, taken: bool) -> None:
    """GIVEN children that have ended, THEN those are taken along that failed: others may wait for what they owe."""
    trainer = Seen(10, 1, 0, PYTHON)
    ended = Seen(11, 10, 0, ("python",), ended=True, status=status)
    chosen = choose(["10"], [trainer, ended], find_jobs([trainer, ended]))
    assert ("child/pid:10/11" in [member.rank for member in chosen.members]) is taken
