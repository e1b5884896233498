"""CPython and its standard library: locks, queues, pools, processes, sockets, event loops, imports."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Owner, Weight, native, python

OWNER = Owner.SYSTEM
LIBRARIES = (
    r"^(libpython|python|pypy|libpypy)[\d.]*(\.so[\d.]*|m?\.so[\d.]*|[dmt]+\.so[\d.]*)?$"
    r"|^(_(?!C\.)\w+|select|fcntl|mmap|resource|termios|zlib|math|array|binascii|readline|pyexpat)\.(cpython|abi3|pypy)[\w.-]*\.so$"
    r"|^(ceval\w*|call|\w+object|abstract|pythonrun|import|main|python|\w+module|thread_pthread\w*|bltinmodule|marshal|errors"
    r"|gc|pylifecycle|generated_cases|pystate|semaphore|parking_lot|lock|codecs|context|hashtable|\w+io)\.(c|h|c\.h)$"
)
_P, _G = Weight.PRIMITIVE, Weight.GENERAL
_W = WaitKind

THREADING = (
    python("threading.py", "wait", "Event.wait", _W.CONDITION, weight=_G, callee="wait"),
    python("threading.py", "wait|wait_for", "Condition.wait", _W.CONDITION, weight=_G),
    python("threading.py", "_wait", "Barrier.wait", _W.CONDITION, Role.BARRIER),
    python("threading.py", "_shutdown", "threading._shutdown", _W.JOIN, Role.TEARDOWN),
    python("threading.py", "join|_wait_for_tstate_lock", "Thread.join", _W.JOIN, weight=_G),
    python("threading.py", "acquire|__enter__", "Semaphore.acquire", _W.CONDITION, weight=_G),
    python("threading.py", "start", "Thread.start", _W.CONDITION, weight=_G, callee="wait"),
    python("queue.py", "get", "Queue.get", _W.CONDITION, Role.QUEUE_GET, weight=_G),
    python("queue.py", "put", "Queue.put", _W.CONDITION, Role.QUEUE_PUT, weight=_G),
    python("queue.py", "join", "Queue.join", _W.CONDITION, weight=_G),
    python("_threading_local.py", ".*", weight=_P),
)

POOLS = (
    python("concurrent/futures/thread.py", "_worker", "", None, Role.POOL_TASK, weight=_G, home=True),
    python("concurrent/futures/thread.py", "run", "", None, Role.POOL_TASK, weight=_G),
    python("concurrent/futures/thread.py", "_python_exit", "executor's exit", _W.JOIN, Role.TEARDOWN),
    python("concurrent/futures/thread.py", "shutdown", "Executor.shutdown", _W.JOIN, Role.TEARDOWN, weight=_G),
    python("concurrent/futures/_base.py", "__exit__", "Executor.shutdown", _W.JOIN, Role.TEARDOWN, weight=_G),
    python("concurrent/futures/_base.py", "result|exception", "Future.result", _W.CONDITION, Role.POOL_WAIT, weight=_G),
    python("concurrent/futures/_base.py", "result_iterator|_result_or_cancel", "Executor.map", _W.CONDITION,
           Role.POOL_WAIT, weight=_G),
    python("concurrent/futures/_base.py", "wait|as_completed", "futures.wait", _W.CONDITION, Role.POOL_WAIT, weight=_G),
    python("concurrent/futures/process.py", "_process_worker", "", None, Role.POOL_TASK, weight=_G, home=True),
    python("concurrent/futures/process.py", "_process_chunk", "", None, Role.POOL_TASK, weight=_G),
    python("concurrent/futures/process.py", "_chain_from_iterable_of_lists", "Executor.map", _W.CONDITION,
           Role.POOL_WAIT, weight=_G),
    python("concurrent/futures/process.py", "wait_result_broken_or_wakeup|_queue_management_worker", "", None,
           Role.PROXY, weight=_G),
    python("concurrent/futures/process.py", "shutdown", "Executor.shutdown", _W.JOIN, Role.TEARDOWN, weight=_G),
    python("concurrent/futures/process.py", "_python_exit", "executor's exit", _W.JOIN, Role.TEARDOWN),
    python("multiprocessing/pool.py", "worker", "", None, Role.POOL_TASK, weight=_G, home=True),
    python("multiprocessing/pool.py", "mapstar|starmapstar|_helper_reraises_exception", "", None, Role.POOL_TASK,
           weight=_G),
    python("multiprocessing/pool.py", "_handle_workers|_wait_for_updates|_handle_tasks|_handle_results", "", None,
           Role.PROXY, weight=_G),
    python("multiprocessing/pool.py", "_help_stuff_finish|_terminate_pool|terminate|__exit__", "Pool.terminate",
           _W.JOIN, Role.TEARDOWN),
    python("multiprocessing/pool.py", "join", "Pool.join", _W.JOIN, Role.TEARDOWN),
    python("multiprocessing/pool.py", "map|starmap|apply", r"Pool.\g<0>", _W.CONDITION, Role.POOL_WAIT),
    python("multiprocessing/pool.py", "get|wait", "AsyncResult.get", _W.CONDITION, Role.POOL_WAIT, weight=_G),
    python("multiprocessing/pool.py", "next|__next__", "Pool.imap", _W.CONDITION, Role.POOL_WAIT),
    python("multiprocessing/dummy/__init__.py", "start", weight=_P),
)  # fmt: skip

PROCESSES = (
    python("multiprocessing/queues.py", "_feed", "", None, Role.IDLE, weight=_G, home=True),
    python("multiprocessing/queues.py", "join_thread|_finalize_join", "Queue.join_thread", _W.JOIN, Role.TEARDOWN),
    python("multiprocessing/queues.py", "get", "Queue.get", _W.PIPE, Role.QUEUE_GET, weight=_G),
    python("multiprocessing/queues.py", "put", "Queue.put", _W.CONDITION, Role.QUEUE_PUT, weight=_G),
    python("multiprocessing/queues.py", "join", "JoinableQueue.join", _W.CONDITION, weight=_G),
    python("multiprocessing/connection.py", "_recv|_recv_bytes|recv|recv_bytes|poll|_poll", "Connection.recv", _W.PIPE,
           weight=_G),
    python("multiprocessing/connection.py", "_send|_send_bytes|send|send_bytes", "Connection.send", _W.PIPE, weight=_G),
    python("multiprocessing/connection.py", "accept|Client|answer_challenge|deliver_challenge", r"Connection.\g<0>",
           _W.SOCKET, weight=_G),
    python("multiprocessing/connection.py", "wait", "connection.wait", _W.PIPE, weight=_G),
    python("multiprocessing/synchronize.py", "wait|wait_for", "Condition.wait", _W.CONDITION, Role.SHARED,
           weight=_G),
    python("multiprocessing/synchronize.py", "acquire|__enter__", "Lock.acquire", _W.LOCK, weight=_G,
           not_for="A lock of multiprocessing may be held by another process."),
    python("multiprocessing/process.py", "join", "Process.join", _W.CHILD, Role.SPAWN, weight=_G),
    python("multiprocessing/popen_fork.py", "_launch", "", None, Role.FORKED, weight=_P, callee="_bootstrap"),
    python("multiprocessing/popen_fork.py", "wait|poll", "Process.join", _W.CHILD, Role.SPAWN, weight=_G),
    python("multiprocessing/popen_spawn_posix.py", "_launch", "Process.start", _W.PIPE, Role.SPAWN, weight=_G),
    python("multiprocessing/util.py", "_exit_function", "multiprocessing's exit", None, Role.TEARDOWN,
           callee="_run_finalizers"),
    python("multiprocessing/util.py", "_exit_function", "multiprocessing's exit", _W.CHILD, Role.TEARDOWN),
    python("multiprocessing/util.py", "_run_finalizers", "", None, Role.TEARDOWN, weight=_G),
    python("multiprocessing/forkserver.py", "main", "fork server", _W.WORLD, Role.SERVE, Role.IDLE, weight=_G),
    python("multiprocessing/forkserver.py", "connect_to_new_process", "Process.start", _W.SOCKET, Role.SPAWN),
    python("multiprocessing/resource_tracker.py", "main", "resource tracker", _W.PIPE, Role.SERVE, Role.IDLE,
           weight=_G),
    python("multiprocessing/resource_tracker.py", "_stop|_stop_locked|__del__", "resource tracker's exit", _W.CHILD,
           Role.TEARDOWN),
    python("multiprocessing/resource_sharer.py", "_serve", "", None, Role.PROXY, weight=_G),
    python("multiprocessing/managers.py", "serve_forever|accepter|serve_client|handle_request", "Manager", None,
           Role.SERVE, weight=_G, home=True),
    python("multiprocessing/managers.py", "_callmethod", "Manager's answer", _W.SOCKET),
    python("subprocess.py", "communicate|_communicate", "Popen.communicate", _W.CHILD, Role.SPAWN, weight=_G),
    python("subprocess.py", "call|run|check_call|check_output", "subprocess.run", _W.CHILD, Role.SPAWN, weight=_G),
    python("subprocess.py", "wait|_wait|_try_wait", "Popen.wait", _W.CHILD, Role.SPAWN, weight=_G),
    python("subprocess.py", "_execute_child", "Popen", _W.PIPE, Role.SPAWN, weight=_G),
    python("os.py", "system|popen|spawn\\w+", "os.system", _W.CHILD, Role.SPAWN, weight=_G),
)  # fmt: skip

WORLD = (
    python("socket.py", "accept", "socket.accept", _W.SOCKET, weight=_G),
    python("socket.py", "readinto", "socket.recv", _W.SOCKET, weight=_G),
    python("socket.py", "create_connection", "socket.connect", _W.SOCKET, weight=_G),
    python("socket.py", "getaddrinfo|getfqdn", "getaddrinfo", _W.SOCKET, weight=_G),
    python("ssl.py", "read|recv|recv_into|do_handshake|write|send|sendall", r"ssl.\g<0>", _W.SOCKET, weight=_G),
    python("http/client.py", "getresponse|_read_status|begin|_safe_read|read|readinto", "HTTP response", _W.SOCKET),
    python("selectors.py", "select", "select", _W.WORLD, weight=_P),
    python("socketserver.py", "serve_forever", "serve_forever", None, Role.SERVE, weight=_G, home=True),
    python("asyncio/base_events.py", "_run_once", "asyncio event loop", _W.WORLD, Role.EVENT_LOOP, callee="select"),
    python("asyncio/base_events.py", "run_forever|run_until_complete|_run_once", "asyncio.run", None, weight=_G),
    python("asyncio/runners.py", "run", "asyncio.run", None, weight=_G),
    python("asyncio/events.py", "_run", "", None, Role.IN_LOOP, weight=_G),
    python("asyncio/base_events.py|uvloop/server.pyx", "serve_forever", "", None, Role.SERVE, weight=_P),
    python("asyncio/locks.py", "acquire", "", None, Role.AWAITS_LOCK, weight=_P),
    python("asyncio/streams.py", "(?!open_|start_).*", "", None, Role.AWAITS_DATA, weight=_P),
    python("asyncio/unix_events.py", "_do_waitpid", "", None, Role.PROXY, weight=_G),
    python("shutil.py", ".*", "", None, weight=_P),
    python("logging/__init__.py", "acquire", "logging's lock", _W.LOCK),
    python("logging/handlers.py", "_monitor", "", None, Role.IDLE, weight=_G, home=True),
    python("sched.py", "run", "scheduler.run", _W.TIME, weight=_G),
)  # fmt: skip

_FROZEN = "<frozen importlib._bootstrap>"
LIFE = (
    python(_FROZEN, "acquire|__enter__|_lock_unlock_module|_get_module_lock", "import lock", _W.LOCK, Role.IMPORT),
    python(_FROZEN, "_find_and_load\\w*|_load_unlocked|_call_with_frames_removed|_gcd_import", "", None, Role.IMPORT,
           weight=_P),
    python("importlib/_bootstrap.py", "acquire|__enter__|_lock_unlock_module", "import lock", _W.LOCK, Role.IMPORT),
    python("importlib/_bootstrap.py", "_find_and_load\\w*|_load_unlocked", "", None, Role.IMPORT, weight=_P),
    python("", "__del__", "", None, Role.FINALIZER, weight=_P),
    python("weakref.py", "_exitfunc", "", None, Role.FINALIZER, Role.TEARDOWN, weight=_G),
    python("weakref.py", "__call__|remove|callback", "", None, Role.FINALIZER, weight=_P),
    python("pdb.py", "interaction|_cmdloop|cmdloop|set_trace", "pdb", _W.TERMINAL, Role.DEBUGGER),
    python("cmd.py", "cmdloop", "prompt", _W.TERMINAL, Role.DEBUGGER),
    python("code.py", "interact|raw_input", "prompt", _W.TERMINAL, Role.DEBUGGER),
    python("multiprocessing/context.py", "_Popen", "", None, weight=_P),
    python("multiprocessing/util.py", "_flush_std_streams", "flush of the standard streams", _W.LOCK),
    python("multiprocessing/spawn.py|multiprocessing/process.py|runpy.py", ".*", "", None, weight=_P),
)  # fmt: skip

INTERPRETER = (
    native(r"^tstate_delete_common(\.|$)", "tstate_delete_common, lock of the list of threads", _W.LOCK, weight=_G,
           seen="CPython 3.7 to 3.13", not_for="Whoever lists all threads holds it, also while he waits for others."),
    native(r"^(?:_?PyErr_CheckSignals\w*|handle_signals)(\.|$)", "", None, Role.SIGNAL_HANDLER, weight=_P,
           not_for="It looks for signals often; only a handler that runs inside of it was called."),
    native(r"^take_gil(\.|$)|^PyEval_(AcquireThread|RestoreThread|AcquireLock)$|^PyGILState_Ensure$"
           r"|^_PyThreadState_Attach$|^_?PyEval_AcquireLock", "interpreter lock", _W.GIL, weight=_P, hard=True,
           seen="CPython 3.6 to 3.14", not_for="Threads that wait for it are common in a busy program."),
    native(r"^rlock_acquire(_impl)?$|^_PyRecursiveMutex_Lock\w*|^rlock___enter__|^_thread_RLock_acquire\w*",
           "RLock.acquire", _W.LOCK, weight=_P),
    native(r"^(lock_PyThread_acquire_lock|acquire_timed|PyThread_acquire_lock(_timed)?(_with_retries)?"
           r"|_?PyMutex_Lock(Timed)?|lock_acquire|lock___enter__|_thread_lock_acquire\w*|PyMutex_LockSlow)(\." r"|$)",
           "Lock.acquire", _W.LOCK, weight=_P),
    native(r"^(_multiprocessing_)?SemLock_acquire(_impl)?|^semlock_acquire|^_multiprocessing_SemLock_\w+",
           "Lock.acquire", _W.LOCK, weight=_P),
    native(r"^(_queue_)?SimpleQueue_get\w*|^simplequeue_get", "Queue.get", _W.CONDITION, Role.QUEUE_GET, weight=_P),
    native(r"^(PyThread_join_thread|ThreadHandle_join|thread_PyThread_join\w*|_thread__ThreadHandle_join)",
           "Thread.join", _W.JOIN, weight=_P),
    native(r"^(pysleep|time_sleep)(\.|$)", "time.sleep", _W.TIME, weight=_P),
    native(r"^(?:faulthandler_cancel_dump\w*|cancel_dump_traceback_later|faulthandler_dump_traceback_later)",
           "faulthandler's timer", _W.LOCK, weight=_G),
    native(r"^faulthandler_thread", "", None, Role.IDLE, weight=_G),
    native(r"^builtin_input(_impl)?|^PyOS_Readline|^my_fgets|^readline_until_enter\w*", "input", _W.TERMINAL),
    native(r"^(os|select|sock|socket|fcntl|signal)_([a-z0-9_]+?)(_impl)?$", r"\1.\2", None, weight=_P),
    native(r"^wait_for_thread_shutdown", "threading._shutdown", _W.JOIN, Role.TEARDOWN),
    native(r"^(Py_FinalizeEx|_?Py_Finalize\w*|call_py_exitfuncs|atexit_callfuncs|atexit_cleanup"
           r"|finalize_modules)(\.|$)", "interpreter's exit", None, Role.TEARDOWN, weight=_G),
    native(r"^(gc_collect\w*|_?PyGC_\w+|collect_with_callback|collect_generations|collect|gc_\w+"
           r"|delete_garbage|subtract_refs|update_refs|visit_\w+|deduce_unreachable)(\.|$)", "", None, Role.GARBAGE,
           weight=_P),
    native(r"^(slot_tp_finalize|PyObject_CallFinalizer\w*|handle_callback|PyObject_ClearWeakRefs"
           r"|finalize_garbage)(\.|$)", "", None, Role.FINALIZER, weight=_P),
    native(r"^(PyOS_AfterFork\w*|os_fork\w*|run_at_forkers|_posixsubprocess_fork_exec\w*|do_fork_exec"
           r"|subprocess_fork_exec)", "", None, Role.FORKED, weight=_P),
    native(r"^(import_find_and_load|PyImport_\w+|_?PyImport_\w+|import_name)(\.|$)", "", None, Role.IMPORT, weight=_P),
    native(r"^_?Py\w+|^\w+_vectorcall\w*|^\w+_dealloc(\.|$)|^_?buffered\w+|^_io_\w+|^(?:thread_run"
           r"|t_bootstrap|thread_bootstrap|pythread_wrapper|run_mod|run_eval_code_obj|pyrun_\w+|pymain_\w+"
           r"|cfunction_\w+|method_\w*call\w*|slot_\w+|type_call|object_vacall|builtin_\w+|vectorcall_\w+"
           r"|partial_\w+|call_function|function_code_fastcall|fast_function|do_call_core"
           r"|bounded_lru_cache_wrapper|ctypes_callproc|sock_call\w*|sock_\w+)(\.|$)", "", None, weight=_P),
)  # fmt: skip

SYMBOLS = (*THREADING, *POOLS, *PROCESSES, *WORLD, *LIFE, *INTERPRETER)
