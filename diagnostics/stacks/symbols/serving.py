"""Inference servers: vLLM and SGLang."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Owner, Weight, python

OWNER = Owner.APPLICATION
PACKAGES = (
    "lmcache",
    "vllm",
    "sglang",
    "sgl_kernel",
    "vllm_ascend",
    "lmdeploy",
    "tensorrt_llm",
    "flashinfer",
    "tritonserver",
)
_G, _P = Weight.GENERAL, Weight.PRIMITIVE
_W = WaitKind
_COMMUNICATORS = "distributed/device_communicators"
_SHM = f"vllm/{_COMMUNICATORS}/shm_broadcast.py|sglang/srt/{_COMMUNICATORS}/shm_broadcast.py"

SYMBOLS = (
    python("vllm/v1/engine/core.py", "process_input_sockets|process_output_sockets", "", None, Role.PROXY, weight=_G),
    python("vllm/v1/engine/core.py", "_process_input_queue", "next request", _W.CONDITION, Role.SERVE, Role.IDLE,
           callee="get"),
    python("vllm/v1/executor/multiproc_executor.py|vllm/executor/multiproc_worker_utils.py", "worker_busy_loop",
           "next request", _W.CONDITION, Role.SERVE, Role.IDLE, callee="dequeue|acquire_read",
           not_for="It also waits so for an engine that is itself stuck."),
    python("vllm/v1/executor/multiproc_executor.py", "_wait_for_response", "collective_rpc", _W.CHILD, Role.POOL_WAIT,
           weight=_G),
    python("vllm/v1/engine/utils.py", "_run", "", None, Role.PROXY, weight=_G),
    python("lmcache/", "_main_loop|_heartbeat\\w*|_worker_loop", "", None, Role.PROXY, weight=_G),
    python(_SHM, "dequeue|acquire_read|recv|wait", "MessageQueue.dequeue", _W.CONDITION, Role.QUEUE_GET,
           seen="vLLM 0.4 to 0.21", not_for="A worker between two requests waits here as well."),
    python(_SHM, "enqueue|acquire_write|send", "MessageQueue.enqueue", _W.CONDITION, Role.QUEUE_PUT,
           seen="vLLM 0.4 to 0.21", not_for="The ring is full: a reader does not read."),
    python(_SHM, "wait_until_ready", "MessageQueue.wait_until_ready", _W.RENDEZVOUS, Role.RENDEZVOUS),
    python(_SHM, "broadcast_object", "broadcast_object", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    python("vllm/v1/executor/multiproc_executor.py", "worker_busy_loop", "", None, Role.SERVE, weight=_G),
    python("vllm/v1/executor/multiproc_executor.py",
           "get_response|collective_rpc|wait_for_response_handle_ready|result", "collective_rpc", _W.CHILD,
           Role.POOL_WAIT, weight=_G),
    python("vllm/v1/executor/multiproc_executor.py", "wait_for_ready|_init_executor", "start of the workers",
           _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    python("vllm/v1/executor/multiproc_executor.py", "monitor_workers|monitor_death_pipe|async_output_busy_loop", "",
           None, Role.PROXY, weight=_G),
    python("vllm/v1/engine/core.py", "_process_input_queue|process_input_sockets|process_output_sockets",
           "engine's queue", _W.CONDITION, Role.SERVE, weight=_G, home=True),
    python("vllm/v1/engine/core.py", "run_busy_loop|run_engine_core|_process_engine_step", "", None, Role.SERVE,
           weight=_P),
    python("vllm/v1/engine/core_client.py",
           "get_output|_get_output|wait_for_engine\\w*|process_outputs_socket|validate_alive" "|monitor_engine_cores",
           "engine's answer", _W.CHILD, Role.POOL_WAIT, weight=_G),
    python("vllm/v1/engine/utils.py|vllm/v1/utils.py", "wait_for_engine_startup|wait_for_completion_or_failure",
           "start of the engine", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    python("vllm/distributed/parallel_state.py|sglang/srt/distributed/parallel_state.py", "barrier", "barrier",
           _W.COLLECTIVE, Role.COLLECTIVE, Role.BARRIER, weight=_G),
    python("vllm/distributed/parallel_state.py|sglang/srt/distributed/parallel_state.py",
           "all_reduce|_all_reduce\\w*|all_gather\\w*|reduce_scatter\\w*|broadcast\\w*|gather|send\\w*"
           "|recv\\w*|graph_capture", r"\g<0>", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    python("vllm/distributed/parallel_state.py|sglang/srt/distributed/parallel_state.py",
           "init_distributed_environment|initialize_model_parallel|init_model_parallel_group|init_world_group",
           "init_process_group", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    python("vllm/distributed/device_communicators/|sglang/srt/distributed/device_communicators/",
           "all_reduce|custom_all_reduce|all_gather|reduce_scatter", r"\g<0>", _W.COLLECTIVE, Role.COLLECTIVE,
           weight=_G),
    python("vllm/v1/worker/gpu_worker.py", "compile_or_warm_up_model|determine_available_memory", r"\g<0>", None,
           Role.COMPILE, weight=_P),
    python("vllm/v1/worker/gpu_model_runner.py|vllm/v1/worker/gpu_worker.py",
           "capture_model|_capture_cudagraphs|load_model", r"\g<0>", None, weight=_G),
    python("sglang/srt/managers/scheduler.py", "watchdog_thread", "", None, Role.PROXY, weight=_G),
    python("sglang/srt/managers/scheduler.py", "recv_requests", "recv_requests", None, Role.SERVE, weight=_G),
    python("sglang/srt/managers/scheduler.py", "event_loop_\\w+|run_scheduler_process|run_batch", "", None, Role.SERVE,
           weight=_P),
    python("sglang/srt/utils.py|sglang/srt/utils/common.py", "broadcast_pyobj|point_to_point_pyobj", r"\g<0>",
           _W.COLLECTIVE, Role.COLLECTIVE),
    python("sglang/srt/utils.py|sglang/srt/utils/common.py|sglang/srt/utils/watchdog.py",
           "pyspy_dump_schedulers|\\w*watchdog\\w*", "", None, Role.PROXY, weight=_G),
    python("sglang/srt/managers/data_parallel_controller.py|sglang/srt/managers/detokenizer_manager.py", "event_loop",
           "", None, Role.SERVE, weight=_G, home=True),
    python("sglang/srt/disaggregation/",
           "poll|poll_and_all_reduce|recv|receive\\w*|transfer_worker|bootstrap_thread|heartbeat_checker"
           "|decode_thread", "transfer of the cache", _W.SOCKET, weight=_G, home=True),
)  # fmt: skip
