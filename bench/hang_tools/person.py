"""How a competent person reads stacks that are nothing but text: who differs, in which function, what it looks like.

Every tool that only gives stacks gets this reading. It knows what an hour of searching the web tells, and is without
the tables of `diagnostics` on purpose:

1. Take the stacks twice, some seconds apart: where no main thread has moved, it hangs.
2. A launcher (it has children here, and waits for them) is no rank.
3. Ranks that stand in a collective (a backward pass has some), a file's lock or a step on other ranks wait for
   somebody. Those that do not are it; of several kinds of these the rarest. Where all wait, or none, the smallest group
   of equal stacks is it; of groups of equal size, none.
4. The function is the innermost one whose file is no library's.
5. The family is told by words in the stacks, `FAMILIES`, the first that fits.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from diagnostics.model import Frame, Thread
from hang_tools.form import Answer

Stacks = Mapping[int, tuple[Thread, ...]]
"""Of each process its threads, the main one first; frames outermost first."""

_WAITS = re.compile(
    r"all_?reduce|all_?gather|reduce_scatter|broadcast|barrier|all_to_all|\brecv\b|Work::wait|ProcessGroup|gloo::"
    r"|init_process_group|rendezvous|_store_|TCPStore|GrpcServer|Server::Join|server_lib.*join|TF_SessionRun"
    r"|_call_tf_session|sync_global|wait_at_barrier|rpc_sync|flock|lockf|filelock|run_backward|Reducer",
    re.I,
)
_OPERATION = re.compile(r"\b(all_reduce|all_gather|reduce_scatter|broadcast|barrier|all_to_all|reduce|gather|scatter)")
_CHILD = re.compile(r"waitpid|wait4|\bpoll\b|\bwait\b|join|monitor|_run\b|select", re.I)
_LOCK = re.compile(r"acquire|__enter__|_?lock\b|lll_lock|sem_wait|mutex", re.I)

FAMILIES = (
    ("fork-with-threads", r"os_fork|_bootstrap.*(lock|acquire)|in the child of a fork"),
    ("dataloader-worker", r"_try_get_data|_worker_loop|_MultiProcessingDataLoaderIter"),
    ("peer-startup", r"init_process_group|rendezvous|_wait_for_session|create_session|TCPStore|CreateSession"),
    ("stale-lock-file", r"filelock|file_baton|lockfile|O_EXCL"),
    ("file-lock-held", r"flock|lockf"),
    ("pipe-full", r"communicate|subprocess.*write|\bos\.write\b|pipe_write"),
    ("queue-full", r"\bput\b|enqueue"),
    ("queue-not-started", r"dequeue|QueueDequeue"),
    ("thread-pool-exhaustion", r"_WorkItem.*result|concurrent.*run .*\bresult\b"),
    ("gil-deadlock", r"take_gil|PyGILState_Ensure"),
    ("teardown", r"_shutdown|_exit_function|_run_exitfuncs|__del__|destroy_process_group|atexit"),
    ("helper-process-dead", r"pool\.py.*(get|wait)|ApplyResult"),
    ("input-stall", r"get_next|IteratorGetNext|\brecv_into\b|\breadinto\b|\breadline\b|urlopen|getresponse|\bread\b"),
    ("lost-wakeup", r"Condition|threading\.py.*wait|queue\.py.*get|pthread_cond_wait"),
)

_ALONE = ("input-stall", "lost-wakeup")
"""Families that are only told where the rank waits for no other."""


def place(threads: Sequence[Thread]) -> str:
    """Where the main thread stands: its innermost function, file and line."""
    if not threads or not threads[0].frames:
        return ""
    inner = threads[0].frames[-1]
    return f"{inner.function} {inner.file}:{inner.line}"


def own(frame: Frame) -> bool:
    """Whether the frame is the user's, by its file's path."""
    library = r"site-packages|dist-packages|/lib/python|<frozen|sysdeps|^\./|^\.\./|\.so|^Python/|^Objects/|^Modules/"
    return bool(frame.file) and not re.search(library, frame.file)


def function_of(threads: Sequence[Thread]) -> str:
    frames = [frame for frame in (threads[0].frames if threads else ()) if own(frame)]
    return frames[-1].function if frames else ""


def text_of(threads: Sequence[Thread]) -> str:
    return "\n".join(f"{frame.file} {frame.function}" for thread in threads[:1] for frame in thread.frames)


def is_launcher(pid: int, threads: Sequence[Thread], parents: Mapping[int, int]) -> bool:
    has_children = pid in parents.values()
    inner = " ".join(frame.function for frame in (threads[0].frames[-6:] if threads else ()))
    return has_children and bool(_CHILD.search(inner)) and not _WAITS.search(text_of(threads))


def rarest(stacks: Stacks) -> list[int]:
    """The smallest group of equal places; none where it is not one alone."""
    groups: dict[str, list[int]] = defaultdict(list)
    for pid, threads in stacks.items():
        groups[place(threads)].append(pid)
    sizes = sorted(map(len, groups.values()))
    alone = len(sizes) > 1 and sizes[0] < sizes[1]
    return min(groups.values(), key=len) if alone else []


def culprits(stacks: Stacks) -> list[int]:
    free = {pid: threads for pid, threads in stacks.items() if not _WAITS.search(text_of(threads))}
    if len(stacks) == 1:
        return list(stacks)
    if free and len(free) < len(stacks):
        return rarest(free) or list(free)
    return rarest(stacks)


def _two_locks(threads: Sequence[Thread]) -> bool:
    waiting = [t for t in threads if t.frames and any(_LOCK.search(frame.function) for frame in t.frames[-2:])]
    return len(waiting) > 1


def family(stacks: Stacks, guilty: Sequence[int]) -> str:
    """By words in the stacks of whoever holds up the others; "" where none fits."""
    for pid in guilty:
        if _two_locks(stacks[pid]):
            return "lock-order"
    texts = {pid: text_of(threads) for pid, threads in stacks.items()}
    waiting = {pid for pid, text in texts.items() if _WAITS.search(text)}
    operations = {found[1] for text in texts.values() if (found := _OPERATION.search(text))}
    if waiting == stacks.keys() and len(operations) > 1:
        return "collective-mismatch"
    of_these = " ".join(texts[pid] for pid in guilty or stacks).replace("\n", " ")
    for name, words in FAMILIES:
        if re.search(words, of_these) and not (name in _ALONE and _WAITS.search(of_these)):
            return name
    return "rank-elsewhere" if guilty and waiting and not waiting & set(guilty) else ""


def read(first: Stacks, second: Stacks | None, parents: Mapping[int, int], by_words: bool = True) -> Answer:
    """What the person says of stacks taken once or twice. Without `by_words` it only merges: the rarest stack is it."""
    if not any(threads and threads[0].frames for threads in first.values()):
        return Answer(abstained=True, why="no stack could be read")
    ranks = {pid: threads for pid, threads in first.items() if not is_launcher(pid, threads, parents)} or first
    hung = None
    if second is not None:
        hung = all(place(second.get(pid, ())) == place(threads) for pid, threads in ranks.items())
    if hung is False:
        return Answer(hung=False)
    guilty = culprits(ranks) if by_words else list(ranks) if len(ranks) == 1 else rarest(ranks)
    name = family(ranks, guilty) if by_words else ""
    function = function_of(ranks[guilty[0]]) if guilty else ""
    return Answer(hung=hung, family=name, culprit=tuple(guilty), function=function, abstained=not (guilty or name))
