"""JAX, XLA and PJRT."""

import re

from diagnostics.model import Process, Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = ("jax", "jaxlib", "jax_cuda12_plugin", "jax_plugins", "libtpu", "chex", "ml_dtypes")
LIBRARIES = r"^(libjax\w*|_jax|xla_extension|_xla|libtpu|xla_cuda_plugin|pjrt\w*|_pywrap_xla\w*|libxla\w*)[\w.-]*$"
_G, _P = Weight.GENERAL, Weight.PRIMITIVE
_W = WaitKind

SYMBOLS = (
    python("jax/_src/distributed.py", "initialize|connect", "jax.distributed.initialize", _W.RENDEZVOUS,
           Role.RENDEZVOUS, seen="0.2.25 to 0.9"),
    python("jax/_src/distributed.py", "shutdown|clean_up", "jax.distributed.shutdown", _W.RENDEZVOUS, Role.TEARDOWN,
           Role.BARRIER),
    python("jax/experimental/multihost_utils.py",
           "sync_global_devices|broadcast_one_to_all|process_allgather|assert_equal" "|reached_preemption_sync_point",
           r"\g<0>", _W.COLLECTIVE, Role.COLLECTIVE),
    python("jax/_src/xla_bridge.py", "backends|_init_backend|make_\\w+_client|_get_backend_uncached|get_backend",
           "init of the backend", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    python("jax/_src/compiler.py|jax/_src/dispatch.py",
           "backend_compile\\w*|compile_or_get_cached|_compile_and_\\w+|_?share_fdo_profiles\\w*", "XLA compile", None,
           Role.COMPILE, weight=_G),
    python("jax/_src/interpreters/pxla.py", "_cached_compilation|compile|from_hlo", "XLA compile", None, Role.COMPILE,
           weight=_G),
    python("jax/_src/array.py", "block_until_ready|_value|__array__|__float__|__int__|__index__|__bool__|item|tolist"
           "|_single_device_array_to_np_array\\w*", "block_until_ready", _W.DEVICE, Role.DEVICE),
    python("jax/_src/api.py", "block_until_ready|try_to_block|device_get|effects_barrier", r"\g<0>", _W.DEVICE,
           Role.DEVICE),
    python("jax/_src/pjit.py|jax/_src/interpreters/pxla.py|jax/_src/profiler.py",
           "cache_miss|_python_pjit_helper|__call__|_pjit_call_impl\\w*|call_impl_cache_miss|wrapper",
           "jitted function", None, Role.OPERATION, weight=_P),
    python("jax/_src/callback.py|jax/_src/debugging.py",
           "_callback\\w*|_flat_callback|_wrapped_callback|\\w*callback_impl", "", None, Role.CALLBACK, weight=_P),
    native(r"PjRtFuture|PjRtBuffer\w*::(?:AwaitReady|Await|ToLiteral\w*|BlockHostUntilReady\w*)"
           r"|tsl::BlockUntilReady|PjRt\w+::Await|xla::Future<.*>::Await|PyArray::(?:Await|BlockUntilReady\w*"
           r"|SingleDeviceArrayToNumpyArray)|BlockHostUntilDone", "Await", _W.DEVICE, Role.DEVICE, weight=_G),
    native(r"(?:AllReduce|AllGather|ReduceScatter|AllToAll|CollectivePermute|CollectiveBroadcast|Send"
           r"|Recv)\w*Thunk::|xla::cpu::\w*(?:AllReduce|AllGather|ReduceScatter|AllToAll|CollectivePermute"
           r"|CollectiveBroadcast|InProcessComm|GlooComm|MpiComm)\w*|xla::cpu::\w*Collectives\w*"
           r"|xla::gpu::(?:Nccl|Rccl)\w*", "XLA collective", _W.COLLECTIVE, Role.COLLECTIVE),
    native(r"xla::\w*TransferManager::Transfer\w+|xla::PjRt\w*Client::BufferFromHost\w+|xla::gpu::InfeedManager::",
           "copy to or from the device", _W.DEVICE, Role.DEVICE, weight=_G, seen="XLA's sources, 2022 to 2026"),
    native(r"AcquireNcclClique|AcquireGpuClique|xla::gpu::\w*(?:Clique|Rendezvous)\w*"
           r"|xla::(?:internal::)?(?:AwaitAndLogIfStuck|RendezvousSingle|Rendezvous)", "XLA rendezvous", _W.COLLECTIVE,
           Role.COLLECTIVE, weight=_G),
    native(r"DistributedRuntimeClient\w*::(?:Connect)|\w*DistributedRuntime\w*::Connect", "coordination service",
           _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"DistributedRuntimeClient\w*::(?:WaitAtBarrier)", "barrier", _W.RENDEZVOUS, Role.RENDEZVOUS, Role.BARRIER),
    native(r"DistributedRuntimeClient\w*::(?:BlockingKeyValueGet\w*)|ExchangeTopologies", "key-value store",
           _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"DistributedRuntimeClient\w*::Shutdown", "jax.distributed.shutdown", _W.RENDEZVOUS, Role.TEARDOWN,
           Role.BARRIER),
    native(r"(?:PjRt|StreamExecutor|TfrtCpu|TfrtGpu|IfrtExecutable|PyLoadedExecutable"
           r"|LocalExecutable)\w*::(?:Execute\w*|RunAsync|RunHelper)|Executable::Execute\w*", "execute", None,
           Role.OPERATION, weight=_G),
    native(r"xla::cpu::ThunkExecutor|xla::ThunkExecutor|xla::cpu::CpuExecutable|xla::gpu::GpuExecutable"
           r"|ThunkSequence|SequentialThunk|xla::gpu::\w+Thunk::", "execute", None, Role.OPERATION, weight=_G),
    native(r"xla::\w*Compiler::|xla::(?:cpu|gpu)::\w*Compile\w*|llvm::orc|xla::HloPassPipeline", "XLA compile", None,
           Role.COMPILE),
    native(r"xla::PyCallback|xla::CpuCallback|FfiCallback|XlaPythonCpuCallback|XlaFfiPython\w*", "host callback", None,
           Role.CALLBACK, weight=_P),
    native(r"xla::\w*HangWatchdog", "", None, Role.PROXY, weight=_G, seen="openxla/xla#39537"),
    native(r"StartHeartbeat|HeartbeatLoop|PollForError\w*|(?:tsl|tensorflow)::UnboundedWorkQueue::\w+"
           r"|xla::\w*WorkerThread::WorkLoop|AsyncWorkRunner", "", None, weight=_G, home=True),
)  # fmt: skip

_ON_HOST = re.compile(r"\bxla::cpu::|\bxla::(?:PjRt|Tfrt)?Cpu\w|XlaFfiPythonCpuCallback|\bxla::CpuCallback")


def computes_on_host(process: Process) -> bool:
    """Whether XLA's programs run on the host's cores, as its threads show: what people wait for is no card then."""
    return any(frame.native and _ON_HOST.search(frame.function) for one in process.threads for frame in one.frames)
