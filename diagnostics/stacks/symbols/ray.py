"""Ray."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = ("ray",)
LIBRARIES = r"^(_raylet|libray\w*|core_worker_library\w*)[\w.-]*$"
_G, _P = Weight.GENERAL, Weight.PRIMITIVE

SYMBOLS = (
    python("ray/profiling.py|ray/_private/profiling.py|ray/import_thread.py", ".*", "", None, Role.PROXY, weight=_G),
    python("ray/worker.py", "_get_next_task_from_local_scheduler|_get_next_task_from_raylet", "next task",
           WaitKind.SOCKET, Role.SERVE, Role.IDLE),
    python("ray/_private/worker.py|ray/worker.py", "get|get_objects|wait", r"ray.\g<0>", WaitKind.WORLD, Role.POOL_WAIT,
           seen="1.0 to 2.50",
           not_for="It does not say which actor owes the result: its task's name does, or `ray list tasks`."),
    python("ray/_private/worker.py|ray/worker.py", "main_loop", "", None, Role.SERVE, weight=_G, home=True),
    python("ray/_private/worker.py|ray/worker.py", "listen_error_messages\\w*|print_logs|listen_\\w+", "", None,
           Role.PROXY, weight=_G),
    python("ray/_private/worker.py|ray/worker.py", "init|connect", "ray.init", WaitKind.RENDEZVOUS, Role.RENDEZVOUS,
           weight=_G),
    python("ray/_private/worker.py|ray/worker.py", "shutdown|disconnect", "ray.shutdown", None, Role.TEARDOWN,
           weight=_G),
    python("ray/_private/function_manager.py|ray/function_manager.py", "actor_method_executor", "", None,
           Role.POOL_TASK, weight=_P),
    python("ray/_private/import_thread.py|ray/_private/log_monitor.py|ray/_private/ray_logging/", ".*", "", None,
           Role.PROXY, weight=_G),
    python("ray/util/collective/", "allreduce|allgather|broadcast|barrier|reducescatter|send|recv|reduce", r"\g<0>",
           WaitKind.COLLECTIVE, Role.COLLECTIVE),
    python("ray/util/collective/", "init_collective_group|create_collective_group|rendezvous|meet|\\w*wait\\w*",
           "collective's group", WaitKind.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    python("ray/util/client/", "_async_send|_blocking_send|_get|get|_get_object_iterator", "ray client", WaitKind.LOCK,
           Role.POOL_WAIT, weight=_P),
    python("ray/train/_internal/session.py|ray/train/v2/", "report|get_next", r"train.\g<0>", WaitKind.CONDITION,
           Role.QUEUE_PUT, weight=_G),
    python("ray/util/placement_group.py", "wait|ready", "placement group", WaitKind.RENDEZVOUS, Role.RENDEZVOUS,
           weight=_G),
    native(r"ray::core::CoreWorker::(?:Get|Wait)\b|CoreWorkerMemoryStore::Get\w*"
           r"|CoreWorkerPlasmaStoreProvider::Get\w*|plasma::PlasmaClient::\w*Get", "ray.get", WaitKind.WORLD,
           Role.POOL_WAIT, weight=_G),
    native(r"ray::core::CoreWorker(?:Process\w*)?::RunTaskExecutionLoop|ray::core::\w*::(?:RunIOService"
           r"|io_service)|boost::asio::(?:detail::)?\w*(?:scheduler|io_context)\w*::run"
           r"|boost_asio_detail_posix_thread_function|boost::asio", "", None, weight=_G, home=True),
)  # fmt: skip
