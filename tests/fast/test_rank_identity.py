"""Who a process is when it does not say so: by the shape of command lines, the order of start, and what is served."""

from __future__ import annotations

import pytest

from diagnostics.discover.addresses import is_local
from diagnostics.discover.identity import identity_of
from diagnostics.discover.jobs import Job, find_jobs
from diagnostics.discover.scan import Seen
from diagnostics.discover.selectors import choose
from diagnostics.discover.shapes import shaped
from diagnostics.model.rank import launcher, parse


def python(words: str) -> tuple[str, ...]:
    return ("/usr/bin/python3", *words.split())


def ranks(job: Job) -> dict[int, str]:
    return {member.pid: member.rank for member in job.members}


def joined(*commands: str, framework: str = "torch", port: int = 7000) -> list[Seen]:
    """Processes that are all connected to the first."""
    first = Seen(100, 1, 0, python(commands[0]), framework=framework, listens=(f"127.0.0.1:{port}",))
    links = [(f"127.0.0.1:{40000 + n}", f"127.0.0.1:{port}") for n in range(1, len(commands))]
    first = Seen(
        100, 1, 0, python(commands[0]), framework=framework, listens=first.listens, links=tuple(x[::-1] for x in links)
    )
    rest = [
        Seen(100 + n, 1, 0, python(words), framework=framework, links=(links[n - 1],), started=n)
        for n, words in enumerate(commands[1:], 1)
    ]
    return [first, *rest]


@pytest.mark.parametrize(
    ("commands", "found"),
    [
        (("t.py ps 0 1 2 7000", "t.py worker 0 1 2 7000", "t.py worker 1 1 2 7000"), ("ps:0", "worker:0", "worker:1")),
        (("-u ddp.py uneven 0 7000", "-u ddp.py uneven 1 7000"), ("worker:0", "worker:1")),
        (("t.py --gpu-id=0 --lr 0.1", "t.py --gpu-id=1 --lr 0.1"), ("worker:0", "worker:1")),
        (("-m pkg.t --me 1 --rdv h:7000", "-m pkg.t --me 2 --rdv h:7000"), ("worker:1", "worker:2")),
        (("t.py c.json ps-0", "t.py c.json worker-0"), ("ps:0", "worker:0")),
        (("t.py --kind server --nr 0", "t.py --kind trainer --nr 0"), ("ps:0", "worker:0")),
        (("t.py --task_index 3",), ("worker:3",)),
        # Not ranks: two experiments, two ports, one number that could be anything.
        (("t.py --seed 1", "t.py --seed 2"), ("", "")),
        (("t.py --port 7001", "t.py --port 7002"), ("", "")),
        (("t.py --lr 0.1", "t.py --lr 0.2"), ("", "")),
        (("t.py 1 7000",), ("",)),
        (("t.py ps 31016 31017",), ("",)),  # its own port, and another's
        (("t.py 1 5", "t.py 2 6"), ("", "")),
    ],
)
def test_what_the_shape_of_command_lines_tells(commands: tuple[str, ...], found: tuple[str, ...]) -> None:
    by_shape = shaped({n: python(words) for n, words in enumerate(commands)})
    assert tuple(by_shape[n].rank for n in range(len(commands))) == found


def test_lists_of_hosts_of_any_name_are_the_cluster_and_who_does_not_serve_its_own_address_is_absent() -> None:
    words = "t.py {} {} --servers 127.0.0.1:7000,127.0.0.1:7001 --trainers 127.0.0.1:7002"
    seen = joined(words.format("server", 0), words.format("trainer", 0), framework="tensorflow")
    (job,) = find_jobs([seen[0], seen[1]])
    assert ranks(job) == {100: "ps:0", 101: "worker:0"}
    assert job.expected == ("ps:0", "ps:1", "worker:0")
    assert "ps:1" in job.absent and "ps:0" not in job.absent and "worker:0" not in job.absent
    assert "ps:1" in choose(["100", "101"], seen, [job]).expected, "a dead rank is missed, also by those named by pid"


def test_a_job_of_thousands_is_told_whole() -> None:
    servers = ",".join(f"127.0.0.1:{port}" for port in range(20_000, 24_000))
    (job,) = find_jobs(joined(f"t.py ps 0 --servers {servers}", f"t.py ps 1 --servers {servers}"))
    assert (len(job.expected), len(job.absent)) == (4000, 3998)


def test_a_gap_in_the_indices_is_a_rank_that_has_gone() -> None:
    (job,) = find_jobs(joined("t.py 0 3 7000", "t.py 2 3 7000"))
    assert ranks(job) == {100: "worker:0", 101: "worker:2"} and job.absent == ("worker:1",)


def test_numbers_that_contradict_who_serves_are_no_ranks() -> None:
    """GIVEN the address where all meet, served by the process with number 1, THEN the numbers mean something else."""
    (job,) = find_jobs(joined("t.py --x 1 --at 127.0.0.1:7000", "t.py --x 0 --at 127.0.0.1:7000"))
    assert ranks(job)[101] == "pid:101"


SPAWN = ("python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=4)")
TRACKER = ("python", "-c", "from multiprocessing.resource_tracker import main;main(3)")


