"""Ranks by the shape of command lines, whatever the flags are called: role, index, lists of hosts. Pure.

`train.py ps 0 1 2 7000` says its rank by position, `--kind=trainer --nr=1` by flags of the user's own. Where several
processes run one program with different words, the number in which they differ is the index, and the word is the role.
A process alone is believed only where a word that is a role stands right before its number, or names speak.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from diagnostics.discover.addresses import port_of
from diagnostics.discover.cluster_spec import Addresses, index_of
from diagnostics.model import Record

ROLES = {
    "ps": "ps", "server": "ps", "pserver": "ps", "paramserver": "ps", "parameterserver": "ps", "parameter_server": "ps",
    "param_server": "ps", "worker": "worker", "trainer": "worker", "chief": "chief", "master": "master",
    "evaluator": "evaluator", "eval": "evaluator", "scheduler": "scheduler",
}  # fmt: skip
"""Words for a role, and what TensorFlow and MXNet call it."""

_INDEX_NAME = re.compile(
    r"^(?:(?:task|job|worker|node|proc|process|machine|replica|host|trainer|server|global|local|dist|gpu)_?)?"
    r"(?:rank|index|idx|id|nr|num|no|number)$|^(?:node|machine)$"
)
_SIZE_NAME = re.compile(
    r"^(?:n|num_?|number_of_)(?:nodes|procs|processes|ranks|machines|hosts|replicas)$|^world(?:_?size)?$"
)
_NO_INDEX = re.compile(r"seed|port|epoch|step|batch|lr|fold|layer|size|iter|gpus$|devices$|level|timeout")
_TASK = re.compile(r"^(?:/job:)?([a-zA-Z_]+)(?:[-:/.]|/task:)(\d+)$")
_ADDRESS = re.compile(r"^(?:tcp://)?(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})$")
_PROGRAM = re.compile(r"(?:^|/)(?:python|pypy)[\d.]*$")
MAX_ALIKE = 4096
_FIRST_PORT = 1024
"""What users give their servers; as an index of one process, with nothing to compare it to, it is not believed."""


class Shaped(Record, frozen=True):
    """What its command line says of a process. `lists`: of hosts, each with the role that its flag names, or ""."""

    pid: int
    role: str = ""
    index: int = -1
    size: int = 0
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    address: str = ""  # the only one that is there: where all meet
    bare: bool = False  # a number alone, without a flag or a role: that the first is 0 is not said

    @property
    def rank(self) -> str:
        return f"{self.role or 'worker'}:{self.index}" if self.index >= 0 else ""


def program_of(command: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The script, module or program, and the words behind it; `("", ())` for `python -c` and nothing."""
    words = list(command)
    if not words or not _PROGRAM.search(words[0]):
        return (words[0], tuple(words[1:])) if words else ("", ())
    for at, word in enumerate(words[1:], 1):
        if word == "-c":
            return "", ()
        if word == "-m":
            return (words[at + 1], tuple(words[at + 2 :])) if at + 1 < len(words) else ("", ())
        if not word.startswith("-"):
            return word, tuple(words[at + 1 :])
    return "", ()


def shaped(commands: Mapping[int, Sequence[str]]) -> dict[int, Shaped]:
    """What the command lines of these processes say, those of one program compared with each other."""
    alike: dict[tuple[str, int], dict[int, list[tuple[str, str]]]] = defaultdict(dict)
    for pid, command in commands.items():
        program, words = program_of(command)
        if program:
            cells = _cells(words)
            alike[program, len(cells)][pid] = cells
    found = {}
    for group in alike.values():
        index_at, role_at = _differences(group) if 1 < len(group) <= MAX_ALIKE else (-1, -1)
        for pid, cells in group.items():
            found[pid] = _one(pid, cells, index_at, role_at)
    return found


def _cells(words: Sequence[str]) -> list[tuple[str, str]]:
    """`(flag, value)`; positional words have no flag, a switch no value."""
    cells: list[tuple[str, str]] = []
    waiting = ""
    for word in words:
        if word.startswith("-") and index_of(word[1:]) is None:
            if waiting:
                cells.append((waiting, ""))
            name, sign, value = word.lstrip("-").partition("=")
            waiting = "" if sign else name.replace("-", "_").lower()
            if sign:
                cells.append((name.replace("-", "_").lower(), value))
        elif (task := _TASK.match(word)) and _role(task[1]):  # `ps-0`, `worker:1`
            cells += [(waiting, task[1]), ("", task[2])]
            waiting = ""
        else:
            cells.append((waiting, word))
            waiting = ""
    return cells + ([(waiting, "")] if waiting else [])


