"""TensorFlow 1 and 2: sessions, steps, datasets, queues, collectives, coordination."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = (
    "tensorflow",
    "tensorflow_core",
    "tensorflow_estimator",
    "keras",
    "tf_keras",
    "tensorboard",
    "tensorflow_io",
)
LIBRARIES = r"^(libtensorflow\w*|_?pywrap_\w+|libtfkernel\w*|_dtensor\w*)[\w.-]*$"
NAMESPACE = r"\btensorflow::"
_G, _P = Weight.GENERAL, Weight.PRIMITIVE
_W = WaitKind
_PY = "tensorflow/python/"

SESSIONS = (
    native(r"(LocalMaster|GrpcRemoteMaster)::RunStep|GrpcSession::Run", "RunStep", _W.STEP, Role.STEP, Role.REMOTE,
           seen="1.4 to 2.21", not_for="Which rank the step waits for, the stack does not tell."),
    native(r"MasterSession::(Run|DoRun\w*|PartialRun)|Master::RunStep|ReffedClientGraph::RunPartitions", "RunStep",
           _W.STEP, Role.STEP),
    native(r"DirectSession::(WaitForNotification|Run)", "Session.run", _W.STEP, Role.STEP, seen="1.4 to 2.21",
           not_for="A step in the process's own session: no other rank takes part, unless its operations ask for it."),
    native(r"(Master|LocalMaster|GrpcRemoteMaster)::(CloseSession|Reset)|GrpcSession::(Close|Reset)"
           r"|MasterSession::Close|TF_(CloseSession|Reset)", "Session.close", _W.STEP, Role.TEARDOWN,
           seen="1.4 to 2.21"),
    native(r"Master::CreateSession|DeviceFinder|GrpcSession::Create\w*|MasterSession::Create|NewRemoteDevices",
           "CreateSession", _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"GrpcServer::Join|TF_ServerJoin", "Server.join", _W.JOIN, Role.SERVE),
    native(r"TF_DeleteSession|DirectSession::~DirectSession|SessionState::~", "Session.close", _W.STEP, Role.TEARDOWN,
           weight=_G),
    native(r"Grpc(Master|Worker|Eager|Coordination)\w*::HandleRPCsLoop|GrpcWorkerServiceThread::\w+", "", None,
           Role.SERVE, weight=_G, home=True),
    native(r"EagerServiceImpl::|GrpcWorkerEnv", "", None, Role.SERVE, weight=_G, home=True, serves_many=True),
    python(f"{_PY}client/session.py", "_run_fn", "CreateSession", _W.RENDEZVOUS, Role.RENDEZVOUS,
           callee="_extend_graph"),
    python(f"{_PY}client/session.py", "_run_fn|_call_tf_sessionp?run|_prun_fn", "Session.run", _W.STEP, Role.STEP,
           weight=_G),
    python(f"{_PY}client/session.py", "close|__del__", "Session.close", _W.STEP, Role.TEARDOWN, weight=_G),
    python(f"{_PY}training/session_manager.py", "wait_for_session", "wait_for_session", _W.RENDEZVOUS, Role.RENDEZVOUS),
    python(f"{_PY}training/monitored_session.py", "create_session|_create_session", "CreateSession", None, weight=_G),
    python(f"{_PY}training/coordinator.py", "join", "Coordinator.join", _W.JOIN, Role.TEARDOWN, weight=_G),
    python(f"{_PY}training/server_lib.py", "join", "Server.join", _W.JOIN, Role.SERVE),
    python(f"{_PY}training/basic_session_run_hooks.py", "before_run|after_run|end|begin|after_create_session", "", None,
           Role.CALLBACK, weight=_G),
    python(f"{_PY}training/saver.py", "save|restore", r"Saver.\g<0>", None, Role.SAVE, weight=_G),
)  # fmt: skip

QUEUES = (
    python(f"{_PY}training/queue_runner_impl.py", "_run|_close_on_stop", "QueueRunner", None, Role.INPUT_MAKE,
           weight=_G),
    native(r"QueueRunner::(Run|Start\w*)", "QueueRunner", None, Role.INPUT_MAKE, weight=_G),
    native(r"ReaderBase::GetNextWorkLocked", "Reader.read", _W.CONDITION, Role.QUEUE_GET, Role.OPERATION),
    native(r"(Queue|FIFOQueue|PaddingFIFOQueue|RandomShuffleQueue|PriorityQueue|Barrier)\w*::(TryDequeue\w*)",
           "dequeue", None, Role.QUEUE_GET),
    native(r"(Queue|FIFOQueue|PaddingFIFOQueue|RandomShuffleQueue|PriorityQueue|Barrier)\w*::(TryEnqueue\w*)",
           "enqueue", None, Role.QUEUE_PUT),
    native(r"(Unstage|MapUnstage\w*|OrderedMapUnstage\w*)Op::Compute", r"\1", _W.CONDITION, Role.QUEUE_GET,
           Role.OPERATION, not_for="It keeps its thread of the pool for as long as it waits."),
    native(r"(Stage|MapStage\w*|OrderedMapStage\w*)Op::Compute", r"\1", _W.CONDITION, Role.QUEUE_PUT, Role.OPERATION),
)  # fmt: skip

INPUT = (
    native(r"(?:Multi)?(?:Device)?Iterator(?:V2)?(?:GetNext\w*|FromStringHandle\w*)", "IteratorGetNext", _W.INPUT,
           Role.INPUT_NEXT, Role.OPERATION, not_for="Dataset iterators of the pipeline itself make the batch."),
    native(r"StartMemoryLoggerThread", "", None, Role.IDLE, weight=_G),
    native(r"StdThread::~StdThread|PThread::~PThread", "", _W.JOIN, weight=_P),
    native(r"Model::OptimizeLoop", "autotuner", _W.TIME, Role.IDLE, Role.TUNER, weight=_G, seen="2.4 to 2.21"),
    native(r"RootDataset::Iterator::~Iterator", "end of the iterator", _W.JOIN, Role.TEARDOWN, Role.INPUT_END,
           seen="2.21"),
    native(r"IteratorResource::~IteratorResource", "end of the iterator", _W.JOIN, Role.TEARDOWN, seen="2.21"),
    native(r"UnboundedThreadPool::(PooledThreadFunc|RunTask)", "", None, weight=_G, home=True),
    native(r"DatasetIterator|DatasetOp::Dataset|DatasetBaseIterator|DatasetOp::\w*Dataset::Iterator"
           r"|::CapturedFunction::", "", None, Role.INPUT_MAKE, weight=_P),
    python(f"{_PY}data/ops/iterator_ops.py", "__next__|get_next|_next_internal", "Iterator.__next__", _W.INPUT,
           Role.INPUT_NEXT),
    python(f"{_PY}ops/script_ops.py", "__call__", "", None, Role.CALLBACK, weight=_P),
    python(f"{_PY}data/ops/dataset_ops.py|{_PY}data/ops/from_generator_op.py",
           "generator_py_func|generator_next_fn|_get_next", "", None, Role.INPUT_MAKE, weight=_P),
)  # fmt: skip

OPERATIONS = (
    native(r"EventMgr::PollLoop", "", None, Role.PROXY, weight=_G,
           seen="tensorflow/tensorflow#73764, horovod/horovod#2107",
           not_for="It polls the events of all streams, and does nothing else while there are none."),
    native(r"NcclManager::LoopKernelLaunches", "", None, Role.PROXY, weight=_G,
           seen="TensorFlow's sources, 1.5 to 2.16"),
    native(r"(?:BaseGPUDevice|GPUUtil)::Sync\w*|GPUUtil::Copy\w+", "copy to or from the device", _W.DEVICE, Role.DEVICE,
           weight=_G, seen="tensorflow/tensorflow#73764"),
    native(r"AllocatorRetry::AllocateRaw", "allocation of the device's memory", _W.CONDITION, Role.DEVICE, weight=_G,
           seen="TensorFlow's sources, 1.x to 2.x", not_for="It waits until another operation frees memory, or 10 s."),
    native(r"CollectiveReduce\w*|RingReducer|NcclReducer", "all_reduce", _W.COLLECTIVE, Role.COLLECTIVE,
           Role.OPERATION),
    native(r"CollectiveGather\w*|RingGatherer|NcclGatherer", "all_gather", _W.COLLECTIVE, Role.COLLECTIVE,
           Role.OPERATION),
    native(r"CollectiveBcast\w*|HierarchicalTreeBroadcaster|NcclBroadcaster", "broadcast", _W.COLLECTIVE,
           Role.COLLECTIVE, Role.OPERATION),
    native(r"CollectiveAllToAll\w*", "all_to_all", _W.COLLECTIVE, Role.COLLECTIVE, Role.OPERATION),
    native(r"RpcCollectiveExecutorMgr|CollectiveParamResolver\w*::CompleteGroup\w*", "collective's group",
           _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"PyFuncOp|PyFuncOpBase|DoCallPyFunc", "py_function", None, Role.OPERATION, Role.CALLBACK, weight=_G),
    native(r"(\w+?)(?:Op|Kernel)(?:<.*>)?::Compute(?:Async)?", r"\1", None, Role.OPERATION, weight=_G),
    native(r"::Compute(?:Async)?(?:\(|$)|ExecutorState(?:<.*>)?::(?:Process|RunTask|ProcessSync|ProcessInline)", "",
           None, Role.OPERATION, weight=_P,
           not_for="ComputeAsync returns: an operation that waits without a thread is not seen."),
    native(r"ProcessFunctionLibraryRuntime::RunSync", "tf.function", None, weight=_G, shared=True),
    native(r"KernelAndDeviceFunc::Run", "tf.function", None, weight=_G),
    native(r"EagerContext::(SyncExecutors|ClearCaches|WaitForAndCloseRemoteContexts)"
           r"|EagerExecutor::WaitForAllPendingNodes", "Context.sync_executors", _W.STEP, Role.STEP, weight=_G),
    native(r"EagerExecutor::Run(Item)?", "", None, weight=_G, home=True),
    native(r"XlaCompilationCache::Compile\w*|XlaCompiler::Compile\w*|DeviceCompiler::Compile\w*", "XLA compile", None,
           Role.COMPILE),
)  # fmt: skip

TWO = (
    native(r"PThread::ThreadFn", "", None, weight=_G, home=True),
    native(r"CoordinationService\w*::(?:CheckStaleness|StartSendingHeartbeats|\w*Heartbeat\w*)", "", None, Role.PROXY,
           weight=_G),
    python(f"{_PY}eager/execute.py|{_PY}eager/polymorphic_function/", "quick_execute|_call_flat|__call__",
           "tf.function", None, weight=_G),
    python(f"{_PY}eager/context.py",
           "ensure_initialized|_initialize_physical_devices|configure_collective_ops|_update_cluster",
           "Context.ensure_initialized", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    python(f"{_PY}eager/context.py", "sync_executors|async_wait", r"Context.\g<0>", _W.STEP, Role.STEP, weight=_G),
    python(f"{_PY}distribute/collective_all_reduce_strategy.py", "_check_health", "", None, Role.PROXY, weight=_G),
    python(f"{_PY}distribute/collective_all_reduce_strategy.py", "_initialize_multi_worker|_start_check_health_thread",
           "MultiWorkerMirroredStrategy", _W.RENDEZVOUS, Role.RENDEZVOUS),
    python(f"{_PY}distribute/coordinator/cluster_coordinator.py", "join|schedule|fetch", r"ClusterCoordinator.\g<0>",
           _W.CONDITION, Role.POOL_WAIT),
    python(f"{_PY}distribute/coordinator/cluster_coordinator.py",
           "_process_queue|_process_closure|_process_resource_closure", "", None, Role.POOL_TASK, weight=_G, home=True),
    python(f"{_PY}distribute/coordinator/cluster_coordinator.py", "wait_on_failure|_preemption_handler|_loop", "", None,
           Role.PROXY, weight=_G),
    python(f"{_PY}checkpoint/checkpoint.py", "save|write|restore|read", r"Checkpoint.\g<0>", None, Role.SAVE,
           weight=_G),
    python("keras/src/trainers/trainer.py", "evaluate|test_step", "evaluate", None, Role.EVALUATE, weight=_P),
    python("keras/src/callbacks/", "on_.*", "", None, Role.CALLBACK, weight=_P),
    python("keras/src/backend/tensorflow/trainer.py", "evaluate", "", None, Role.EVALUATE, weight=_P),
    native(r"CoordinationServiceAgent\w*::(Connect|WaitForAllTasks)|CoordinationServiceAgentImpl::\w*Connect",
           "coordination service", _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"CoordinationServiceAgent\w*::WaitAtBarrier", "barrier", _W.RENDEZVOUS, Role.BARRIER, Role.RENDEZVOUS),
    native(r"CoordinationServiceAgent\w*::GetKeyValue", "key-value store", _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"CoordinationServiceAgent\w*::(Shutdown|ShutdownInternal)", "coordination service's shutdown",
           _W.RENDEZVOUS, Role.TEARDOWN, Role.BARRIER),
    native(r"CoordinationService\w*::(StartHeartbeat|CheckHeartbeat|PollForError|StartPolling"
           r"|StartCheckStaleness)\w*", "", None, Role.PROXY, weight=_G),
)  # fmt: skip

SYMBOLS = (*SESSIONS, *QUEUES, *INPUT, *OPERATIONS, *TWO)