def spawned(ended: int = -1) -> list[Seen]:
    """A parent with four children, the first of which serves the store that all use."""
    meeting = "127.0.0.1:7000"
    parent = Seen(10, 1, 0, ("python", "main.py"), framework="torch", started=1)
    tracker = Seen(11, 10, 0, TRACKER, started=2)
    links = {pid: (f"127.0.0.1:{pid}", meeting) for pid in (13, 14, 15)}
    first = Seen(
        12, 10, 0, SPAWN, framework="torch", listens=(meeting,), started=3, links=tuple(x[::-1] for x in links.values())
    )
    rest = [
        Seen(pid, 10, 0, ("python",) if pid == ended else SPAWN, framework="" if pid == ended else "torch",
             links=() if pid == ended else (link,), started=pid, ended=pid == ended)
        for pid, link in links.items()
    ]  # fmt: skip
    return [parent, tracker, first, *rest]


def test_ranks_that_a_program_spawned_are_numbered_in_the_order_of_their_start() -> None:
    (job,) = find_jobs(spawned())
    assert ranks(job) == {
        10: "launcher/10", 12: "worker:0", 13: "worker:1", 14: "worker:2", 15: "worker:3",
    }  # fmt: skip


def test_one_of_them_that_has_ended_keeps_its_number_and_is_known_to_have_ended() -> None:
    (job,) = find_jobs(spawned(ended=13))
    assert [ranks(job)[pid] for pid in (12, 13, 14)] == ["worker:0", "worker:1", "worker:2"]
    assert next(member.why for member in job.members if member.pid == 13).endswith("has ended")


def test_another_program_that_has_ended_takes_no_number() -> None:
    git = Seen(11, 10, -1, ("git",), started=2, ended=True)
    (job,) = find_jobs([*spawned(), git])
    assert ranks(job)[12] == "worker:0" and 11 not in {m.pid for m in job.members if m.rank.startswith("worker")}


def test_a_launchers_pid_is_enough_and_its_tree_is_the_job() -> None:
    seen = spawned()
    chosen = choose(["10"], seen, find_jobs(seen))
    assert [member.rank for member in chosen.members] == [
        "launcher/10", "child/launcher/10/11", "worker:0", "worker:1", "worker:2", "worker:3",
    ]  # fmt: skip
    torchrun = Seen(5, 1, 0, ("/usr/bin/torchrun", "t.py"), framework="torch")
    told = [
        Seen(5 + n, 5, 0, ("python", "-u", "t.py"),
             identity_of({"RANK": str(n - 1), "WORLD_SIZE": "3", "MASTER_PORT": "7", "MASTER_ADDR": "localhost"}, ()))
        for n in (1, 2)
    ]  # fmt: skip
    seen = [torchrun, *told]
    chosen = choose(["5"], seen, find_jobs(seen))
    assert [member.rank for member in chosen.members] == ["launcher/5", "worker:0", "worker:1"]
    assert chosen.expected == ("worker:2",), "it should be here, at an address of this machine"


def test_in_a_job_that_tells_nothing_who_serves_the_meeting_point_is_the_first_rank() -> None:
    (job,) = find_jobs(joined("a.py", "b.py", "c.py"))
    assert ranks(job) == {100: "worker:0", 101: "pid:101", 102: "pid:102"}
    (other,) = find_jobs(joined("a.py", "b.py", "c.py", framework="tensorflow"))
    assert ranks(other)[100] == "pid:100", "only PyTorch has it so"


@pytest.mark.parametrize(
    ("environ", "rank", "size"),
    [
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4"}, "worker:2", 4),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, "worker:1", 2),
        ({"HOROVOD_RANK": "0", "HOROVOD_SIZE": "2"}, "worker:0", 2),
        ({"JAX_PROCESS_ID": "1", "JAX_NUM_PROCESSES": "2", "JAX_COORDINATOR_ADDRESS": "127.0.0.1:9"}, "worker:1", 2),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "9"}, "worker:1", 2),
        ({"RANK": "1", "WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"}, "worker:1", 2),
    ],
)
def test_each_launcher_has_variables_of_its_own(environ: dict[str, str], rank: str, size: int) -> None:
    identity = identity_of(environ, ())
    assert identity and (identity.rank, len(identity.expected)) == (rank, size)


def test_a_rank_beyond_the_size_is_nonsense() -> None:
    assert identity_of({"RANK": "4", "WORLD_SIZE": "4"}, ()) is None
    assert identity_of({"NODE_RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}, ()) is None, "whose share is unknown"


def test_titles_of_serving_engines() -> None:
    one = identity_of({}, ("VLLM::Worker_TP3",))
    two = identity_of({}, ("sglang::scheduler_PP1_TP0",))
    assert one and one.rank == "worker:3"
    assert two and two.rank == "scheduler_PP1_TP0"


def test_a_launcher_is_spelled_and_parsed() -> None:
    assert parse("launcher/10") == launcher(10) and str(launcher(10)) == "launcher/10"
    assert parse("child/launcher/10/11").is_child_of("launcher/10")


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("localhost:1", True), ("127.0.0.7:1", True), ("[::1]:1", True), ("0.0.0.0:1", True), ("node7:1", True),
        ("node7.cluster.example:1", True), ("192.0.2.5:1", True), ("192.0.2.6:1", False), ("node8:1", False),
        ("node7b.cluster.example:1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_of_this_machine(address: str, here: bool) -> None:
    assert is_local(address, frozenset({"node7", "192.0.2.5", "192"})) is here
