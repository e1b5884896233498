"""Where a thread or a rank stands: what it does, in whose code, what it waits for, since when."""

from __future__ import annotations

import enum

from diagnostics.model.record import Record


class WaitKind(str, enum.Enum):
    """What ends a wait."""

    LOCK = "a lock"  # threading.Lock, RLock, or a mutex of native code
    CONDITION = "a notification"  # condition, event, queue, semaphore of the same process
    JOIN = "another thread's end"
    GIL = "the interpreter lock"
    CHILD = "a child process"
    SOCKET = "a socket"
    PIPE = "a pipe"
    FILE = "a file"
    DEVICE = "the device"  # a GPU's stream, event or context
    COLLECTIVE = "the other ranks of a collective"
    RENDEZVOUS = "other ranks to join"  # init_process_group, a store's key, CreateSession
    STEP = "a step on other ranks"  # RunStep of a session
    INPUT = "the next batch"
    SIGNAL = "a signal"
    TERMINAL = "somebody at its terminal"
    WORLD = "the outside world"  # a file, pipe or socket: which, is not told
    TIME = "a time"
    NOTHING = "nothing: it runs"
    UNKNOWN = "something that its stack does not tell"

    @property
    def words(self) -> str:
        """What a person reads after "waits for"."""
        plain = {WaitKind.TIME: "its sleep to end", WaitKind.STEP: "the end of a step of its session"}
        return plain.get(self, str(self.value))


class Role(str, enum.Enum):
    """What a frame shows of what its thread does; a thread may have several. `stacks/symbols/` has the tables."""

    IDLE = "idle by nature"  # a pool's worker without work, a heartbeat, a monitor, a feeder: supports nothing
    SERVE = "serves others"  # Server.join, an RPC server's main thread
    COLLECTIVE = "collective"  # waits in a collective or point-to-point operation
    BARRIER = "barrier"
    RENDEZVOUS = "rendezvous"  # init_process_group, CreateSession, a store's wait: ranks find each other
    KEY = "waits for a key"  # of a store that serves, for the program itself: no ranks find each other there
    STEP = "step"  # waits for a step of a session
    REMOTE = "remote"  # the step, a server's master runs it
    OPERATION = "operation"  # inside a kernel or op of the framework
    INPUT_NEXT = "next batch"  # asks for the next batch
    INPUT_MAKE = "makes a batch"  # a loader's worker, a Dataset's own thread
    INPUT_END = "ends its input"  # waits for an iterator's own threads to end
    TUNER = "tunes the input"
    CALLBACK = "called back"  # Python code that a framework called: generator, py_function, hook
    QUEUE_GET = "takes from a queue"
    QUEUE_PUT = "puts to a queue"
    POOL_WAIT = "waits for a pool's result"  # Future.result, Pool.map
    POOL_TASK = "a pool's task"
    SAVE = "saves"
    EVALUATE = "evaluates"
    COMPILE = "compiles"
    GARBAGE = "collects garbage"
    TEARDOWN = "tears down"
    DEVICE = "waits for the device"
    DEVICE_LAUNCH = "launches work on the device"
    FILE_LOCK = "waits for a lock file"
    SPAWN = "waits for a child"
    SHARED = "waits for another process of the program"  # an object of multiprocessing: a barrier, condition, event
    FORKED = "has been forked"  # a frame of a fork in the middle of the stack
    SIGNAL_HANDLER = "in a signal handler"
    FINALIZER = "in a finalizer"  # __del__, weakref callback, atexit
    IMPORT = "imports"
    EVENT_LOOP = "event loop"
    IN_LOOP = "in an event loop's callback"  # code that the loop runs: while it waits, the loop does nothing else
    AWAITS_LOCK = "awaits a lock"  # a coroutine's, which others of its loop hold
    AWAITS_DATA = "awaits data"  # of a connection, in a coroutine
    DEBUGGER = "at rest in a debugger"
    PROXY = "library's own helper"  # NCCL's proxy, RAS, a watchdog: idle by nature while healthy


class Position(Record, frozen=True):
    """Where a thread stands.

    `operation`: the outermost thing that it waits in which people have a name for (`all_reduce`, `RunStep`,
    `DataLoader.__next__`, `Lock.acquire`), "" for none. `function`, `file`, `line`: innermost frame of the user's own
    code (`own`), or where the stack has none, of what lies nearest to it: a framework's training loop, a library.
    `waits_for`: in words, with the object. `since`: seconds that it has been there, -1 where that is not known;
    `at_least`: it is a lower bound. `busy`: it burns CPU without getting on. `holder`: the thread that has what it
    waits for.
    """

    tid: int = 0
    operation: str = ""
    function: str = ""
    file: str = ""
    line: int = 0
    own: bool = False
    waits: WaitKind = WaitKind.UNKNOWN
    waits_for: str = ""
    limited: bool = False  # it has a timeout
    roles: tuple[Role, ...] = ()
    group: str = ""  # of a collective
    number: int = -1  # of a collective in its group
    since: float = -1.0
    at_least: bool = False
    busy: bool = False
    holder: int = 0

    def has(self, *roles: Role) -> bool:
        """Whether it has one of these roles."""
        return any(role in roles for role in self.roles)

    @property
    def place(self) -> str:
        """`step (train.py:31)`, "" where no frame of the user's is known."""
        if not self.function:
            return ""
        where = self.file.rpartition("/")[2]
        if not where:
            return self.function
        return f"{self.function} ({where}:{self.line})" if self.line else f"{self.function} ({where})"
