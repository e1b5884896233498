"""gRPC's core and its Python binding."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = ("grpc", "grpcio", "grpc_status", "google")
LIBRARIES = r"^(libgrpc\w*|cygrpc|libgpr|libaddress_sorting)[\w.-]*$"
NAMESPACE = r"^grpc(?:_|::)"
_G, _P = Weight.GENERAL, Weight.PRIMITIVE

SYMBOLS = (
    native(r"grpc::ThreadManager::MainWorkLoop|LifeguardMain|SyncRequestThreadManager::PollForWork"
           r"|grpc_event_engine::", "", None, weight=_G, home=True),
    native(r"(?:grpc_|event_engine_|^)pollset_work|poller_work$|grpc_core::Notification::", "", None, weight=_P),
    native(r"^grpc_completion_queue_(?:next|pluck)|^cq_(?:next|pluck)"
           r"|grpc::CompletionQueue::AsyncNextInternal|grpc_impl::CompletionQueue::", "grpc completion queue",
           WaitKind.WORLD, weight=_P),
    native(r"GrpcClientCQThread|GrpcWorkerCache::|GrpcEagerClientCache|GrpcEagerClientThread|AsyncNextInternal", "",
           None, weight=_G, home=True),
    native(r"grpc_core::Executor::ThreadMain|grpc_core::ExecCtx|grpc_event_engine::"
           r"|grpc_core::\(anonymous namespace\)::ThreadInternals|timer_thread|executor_thread"
           r"|ThreadInternalsPosix|wait_until|run_some_timers|timer_main_loop|grpc_core::Thread\w+"
           r"|ThreadInternalsPosix", "", None, weight=_G, home=True),
    native(r"grpc_iomgr_\w+|pollset_work|epoll1_\w+|pollable_epoll|^pollset_\w+", "", None, weight=_P),
    python("grpc/_channel.py", "_blocking|__call__|_next|result|_common_next", "gRPC call", WaitKind.SOCKET),
    python("grpc/_common.py", "wait", "gRPC call", WaitKind.SOCKET, weight=_G),
    python("grpc/_channel.py", "channel_spin|_run_channel_spin_thread|_poll_connectivity", "", None, Role.PROXY,
           weight=_G),
    python("grpc/_server.py", "_serve|wait_for_termination", "gRPC server", None, Role.SERVE, Role.IDLE, weight=_G,
           home=True),
    native(r"grpc::(?:internal::)?BlockingUnaryCall\w*|grpc::ClientReader|grpc::ClientReaderWriter"
           r"|grpc::internal::CallOpSet", "gRPC call", WaitKind.SOCKET, weight=_G),
    native(r"grpc_prefork|grpc_postfork\w*|grpc_fork\w*|grpc_core::Fork::\w+", "fork with gRPC", None, Role.FORKED,
           weight=_P),
)  # fmt: skip
