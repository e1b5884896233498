"""A plan as a program that one can read, send to somebody, and run: PyTorch, gloo, CPU, one file."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Sequence
from itertools import groupby

from repro.replay.plan import Call, Plan, RankPlan, Stand

READY = "stands:"
"""What a rank prints, behind its number, when only its last wait is left."""

_OPS = {
    "all_reduce": "dist.all_reduce(torch.ones(n), group=group, async_op=True)",
    "broadcast": "dist.broadcast(torch.ones(n), group=group, group_src=0, async_op=True)",
    "reduce": "dist.reduce(torch.ones(n), group=group, group_dst=0, async_op=True)",
    "barrier": "dist.barrier(group=group, async_op=True)",
    "all_gather": "dist.all_gather(all_of(group, n), torch.ones(n), group=group, async_op=True)",
    "all_to_all": "dist.all_to_all(all_of(group, n), all_of(group, n), group=group, async_op=True)",
    "reduce_scatter": "dist.reduce_scatter(torch.ones(n), all_of(group, n), group=group, async_op=True)",
    "gather": "dist.gather(torch.ones(n), first(group, n), group=group, group_dst=0, async_op=True)",
    "scatter": "dist.scatter(torch.ones(n), first(group, n), group=group, group_src=0, async_op=True)",
    "send": "dist.isend(torch.ones(n), peer, group=group)",
    "recv": "dist.irecv(torch.ones(n), peer, group=group)",
}
_ALL_OF = "def all_of(group, n):\n    return [torch.ones(n) for _ in range(group.size())]"
_FIRST = "def first(group, n):\n    return all_of(group, n) if group.rank() == 0 else None"
_ALSO = {
    name: op
    for op, names in {
        "all_reduce": "allreduce allreduce_coalesced",
        "all_gather": "allgather allgather_coalesced _allgather_base _all_gather_base all_gather_into_tensor "
        "all_gather_into_tensor_coalesced allgather_into_tensor_coalesced",
        "reduce_scatter": "_reduce_scatter_base reduce_scatter_tensor reduce_scatter_tensor_coalesced",
        "all_to_all": "alltoall alltoall_base all_to_all_single",
        "barrier": "all_reduce_barrier monitored_barrier",
    }.items()
    for name in names.split()
}
"""What logs, dumps and rings of gloo and NCCL call the same operation."""

_STUBS = {
    Stand.SLEEP: "time.sleep(1e9)",
    Stand.LOCK: "lock = threading.Lock()\n"
    "    threading.Thread(target=lambda: lock.acquire() and time.sleep(1e9), daemon=True).start()\n"
    "    while not lock.locked(): time.sleep(0.01)\n"
    "    lock.acquire()  # another thread has it",
    Stand.NOTICE: "threading.Event().wait()  # nobody sets it",
    Stand.READ: "with socket.create_server(('127.0.0.1', 0)) as quiet:\n"
    "        socket.create_connection(quiet.getsockname()).recv(1)  # nobody answers",
    Stand.BUSY: "while True: pass",
    Stand.EXIT: "time.sleep(1e9)  # it had ended: gloo would tell the others, so it stays and does nothing",
}

_HEAD = '''"""{title}

    python {name}    # {world} ranks on this machine (PyTorch, gloo, CPU); Ctrl-C ends them
{notes}"""
import datetime, os, socket, subprocess, sys{imports}

import torch
import torch.distributed as dist

WORLD = {world}
GROUPS = {groups}
'''
_TAIL = """

def main(rank):
    play = {choose}
{early}    dist.init_process_group("gloo", timeout=datetime.timedelta(days=1))
    group = {{
        name: dist.group.WORLD if name == "default_pg" else dist.new_group(ranks, group_desc=name)
        for name, ranks in GROUPS.items()
    }}
    play(group)


if "RANK" in os.environ:
    main(int(os.environ["RANK"]))
else:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    world = {{**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(WORLD)}}
    ranks = [subprocess.Popen([sys.executable, __file__], env={{**world, "RANK": str(r)}}) for r in {ranks}]
    try:
        sys.exit(max(rank.wait() for rank in ranks))
    finally:
        for rank in ranks:
            rank.kill()