def _differences(group: Mapping[int, list[tuple[str, str]]]) -> tuple[int, int]:
    """Which cell is the index and which the role, -1 for neither: where the processes of one program differ."""
    rows = list(group.values())
    columns = [(at, [row[at][1] for row in rows]) for at in range(len(rows[0]))]
    roles = [at for at, words in columns if all(_role(word) for word in words)]
    role_at = roles[0] if len(roles) == 1 else -1
    kinds = [rows[n][role_at][1] if role_at >= 0 else "" for n in range(len(rows))]
    numbers = [at for at, words in columns if _counts(words, kinds) and not _NO_INDEX.search(rows[0][at][0])]
    return (numbers[0] if len(numbers) == 1 else -1), role_at


def _counts(words: Sequence[str], kinds: Sequence[str]) -> bool:
    """Whether these are indices: small numbers, no two alike of one role."""
    numbers = [index_of(word) for word in words]
    small = all(number is not None and number < 4 * len(words) + 8 for number in numbers)
    return small and len(set(zip(kinds, numbers, strict=True))) == len(words) and (len(set(words)) > 1 or any(kinds))


def _role(word: str) -> str:
    return ROLES.get(word.lower().replace("-", "_"), "")


def _one(pid: int, cells: list[tuple[str, str]], index_at: int, role_at: int) -> Shaped:
    if role_at < 0:
        role_at = next((at for at, (_, word) in enumerate(cells) if _role(word)), -1)
    if index_at < 0:
        index_at = _own_index(cells, role_at)
    lists = tuple((_list_role(flag), parts) for flag, word in cells if (parts := _hosts(word)))
    return Shaped(
        pid=pid,
        role=_role(cells[role_at][1]) if role_at >= 0 else "",
        index=index_of(cells[index_at][1]) or 0 if index_at >= 0 else -1,
        size=next((index_of(word) or 0 for flag, word in cells if _SIZE_NAME.match(flag)), 0),
        lists=lists,
        bare=index_at >= 0 and role_at < 0 and not cells[index_at][0],
        address=lists[0][1][0] if len(lists) == 1 and len(lists[0][1]) == 1 else "",
    )


def _own_index(cells: list[tuple[str, str]], role_at: int) -> int:
    """By name, or right behind the word that is the role."""
    for at, (flag, word) in enumerate(cells):
        if _INDEX_NAME.match(flag) and index_of(word) is not None:
            return at
    behind = role_at + 1
    if 0 < behind < len(cells) and not cells[behind][0]:
        number = index_of(cells[behind][1])
        if number is not None and number < _FIRST_PORT:
            return behind
    return -1


def _hosts(word: str) -> tuple[str, ...]:
    """The addresses in `h:1,h:2`, () where it is anything else."""
    parts = word.split(",")
    matches = [_ADDRESS.match(part) for part in parts[:MAX_ALIKE]]
    return tuple(f"{match[1]}:{match[2]}" for match in matches if match) if all(matches) else ()


def _list_role(flag: str) -> str:
    """`ps_hosts`, `servers`, `worker_addresses` -> the role that they list."""
    stem = re.sub(r"_(?:hosts?|addr\w*|list|nodes|machines|ips)$", "", flag)
    return _role(stem) or _role(stem.removesuffix("s"))


def cluster_of(members: Sequence[Shaped], listens: Mapping[int, Sequence[str]]) -> Addresses:
    """The addresses of all ranks, where these processes were given lists of them.

    A list without a name is that of the role whose members serve the addresses in it, or of the only role left.
    """
    lists = max((member.lists for member in members), key=len, default=())
    if not lists or any(member.lists and member.lists != lists for member in members) or _only_meeting(members):
        return ()
    ports = {(m.role or "worker", m.index): {port_of(a) for a in listens.get(m.pid, ())} for m in members}
    roles = [role or _served_by(hosts, ports) for role, hosts in lists]
    spare = [role for role, _ in dict.fromkeys(ports) if role not in roles]
    if roles.count("") == 1 and len(set(spare)) == 1:
        roles[roles.index("")] = spare[0]
    if "" in roles or len(set(roles)) < len(roles):
        return ()
    pairs = zip(roles, lists, strict=True)
    return tuple(sorted((f"{role}:{n}", host) for role, (_, hosts) in pairs for n, host in enumerate(hosts)))


def _only_meeting(members: Sequence[Shaped]) -> bool:
    """One address and no role: where all meet, not a list of tasks."""
    return any(member.address and not member.role for member in members)


def _served_by(hosts: Sequence[str], ports: Mapping[tuple[str, int], set[str]]) -> str:
    for (role, index), served in ports.items():
        if 0 <= index < len(hosts) and port_of(hosts[index]) in served:
            return role
    return ""
