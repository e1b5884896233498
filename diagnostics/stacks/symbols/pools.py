"""Thread pools of numeric libraries: OpenMP, Eigen, BLAS, TBB, ATen's and Caffe2's."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native

LIBRARIES = r"^(lib(gomp|iomp5|omp|openblas|mkl|blis|tbb|dnnl|mkldnn|scipy_openblas)[\w.-]*)$"
_G, _P = Weight.GENERAL, Weight.PRIMITIVE

SYMBOLS = (
    native(r"WaitForWork|Eigen::EventCount::|Eigen::\w*ThreadPoolTempl<.*>::(?:WaitForWork)"
           r"|tsl::thread::EigenEnvironment", "", None, Role.IDLE, weight=_P),
    native(r"(?:NonBlocking)?ThreadPoolTempl<.*>::WorkerLoop|::WorkerLoop|ThreadPoolInterface"
           r"|Eigen::\w*ThreadPool\w*::", "", None, weight=_G, home=True),
    native(r"^\?*$", "OpenMP region", WaitKind.CONDITION, weight=_G, library=r"^lib(gomp|iomp5|omp)[-.]", home=True),
    native(r"^gomp_thread_start", "", None, weight=_G, home=True),
    native(r"^(?:gomp_(?:team_)?barrier_wait\w*|gomp_simple_barrier_wait|gomp_team_end|GOMP_barrier"
           r"|gomp_barrier_\w+|__kmp_(?:hyper_)?barrier\w*|__kmp_join_barrier|__kmpc_barrier)", "OpenMP barrier",
           WaitKind.CONDITION, weight=_P),
    native(r"^GOMP_(?:parallel\w*|loop\w*|critical\w*|sections\w*|task\w*)|^__kmpc_fork_call|^__kmp_fork_call"
           r"|^gomp_team_start|^GOMP_parallel", "OpenMP region", WaitKind.CONDITION, weight=_G),
    native(r"^(?:__kmp_fork_barrier|__kmp_launch_worker|__kmp_launch_thread|__kmp_suspend\w*" r"|__kmp_launch_monitor)",
           "", None, Role.IDLE, weight=_P),
    native(r"^blas_thread_server|^blas_thread_\w+", "", None, Role.IDLE, weight=_P),
    native(r"^exec_blas\w*|^(?:cblas_)?[sdcz](?:gemm|gemv|dot|axpy|syrk|trsm)\w*|^gemm_thread\w*"
           r"|^inner_(?:advanced_)?thread", "BLAS", None, weight=_G),
    native(r"^goto_set_num_threads|^openblas_fork_handler|^blas_thread_shutdown_?", "BLAS's fork handler", None,
           Role.FORKED, weight=_P),
    native(r"^tbb::\w*(?:worker|arena|market|wait)|^rml::", "", None, Role.IDLE, weight=_P),
    native(r"c10::ThreadPool::main_loop|at::\w*::PTThreadPool|caffe2::\w*ThreadPool"
           r"|^thread_main \(pthreadpool|^pthreadpool_\w+", "", None, weight=_G, home=True),
)  # fmt: skip
