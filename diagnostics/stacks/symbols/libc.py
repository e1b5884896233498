"""The C library's waits: what every other wait is made of."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Owner, Weight, native

OWNER = Owner.SYSTEM
LIBRARIES = (
    r"^(libc|libc-[\d.]+|libpthread(-[\d.]+)?|ld-linux[\w.-]*|ld-musl[\w.-]*|libm|libdl|librt|libstdc\+\+|libgcc_s|\[?vdso\]?"
    r"|linux-vdso|libnsl|libresolv|libsystem_\w+|libdyld)(\.so[\d.]*|\.dylib)?$"
    r"|^(pthread_\w+|futex-internal|lowlevellock\w*|sem_\w+|libc[-_]start\w*|clone\d*|cxa_atexit|syscall\w*|condvar|condition_variable"
    r"|compatibility-\w+|unix-syscall\w*|sysv_\w+|nptl\w*|exit|raise|fork|arch-fork)\.(c|cc|h|S)$"
)
_P = Weight.PRIMITIVE
_ANY = r"^_*(?:GI_+)?(?:libc_|new_|old_)?_*"
_END = r"(?:64)?(?:_nocancel)?(?:_slow\w*|_fast\w*|_common|_full)?(?:\.constprop\.\d+|\.part\.\d+|\.cold)*$"

SYMBOLS = (
    native(r"^_*(?:lll_lock_wait\w*|lll_lock_elision|GI_+pthread_mutex_lock|pthread_mutex_(?:lock|cond_lock"
           r"|clocklock|timedlock)\w*)", "pthread_mutex_lock", WaitKind.LOCK, weight=_P, hard=True,
           seen="glibc 2.17 to 2.41; 2.34 moved it from libpthread to libc",
           not_for="It does not say who holds it: the owner word does, where the kernel shows it."),
    native(r"^_*(?:GI_+)?pthread_rwlock_\w*lock|^_*pthread_rwlock_\w*_(?:full|rdlock|wrlock)", "pthread_rwlock_lock",
           WaitKind.LOCK, weight=_P, hard=True),
    native(r"^_*(?:GI_+)?(?:internal_atexit|cxa_atexit|cxa_at_quick_exit|new_exitfn)$", "lock of exit functions",
           WaitKind.LOCK, weight=_P, hard=True, seen="glibc 2.17 to 2.41, where the lock is inlined",
           not_for="Registering a function takes no time: who is seen in it waits for the lock."),
    native(r"^_*(?:GI_+)?pthread_spin_lock", "pthread_spin_lock", WaitKind.LOCK, weight=_P, hard=True),
    native(r"^_*(?:GI_+)?pthread_(?:clock|timed|try)?join\w*", "pthread_join", WaitKind.JOIN, weight=_P),
    native(r"^std::thread::join", "pthread_join", WaitKind.JOIN, weight=_P),
    native(r"^_*(?:GI_+)?pthread_cond_\w*wait\w*", "pthread_cond_wait", WaitKind.CONDITION, weight=_P),
    native(r"(?:^|::)condition_variable(?:_any)?::wait", "condition_variable::wait", WaitKind.CONDITION, weight=_P),
    native(r"^std::(?:__\w+::)?(?:future|__basic_future|promise|__future_base|shared_future)\b.*(?:wait|get)",
           "future::wait", WaitKind.CONDITION, weight=_P),
    native(r"^_*(?:GI_+)?pthread_barrier_wait", "pthread_barrier_wait", WaitKind.CONDITION, Role.BARRIER, weight=_P),
    native(r"^_*pthread_once\w*", "pthread_once", WaitKind.LOCK, weight=_P),
    native(rf"{_ANY}sem_\w*wait\w*|^do_futex_wait", "sem_wait", WaitKind.CONDITION, weight=_P),
    native(rf"{_ANY}(?:wait4|waitpid|waitid|wait3|wait){_END}", "waitpid", WaitKind.CHILD, Role.SPAWN, weight=_P),
    native(rf"{_ANY}(?:clock_)?nanosleep\w*{_END}|^_*(?:GI_+)?u?sleep$", "sleep", WaitKind.TIME, weight=_P),
    native(rf"{_ANY}sched_yield{_END}", "sched_yield", WaitKind.UNKNOWN, weight=_P),
    native(rf"{_ANY}(read|readv|pread|preadv2?){_END}", r"read", WaitKind.WORLD, weight=_P),
    native(rf"{_ANY}(write|writev|pwrite|pwritev2?){_END}", r"write", WaitKind.WORLD, weight=_P),
    native(rf"{_ANY}(recv|recvfrom|recvmsg|recvmmsg|send|sendto|sendmsg|sendmmsg|accept4?|connect){_END}", r"\1",
           WaitKind.SOCKET, weight=_P),
    native(rf"{_ANY}(p?poll|p?select|epoll_p?wait2?){_END}", r"\1", WaitKind.WORLD, weight=_P),
    native(rf"{_ANY}(open|openat|openat2|creat|f?stat|fstatat|newfstatat|lstat|statx|fsync|fdatasync|sync"
           rf"|syncfs|rename|renameat2?|unlink|unlinkat|mkdir|rmdir|ftruncate|fallocate|getdents|readdir|close"
           rf"|msync|statfs|access){_END}", r"\1", WaitKind.FILE, weight=_P),
    native(rf"{_ANY}(flock|lockf|fcntl){_END}", r"\1", WaitKind.FILE, weight=_P),
    native(rf"{_ANY}(sigwait|sigwaitinfo|sigtimedwait|sigsuspend|pause){_END}", r"\1", WaitKind.SIGNAL, weight=_P),
    native(rf"{_ANY}ioctl{_END}", "ioctl", WaitKind.WORLD, weight=_P),
    native(r"^(?:io_getevents|io_uring_\w+|aio_suspend)", "io_getevents", WaitKind.FILE, weight=_P),
    native(r"^_*(?:libc_)?(?:v?fork|_Fork)$|^_*run_fork_handlers|^_*run_postfork_handlers", "fork", None, Role.FORKED,
           weight=_P),
    native(r"^_*(?:GI_+)?(?:exit|run_exit_handlers|cxa_finalize|_run_exit_handlers)$|^_dl_fini", "exit", None,
           Role.TEARDOWN, weight=Weight.GENERAL),
    native(r"^(?:__)?psynch_mutex\w*|^_?pthread_mutex_firstfit_lock\w*", "pthread_mutex_lock", WaitKind.LOCK, weight=_P,
           hard=True),
    native(r"^_*psynch_cvwait|^_pthread_cond_wait|^_*semwait_signal|^semaphore_wait_trap|^_*ulock_wait",
           "pthread_cond_wait", WaitKind.CONDITION, weight=_P),
    native(r"^(?:gpr_cv_wait|absl::Mutex::Await\w*|absl::CondVar::\w*Wait\w*|absl::\w*::Waiter::Wait\w*"
           r"|absl::synchronization_internal::\w+)", "condition wait", WaitKind.CONDITION, weight=_P),
    native(r"^(?:absl[: ]|Absl)\w*:*(?:\w+::)*(?:\w*SpinLock\w*)|^absl::Mutex::\w*Lock\w*|^gpr_mu_lock", "Mutex.lock",
           WaitKind.LOCK, weight=_P),
    native(r"^AbslInternal\w*SemWait\w*", "condition wait", WaitKind.CONDITION, weight=_P),
    native(r"^nsync(?:::|_)\w*(?:cv|note|counter|sem|wait|futex)\w*|(?:^|::)WaitForNotification\w*"
           r"|^absl::BlockingCounter::Wait|^absl::Barrier::Block", "condition wait", WaitKind.CONDITION, weight=_P),
    native(r"^AbslInternal\w*SemWait\w*", "condition wait", WaitKind.CONDITION, weight=_P),
    native(r"^nsync(?:::|_)(?:mu|once)\w*", "Mutex.lock", WaitKind.LOCK, weight=_P),
    native(r"^(?:mutex|lock|rlock)[ ._](?:wait|lock|acquire)$", "lock", WaitKind.LOCK, weight=_P),
    native(r"^(?:syscall|_*kernel_clock_gettime|_*vdso_clock_gettime|clock_gettime|_*(?:GI_+)?clock_gettime"
           r"|gettimeofday|swtch_pri|mach_msg\w*|_*futex_abstimed\w*)$", "", None, weight=_P),
    native(r"^<?signal handler called>?$|^_*(?:kernel_)?(?:restore_rt|rt_sigreturn)$", "", None, Role.SIGNAL_HANDLER,
           weight=_P),
    native(r"^_*(?:GI_+)?(?:getaddrinfo|gethostbyname\w*|res_n?(?:search|query|send))", "getaddrinfo", WaitKind.SOCKET),
    native(r"^(?:void |bool )?absl::", "", None, weight=_P),
    native(r"^(?:je_|_rjem_je_)?malloc_mutex_lock\w*", "malloc_mutex_lock", WaitKind.LOCK, weight=_P, hard=True),
    native(r"^(?:base::internal::)?SpinLock(?:Delay|::\w*Lock)|^SpinLock(?:Holder)?\b"
           r"|^__malloc_fork_lock_parent", "lock of malloc", WaitKind.LOCK, weight=_P, hard=True,
           seen="jemalloc 4 and 5, gperftools' tcmalloc"),
    native(r"^(?:je_|_rjem_je_)?(?:arena|extents?|tcache|tsd|sdallocx|mallocx|malloc_default|ecache|pac|hpa)_\w+$"
           r"|^je_\w+$|^tcmalloc::", "malloc", weight=_P),
    native(r"^sys_futex$", "", None, weight=_P),
    native(r"^_IO_\w+|^(?:fflush|fwrite|fread|fputs|vfprintf|f?printf)(?:_unlocked)?$", "standard stream", weight=_P),
    native(r"^(?:malloc|_int_malloc|__libc_malloc|calloc|realloc|free|_int_free|arena_get\w*"
           r"|malloc_consolidate|__malloc_fork_\w+|ptmalloc_\w+)$", "malloc", weight=_P),
    native(r"^_*(?:GI_+)?_?dl_(?:open|sym)\w*|^_dl_\w+|^dlopen", "dlopen", None, Role.IMPORT, weight=Weight.GENERAL),
)  # fmt: skip
