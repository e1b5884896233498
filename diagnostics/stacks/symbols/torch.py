"""PyTorch: process groups, stores, autograd, data loaders, compilers, checkpoints, launchers."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = (
    "torch",
    "torchvision",
    "torchaudio",
    "torchgen",
    "functorch",
    "torchdata",
    "torchtext",
    "triton",
    "torch_xla",
)
LIBRARIES = r"^(libtorch\w*|libc10\w*|_C|libshm|libcaffe2\w*|libtriton|libaoti\w*)([\w.-]*)\.so[\w.]*$"
_G, _P = Weight.GENERAL, Weight.PRIMITIVE
_W = WaitKind
_C10D = "torch/distributed/distributed_c10d.py"
_OPERATIONS = (
    "all_reduce|all_reduce_coalesced|all_gather|all_gather_into_tensor|all_gather_object|all_gather_coalesced"
    "|all_to_all|all_to_all_single|broadcast|broadcast_object_list|gather|gather_object|reduce|reduce_scatter"
    "|reduce_scatter_tensor|scatter|scatter_object_list|send|recv|isend|irecv|batch_isend_irecv|send_object_list"
    "|recv_object_list|_all_gather_base|_reduce_scatter_base"
)

GROUPS = (
    python("torch/distributed/rpc/api.py", "rpc_sync|_invoke_rpc", "rpc_sync", _W.SOCKET, Role.POOL_WAIT),
    native(r"PyRRef::toHere|UserRRef::toHere", "rref.to_here", _W.SOCKET, Role.POOL_WAIT),
    native(r"RpcAgent::(?:retryExpiredRpcs|pollTimeoutRpcs)", "", None, Role.PROXY, weight=_G),
    native(r"PythonFutureWrapper::wait|c10::ivalue::Future::wait", "Future.wait", _W.CONDITION, Role.POOL_WAIT,
           weight=_G),
    python(_C10D, "barrier|monitored_barrier", r"\g<0>", _W.COLLECTIVE, Role.COLLECTIVE, Role.BARRIER),
    python(_C10D, _OPERATIONS, r"\g<0>", _W.COLLECTIVE, Role.COLLECTIVE),
    python(_C10D, "_store_based_barrier", "store barrier", _W.RENDEZVOUS, Role.RENDEZVOUS, Role.BARRIER),
    python(_C10D, "init_process_group", "init_process_group", _W.RENDEZVOUS, Role.RENDEZVOUS),
    python(_C10D, "new_group|new_subgroups\\w*|_new_group_with_tag|_new_process_group_helper|split_group", "new_group",
           _W.RENDEZVOUS, Role.RENDEZVOUS),
    python(_C10D, "destroy_process_group|_shutdown_backend|_abort_process_group", r"destroy_process_group",
           _W.COLLECTIVE, Role.TEARDOWN),
    python("torch/distributed/_functional_collectives.py",
           "all_reduce|all_gather_tensor\\w*|reduce_scatter_tensor\\w*|all_to_all_single\\w*|broadcast", r"\g<0>",
           _W.COLLECTIVE, Role.COLLECTIVE),
    python("torch/distributed/_functional_collectives.py", "wait_tensor|_maybe_wrap_tensor|wait", "Work.wait",
           _W.COLLECTIVE, Role.COLLECTIVE),
    python("torch/distributed/utils.py",
           "_verify_param_shape_across_processes|_sync_module_states|_sync_params_and_buffers", "broadcast",
           _W.COLLECTIVE, Role.COLLECTIVE),
    python("torch/distributed/rendezvous.py", "_create_c10d_store|\\w*_rendezvous_handler|rendezvous", "TCPStore",
           _W.RENDEZVOUS, Role.RENDEZVOUS),
    python("torch/distributed/elastic/utils/store.py", "barrier|synchronize|get_all|_barrier_nonblocking",
           "store barrier", _W.RENDEZVOUS, Role.RENDEZVOUS, Role.BARRIER),
    python("torch/distributed/elastic/rendezvous/",
           "next_rendezvous|run|_perform_operation|rendezvous_barrier|join_rendezvous|wait_for_peers"
           "|wait_for_rendezvous", "elastic rendezvous", _W.RENDEZVOUS, Role.RENDEZVOUS),
    python("torch/distributed/rpc/", "shutdown|_wait_all_workers|_all_gather|wait_all|init_rpc|_barrier", r"rpc.\g<0>",
           _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"c10d::Reducer::(finalize_b\w+)", "all_reduce", _W.COLLECTIVE, Role.COLLECTIVE, seen="1.8 to 2.13"),
    native(r"c10d::Reducer::(rebuild_buckets|sync_bucket_indices)", "broadcast", _W.COLLECTIVE, Role.COLLECTIVE),
    python("torch/nn/parallel/distributed.py",
           "_pre_forward|_sync_buffers|_sync_module_buffers|_sync_final_model|__init__", "broadcast of the model",
           _W.COLLECTIVE, Role.COLLECTIVE, callee="^$", weight=_G),
    python("torch/distributed/algorithms/join.py", "__exit__|notify_join_context|_notify_procs_to_terminate", "join()",
           _W.COLLECTIVE, Role.COLLECTIVE, seen="1.9 to 2.13"),
    native(r"c10d::verify_params_across_processes|c10d::broadcast_coalesced|c10d::\w*::sync_module_states", "broadcast",
           _W.COLLECTIVE, Role.COLLECTIVE),
    native(r"c10d::ops?::(?:\(anonymous namespace\)::)?(allreduce|allgather|broadcast|barrier|reduce"
           r"|reduce_scatter|alltoall|gather|scatter|send|recv)", r"\1", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    native(r"ProcessGroup(?:NCCL|Gloo|MPI|UCC|Wrapper)::(allreduce|allgather|broadcast|barrier|reduce"
           r"|reduce_scatter|alltoall|gather|scatter|send|recv|recvAnysource|monitoredBarrier)", r"\1", _W.COLLECTIVE,
           Role.COLLECTIVE, weight=_G),
    native(r"ProcessGroupWrapper::runCollectiveChecks|CollectiveFingerPrint::verify", "check of the collective",
           _W.COLLECTIVE, Role.COLLECTIVE),
    native(r"ProcessGroup(?:NCCL|Gloo|MPI|UCC)::(?:initNCCLComm|getNCCLComm|createNCCLComm)",
           "init of the communicator", _W.RENDEZVOUS, Role.COLLECTIVE, weight=_G),
    native(r"ProcessGroup\w*::(?:abort\w*|shutdown|waitForPendingWorks|~ProcessGroup\w*)|NCCLComm::(?:abort"
           r"|ncclCommAbort|finalize)", "abort of the communicator", _W.COLLECTIVE, Role.TEARDOWN),
    native(r"broadcastUniqueNCCLID", "exchange of the communicator's id", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    native(r"ProcessGroup\w+::(?:waitForFutureOrTimeout)", "abort of the communicator", _W.COLLECTIVE, Role.TEARDOWN),
    native(r"ProcessGroup\w+::RecvWork::wait", "recv", _W.COLLECTIVE, Role.COLLECTIVE),
    native(r"ProcessGroup\w+::SendWork::wait", "send", _W.COLLECTIVE, Role.COLLECTIVE),
    native(r"c10d::(?:\w+::)*\w*Work\w*::(?:wait|synchronize\w*)|ProcessGroup\w+::\w*Work\w*::(?:wait"
           r"|synchronize\w*)|c10d::wait_tensor|c10d::Work::wait", "Work.wait", _W.COLLECTIVE, Role.COLLECTIVE),
    native(r"(?:ncclCommWatchdog\w*|ProcessGroupNCCL::(?:watchdogHandler|heartbeatMonitor|workCleanupLoop"
           r"|Watchdog::\w+|HeartbeatMonitor::\w+|onCompletionHook\w*|runHookLoop)|HeartbeatMonitor::runLoop"
           r"|Watchdog::runLoop)", "", None, Role.PROXY, weight=_G, seen="1.8 to 2.13",
           not_for="It is idle while its group is healthy; it then says nothing."),
    native(r"TCPStore::(?:add|set|compareSet|check|waitForWorkers|multiSet|queue\w+|TCPStore)", "TCPStore.wait",
           _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"TCPStore::(?:wait|doWait|get|doGet|multi\w+)|detail::TCPClient::|FileStore::(?:wait|get)"
           r"|PrefixStore::(?:wait|get)|c10d::Store::(?:wait|get)", "TCPStore.wait", _W.RENDEZVOUS, Role.RENDEZVOUS,
           Role.KEY, not_for="Below whoever makes a group or a store it is that rendezvous which waits."),
    native(r"TCPStore(?:Master|Worker)Daemon::run|LibUVStoreDaemon::run|BackgroundThread::(?:run|start"
           r"|daemon)|TCPStoreBackend\w*", "", None, Role.PROXY, weight=_G),
    native(r"TensorPipeAgent::|tensorpipe::", "", None, Role.PROXY, weight=_G),
)  # fmt: skip

AUTOGRAD = (
    native(r"torch::autograd::Engine::thread_(?:init|main)|torch::autograd::python::PythonEngine::thread_init", "",
           None, weight=_G, home=True),
    native(r"torch::autograd::ReadyQueue::pop", "", _W.CONDITION, Role.IDLE, weight=_P),
    native(r"torch::autograd::(?:python::Python)?Engine::execute\w*", "backward", None, weight=_G),
    python("torch/autograd/graph.py|torch/autograd/__init__.py", "_engine_run_backward|backward|grad", "backward", None,
           weight=_P),
    native(r"\bat::(?:native::)?(?:item|_local_scalar_dense\w*)$|THPVariable_item", "Tensor.item", _W.DEVICE,
           weight=_P),
    native(r"at::native::(?:_local_scalar_dense_cuda|copy_kernel_cuda|copy_device_to_host\w*)", "copy from the device",
           _W.DEVICE, Role.DEVICE, weight=_G),
    python("torch/cuda/__init__.py", "synchronize", "cuda.synchronize", _W.DEVICE, Role.DEVICE),
    python("torch/cuda/streams.py", "synchronize", "stream's synchronize", _W.DEVICE, Role.DEVICE),
    python("torch/cuda/__init__.py", "_lazy_init|init", "cuda's init", None, weight=_G),
    python("torch/cuda/graphs.py", "replay|capture_begin|capture_end|__enter__|__exit__", r"CUDAGraph.\g<0>", _W.DEVICE,
           Role.DEVICE_LAUNCH),
    python("torch/multiprocessing/queue.py|torch/multiprocessing/reductions.py", ".*", "", None, weight=_P),
    native(r"at::cuda::CUDAGraph::(replay|capture_begin|capture_end|instantiate)", r"CUDAGraph.\1", _W.DEVICE,
           Role.DEVICE_LAUNCH, seen="1.10 to 2.13"),
    native(r"at::native::(?:nonzero|masked_select|unique\w*)_(?:out_)?cuda\w*", "copy from the device", _W.DEVICE,
           weight=_P, seen="1.8 to 2.13", not_for="Its result's size comes from the device, so it synchronises."),
    python("torch/_inductor/cudagraph_trees.py", "run|run_graph|replay|execute_node", "CUDAGraph.replay", None,
           weight=_G, seen="2.1 to 2.13"),
    native(r"c10::cuda::CUDACachingAllocator::.*(?:malloc|free|alloc_block|release_cached_blocks" r"|synchronize)\w*",
           "cuda allocator", None, weight=_G),
    native(r"at::internal::(?:invoke_parallel|_parallel_run)|at::(?:set_num_threads|parallel_for)", "parallel_for",
           None, weight=_P),
)  # fmt: skip

LOADER = (
    python("torch/utils/data/dataloader.py", "__next__|_next_data|_get_data|_try_get_data|_process_data",
           "DataLoader.__next__", _W.INPUT, Role.INPUT_NEXT),
    python("torch/utils/data/dataloader.py", "_shutdown_workers|_clean_up_worker", "DataLoader's shutdown", _W.CHILD,
           Role.TEARDOWN, weight=Weight.FINAL),
    python("torch/utils/data/dataloader.py", "__iter__|_get_iterator|__init__|_reset", "DataLoader.__iter__", None,
           weight=_G),
    python("torch/utils/data/_utils/worker.py", "_worker_loop", "", None, Role.INPUT_MAKE, weight=_G, home=True),
    python("torch/utils/data/_utils/pin_memory.py", "_pin_memory_loop|do_one_step", "", None, Role.PROXY, weight=_G),
    native(r"_pin_memory_loop", "", None, Role.PROXY, weight=_G),
    native(r"_worker_loop$", "", None, Role.INPUT_MAKE, weight=_G, home=True),
    python("torch/utils/data/_utils/fetch.py", "fetch", "", None, Role.INPUT_MAKE, weight=_P),
)  # fmt: skip

COMPILERS = (
    python("torch/_dynamo/convert_frame.py", "_compile\\w*|__call__|compile_inner|transform", "torch.compile", None,
           Role.COMPILE, weight=_G),
    python("torch/_inductor/async_compile.py", "wait|_wait_futures|warm_pool|wait_pool_ready", "inductor compile",
           _W.CHILD, Role.COMPILE, Role.POOL_WAIT),
    python("torch/_inductor/codecache.py",
           "result|load|compile|get_lock\\w*|load_async|_worker_compile_cpp|_compile_consts", "inductor compile", None,
           Role.COMPILE, weight=_G),
    python("torch/_inductor/compile_fx.py", ".*", "inductor compile", None, Role.COMPILE, weight=_P),
    python("torch/_inductor/compile_worker/", "_main|main|_read_thread|do_job|_recv_msg", "", None, Role.PROXY,
           weight=_G),
    python("torch/_inductor/runtime/", "autotune_to_one_config|benchmark_all_configs|precompile|_precompile\\w*",
           "autotuning", None, Role.COMPILE, weight=_G),
    python("triton/compiler/|triton/runtime/build.py", "compile|_build|make_\\w+|ast_to_ttir", "triton compile", None,
           Role.COMPILE, weight=_G),
    python("triton/runtime/autotuner.py", "run|_bench", "triton autotuning", None, Role.COMPILE, weight=_P),
    python("torch/utils/cpp_extension.py", "_jit_compile|_write_ninja_file\\w*|_run_ninja_build|load|load_inline",
           "build of an extension", None, Role.COMPILE, weight=_G),
    python("torch/utils/file_baton.py|torch/utils/_file_baton.py", "wait", "FileBaton.wait", _W.FILE, Role.FILE_LOCK,
           seen="1.0 to 2.13",
           not_for="A lock file outlives whoever made it: that it exists does not say that anybody builds."),
    native(r"torch::inductor|torch::jit::(?:tensorexpr|fuser)", "", None, weight=_P),
)  # fmt: skip

CHECKPOINTS = (
    python("torch/serialization.py", "save|load|_save|_load|_legacy_save|_legacy_load", r"torch.\g<0>", None, Role.SAVE,
           weight=_G),
    python("torch/distributed/checkpoint/",
           "save\\w*|load\\w*|async_save|write_data|read_data|reduce_scatter|all_reduce|all_gather"
           "|finish_\\w+|commit_\\w+|finalize\\w*", "distributed checkpoint", None, Role.SAVE, weight=_G),
)  # fmt: skip

LAUNCHERS = (
    python("torch/distributed/elastic/agent/server/", "_invoke_run|run|_monitor_workers|_exit_barrier", "torchrun",
           _W.CHILD, Role.SPAWN, weight=_G),
    python("torch/distributed/elastic/multiprocessing/", "wait|join|_poll|_wait|close|_close", "torchrun", _W.CHILD,
           Role.SPAWN, weight=_G),
    python("torch/distributed/elastic/timer/|torch/distributed/elastic/multiprocessing/tail_log.py", ".*", "", None,
           Role.PROXY, weight=_G),
    python("torch/multiprocessing/spawn.py", "join|start_processes|spawn", "mp.spawn", _W.CHILD, Role.SPAWN),
    python("torch/distributed/launch.py", "main|launch|sigkill_handler", "torch.distributed.launch", _W.CHILD,
           Role.SPAWN, weight=_G),
)  # fmt: skip

SYMBOLS = (*GROUPS, *AUTOGRAD, *LOADER, *COMPILERS, *CHECKPOINTS, *LAUNCHERS)