"""


def quoted(text: str) -> str:
    """A string of Python, in double quotes."""
    return json.dumps(text)


def canonical(op: str) -> str:
    """The operation that plays this one: `_allgather_base` is an `all_gather`; what is not known, an `all_reduce`."""
    name = _ALSO.get(op.lower(), op.lower())
    return name if name in _OPS else "all_reduce"


def program_of(plan: Plan, title: str, name: str = "replay.py", origin: Sequence[int] = ()) -> str:
    """The text of the program. `origin`: which rank of the job each rank plays, where ranks were left out."""
    kinds = _kinds(plan)
    used = sorted({canonical(call.op) for one in plan.ranks for call in one.calls})
    stands = {plan.ranks[rank].stand for rank in plan.started}
    imports = ", threading" * bool(stands & {Stand.LOCK, Stand.NOTICE})
    imports += ", time" * bool(stands & {Stand.SLEEP, Stand.EXIT, Stand.LOCK})
    helpers = [_ALL_OF] * bool({"all_gather", "all_to_all", "reduce_scatter", "gather", "scatter"} & {*used})
    helpers += [_FIRST] * bool({"gather", "scatter"} & {*used})
    members = "".join(f"    {quoted(group)}: {list(members)!r},\n" for group, members in plan.groups.items())
    groups = f"{{\n{members}}}" if members else "{}"
    blocks = [
        _HEAD.format(
            title=title, name=name, world=plan.world, imports=imports, groups=groups, notes=_notes(plan, origin)
        ),
        *helpers,
        *[_operation(op) for op in used],
        *_stubs(plan),
        *[_rank_function(ranks, plan) for ranks in kinds],
    ]
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n" + _tail(plan, kinds)


def _notes(plan: Plan, origin: Sequence[int]) -> str:
    notes = list(plan.guessed[:4])
    if origin and tuple(origin) != tuple(range(len(origin))):
        notes.insert(0, f"Its ranks play ranks {', '.join(map(str, origin))} of the job; it hangs without the others.")
    return "".join(f"\n{note}\n" for note in notes)


def _kinds(plan: Plan) -> list[list[int]]:
    """Ranks that do the same, together."""
    kinds: dict[object, list[int]] = {}
    for one in (plan.ranks[rank] for rank in plan.started):
        kinds.setdefault((one.calls, one.stand, one.function), []).append(one.rank)
    return list(kinds.values())


def _operation(op: str) -> str:
    peer = "peer, " if op in ("send", "recv") else ""
    return f"def {op}(group, {peer}n=4, wait=True):\n    work = {_OPS[op]}\n    return work.wait() if wait else work"


def _stubs(plan: Plan) -> list[str]:
    stubs = {}
    for one in (plan.ranks[rank] for rank in plan.started):
        if one.stand in _STUBS:
            stubs[stub_name(one)] = f"def {stub_name(one)}():  # {one.stand.value}\n    {_STUBS[one.stand]}"
    return list(stubs.values())


def stub_name(one: RankPlan) -> str:
    """Of the function in which a rank stands outside of collectives: as it was called in the job, where that can be."""
    name = re.sub(r"\W", "", one.function.rpartition(".")[2], flags=re.ASCII)
    if not name or name[0].isdigit() or keyword.iskeyword(name) or name in _OPS or name in _TAKEN:
        name = one.stand.name.lower()
        return f"{name}_here"
    return name


_TAKEN = {
    "main", "torch", "dist", "os", "sys", "time", "socket", "subprocess", "datetime", "threading", "all_of", "first",
}  # fmt: skip


def _rank_function(ranks: Sequence[int], plan: Plan) -> str:
    one = plan.ranks[ranks[0]]
    lines = [f"def {_function(ranks)}(group):"]
    waits = len(one.calls) - 1 if one.stand is Stand.COLLECTIVE else -1
    runs = [list(run) for _, run in groupby(enumerate(one.calls), lambda pair: _unnumbered(pair[1], pair[0] == waits))]
    for run in runs:
        final = run[-1][0] == waits
        if final:
            lines.append(_say(one, run[-1][1]))
        lines += _calls([call for _, call in run], final)
    if one.stand in _STUBS:
        lines += [_say(one), f"    {stub_name(one)}()"]
    return "\n".join(lines if len(lines) > 1 else [*lines, "    pass"])


def _say(one: RankPlan, call: Call | None = None) -> str:
    where = f"{call.op} {call.number} of {call.group}" if call else stub_name(one)
    return f'    print(os.environ["RANK"], "{READY}", {quoted(where)}, flush=True)'


def _unnumbered(call: Call, alone: bool) -> object:
    return (call._replace(number=0), alone)


def _calls(calls: Sequence[Call], final: bool) -> list[str]:
    call, op = calls[0], canonical(calls[0].op)
    peer = f", {call.peer}" if op in ("send", "recv") else ""
    size = "" if op == "barrier" else f", n={call.elements}"
    wait = "" if call.returns or final else ", wait=False"
    text = f"{op}(group[{quoted(call.group)}]{peer}{size}{wait})"
    numbers = f"{call.number}" if len(calls) == 1 else f"{call.number} to {calls[-1].number}"
    note = (
        f"  # number {numbers}"
        + (f", {call.op}" if call.op.lower() != op else "")
        + (": it waits here" if final else "")
    )
    if len(calls) == 1:
        return [f"    {text}{note}"]
    return [f"    for _ in range({len(calls)}):{note}", f"        {text}"]


def _function(ranks: Sequence[int]) -> str:
    if len(ranks) == 1:
        return f"rank_{ranks[0]}"
    return "ranks_" + "_".join(map(str, ranks[:4])) + (f"_and_{len(ranks) - 4}_more" if len(ranks) > 4 else "")


_JOINS = """    print(rank, "{ready}", "before init_process_group", flush=True)
"""
_ELSEWHERE = """    if rank in {ranks}:
        return play({{}})
"""


def _tail(plan: Plan, kinds: Sequence[Sequence[int]]) -> str:
    elsewhere = [rank for rank in plan.started if plan.ranks[rank].stand is not Stand.JOIN]
    early = _JOINS.format(ready=READY) * plan.forms
    early += _ELSEWHERE.format(ranks=elsewhere) * (plan.forms and bool(elsewhere))
    choose = ", ".join(f"{rank}: {_function(ranks)}" for ranks in kinds for rank in ranks if rank in plan.started)
    ranks = list(plan.started) if len(plan.started) < plan.world else "range(WORLD)"
    return _TAIL.format(early=early, choose=f"{{{choose}}}[rank]", ranks=ranks)
