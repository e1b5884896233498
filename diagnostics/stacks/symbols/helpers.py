"""Small libraries of which threads are seen in jobs: progress bars, loggers, notebooks, debuggers, lock files."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = (
    "tqdm", "wandb", "mlflow", "comet_ml", "neptune", "clearml", "aim", "sentry_sdk", "tensorboardX", "swanlab",
    "ipykernel", "IPython", "jupyter_client", "jupyter_core", "zmq", "tornado", "traitlets", "debugpy", "pydevd",
    "_pydevd_bundle", "pydev_ipython", "pudb", "ipdb", "filelock", "portalocker", "fasteners", "watchdog", "psutil",
    "loguru", "rich", "click", "typer", "fire", "hydra", "omegaconf", "absl", "requests", "urllib3", "httpx",
    "httpcore", "aiohttp", "uvloop", "uvicorn", "fastapi", "starlette", "anyio", "pydantic", "websockets", "flask",
    "gunicorn", "gevent", "eventlet", "greenlet", "fsspec", "s3fs", "gcsfs", "boto3", "botocore", "s3transfer",
    "aiobotocore", "azure", "smart_open", "google", "huggingface_hub", "datasets", "tokenizers", "safetensors",
    "evaluate", "sentencepiece", "tiktoken", "multiprocess", "joblib", "loky", "cloudpickle", "dill", "pathos",
    "sklearn", "pandas", "pyarrow", "polars", "PIL", "cv2", "albumentations", "imageio", "decord", "av", "h5py",
    "lmdb", "zarr", "webdataset", "litdata", "dali", "nvidia", "einops", "xformers", "flash_attn", "apex",
    "transformer_engine", "bitsandbytes", "networkx", "sympy", "matplotlib", "setuptools", "pkg_resources", "pip",
    "six", "decorator", "wrapt", "tenacity", "retry", "backoff", "attr", "attrs", "msgpack", "orjson", "yaml",
    "jinja2", "pluggy", "_pytest", "pytest", "xdist", "execnet", "coverage", "line_profiler", "memory_profiler",
    "viztracer", "dask", "distributed", "pyspark", "py4j", "redis", "pymongo", "sqlalchemy", "psycopg2", "kazoo",
    "etcd3", "paramiko", "submitit", "diagnostics", "lastbatch",
)  # fmt: skip
LIBRARIES = (
    r"^(_zmq|libzmq|_pydevd\w*|libuv|_lmdb|liblmdb|libhdf5|h5py\w*|_imaging|cv2|libopencv\w*|libturbojpeg|libjpeg|libpng"
    r"|_cffi\w*|lib(ssl|crypto|curl|z|zstd|lz4|sqlite3|ffi|pq|event\w*|ibverbs|rdmacm|mlx5|numa)|_ctypes|_ssl|_socket"
    r"|_multiprocessing|_posixsubprocess|_queue|_asyncio|select|psutil\w*)[\w.-]*\.so[\w.]*$"
)
_G, _P = Weight.GENERAL, Weight.PRIMITIVE

SYMBOLS = (
    python("tqdm/_monitor.py", "run", "", None, Role.IDLE, weight=_G),
    python("wandb/", "_loop_check_status|check_\\w*status|_thread_body|thread_\\w*run|_stdout_raw_read|_on_\\w+"
           "|loop_read|loop_check|_run_until_\\w*|_drain|_wait_thread\\w*|check_network_status"
           "|check_stop_status|check_internal_messages", "", None, Role.IDLE, weight=_G),
    python("wandb/", "finish|_atexit_cleanup|_on_finish|join|teardown|_teardown|_join|shutdown", "wandb.finish",
           WaitKind.CHILD, Role.TEARDOWN, weight=_G),
    python("wandb/", "init|_deliver_run|wait|_wait_for_run|wait_or|wait_with_progress|publish|_send_server_request"
           "|read_server_response|_read_packet_bytes", "wandb", WaitKind.SOCKET, weight=_G),
    python("sentry_sdk/worker.py|sentry_sdk/sessions.py|sentry_sdk/monitor.py", "_target|_thread|run", "", None,
           Role.IDLE, weight=_G),
    python("tensorboardX/event_file_writer.py|torch/utils/tensorboard/_writer.py"
           "|tensorboard/summary/writer/event_file_writer.py", "run|_run", "", None, Role.IDLE, weight=_G, home=True),
    python("mlflow/", "_logging_loop|monitor|_log_\\w*loop|run", "", None, Role.IDLE, weight=_G),
    python("comet_ml/", "_loop|run|flush\\w*", "", None, Role.IDLE, weight=_G),
    python("ipykernel/|zmq/|IPython/core/history.py|tornado/|jupyter_client/",
           "run|start|run_forever|_event_pipe_gc|_watch_pipe_fd|writeout_cache|_run_event_pipe_gc|run_sync"
           "|_watch_pipe_fd|needs_sqlite", "", None, Role.IDLE, weight=_G),
    python("ipykernel/kernelapp.py", "start", "notebook's kernel", WaitKind.WORLD, Role.EVENT_LOOP, Role.SERVE,
           weight=_G),
    python("IPython/terminal/|prompt_toolkit/", "mainloop|interact|prompt|prompt_for_code|run", "prompt",
           WaitKind.TERMINAL, Role.DEBUGGER, weight=_G),
    python("debugpy/|_pydevd_bundle/|pydevd.py",
           "do_wait_suspend|_do_wait_suspend|_wait_for_\\w+|wait_for_client|trace_dispatch"
           "|do_stop_on_unhandled_exception", "debugger", WaitKind.TERMINAL, Role.DEBUGGER),
    python("debugpy/|_pydevd_bundle/|pydevd.py|_pydev_bundle/", ".*", "", None, Role.IDLE, weight=_P),
    python("filelock/_api.py|filelock/_soft.py|filelock/_unix.py", "acquire|__enter__|_acquire", "FileLock.acquire",
           WaitKind.FILE, Role.FILE_LOCK, seen="3.0 to 3.20",
           not_for="A lock file outlives its owner only where it is a soft one: see who has it open."),
    native(r"^(?:sqlite3InvokeBusyHandler|sqliteDefaultBusyCallback)", "SQLite's lock", WaitKind.FILE, Role.FILE_LOCK,
           library=r"^(libsqlite3|_sqlite3)", seen="3.34 to 3.46",
           not_for="It asks again until its timeout ends; who holds the lock is in the middle of a transaction."),
    python("portalocker/utils.py|fasteners/process_lock.py", "acquire|__enter__|\\w*_acquire", "FileLock.acquire",
           WaitKind.FILE, Role.FILE_LOCK),
    python("watchdog/", "run|dispatch_events|queue_events", "", None, Role.IDLE, weight=_G),
    python("joblib/parallel.py", "retrieve|_retrieve|__call__|_get_outputs", "Parallel", WaitKind.CONDITION,
           Role.POOL_WAIT),
    python("joblib/externals/loky/process_executor.py", "_process_worker", "", None, Role.POOL_TASK, weight=_G,
           home=True),
    python("joblib/externals/loky/process_executor.py", "wait_result_broken_or_wakeup|run", "", None, Role.PROXY,
           weight=_G),
    python("apscheduler/", "_main_loop", "", None, Role.IDLE, weight=_G, home=True),
    python("huggingface_hub/|datasets/",
           "http_get|snapshot_download|hf_hub_download|_download_to_tmp_and_move|_download\\w*|thread_map"
           "|load_dataset", "download", WaitKind.SOCKET, weight=_G),
    python("requests/|urllib3/|httpx/|httpcore/|aiohttp/|boto3/|botocore/|s3fs/|gcsfs/",
           "request|urlopen|send|handle_request|_make_api_call|_request", "HTTP request", WaitKind.SOCKET, weight=_G),
    python("torchdata/stateful_dataloader/worker.py", "_worker_loop", "", None, Role.INPUT_MAKE, weight=_G, home=True),
    python("torchdata/stateful_dataloader/stateful_dataloader.py", "__next__|_next_data|_get_data|_try_get_data",
           "DataLoader.__next__", WaitKind.INPUT, Role.INPUT_NEXT),
    python("gevent/|eventlet/", "run|wait|switch|_run_event_loop", "", None, Role.EVENT_LOOP, weight=_P),
    native(r"^zmq::(?:epoll_t|select_t|poll_t|worker_poller_base_t|thread_t)|^zmq::\w+::loop"
           r"|^zmq::signaler_t::wait", "", None, Role.IDLE, weight=_G),
    native(r"^uv_(?:_io_poll|run|__io_poll)|^uv__io_poll|^worker$", "event loop", None, Role.EVENT_LOOP, weight=_P,
           library=r"^(loop|libuv|uvloop|libnode)"),
)  # fmt: skip
