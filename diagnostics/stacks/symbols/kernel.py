"""Kernel functions, as /proc/PID/wchan, /proc/PID/stack and dmesg name them."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Owner, Weight, native

OWNER = Owner.SYSTEM
LIBRARIES = r"^\[?(kernel\.kallsyms|kernel|vmlinux|linux)\]?$"
_P = Weight.PRIMITIVE
_W = WaitKind

SYMBOLS = (
    native(r"^(?:request_wait_answer|fuse_\w+|__fuse_\w+)", "file on a FUSE mount", _W.FILE, hard=True),
    native(r"^(?:nfs[34]?_\w+|rpc_wait_bit_killable|rpc_\w+|__rpc_execute|nfs_\w+)", "file on NFS", _W.FILE, hard=True),
    native(r"^(?:cifs_\w+|smb[23]?_\w+|ceph_\w+|p9_client\w*|ll_\w+|lustre\w*|ptlrpc_\w+|cl_\w+|gpfs\w*"
           r"|cxiWaitEventWait|gfs2_\w+)", "file on a network mount", _W.FILE, hard=True),
    native(r"^(?:folio_wait\w*|wait_on_page\w*|io_schedule\w*|wait_on_buffer|jbd2_\w+|xfs_\w+|ext4_\w+"
           r"|blkdev_\w+|btrfs_\w+|submit_bio_wait|rq_qos_wait|wbt_wait|blk_mq_get_tag|balance_dirty_pages\w*"
           r"|__lock_page|folio_lock)", r"file, \g<0>", _W.FILE, hard=True),
    native(r"^(?:sync_inodes_sb|sync_filesystem|wb_wait_for_completion|iterate_supers|__filemap_fdatawait\w*"
           r"|lookup_slow|do_last$|open_last_lookups|path_openat|path_lookupat|iterate_dir)",
           "file", _W.FILE, weight=_P,
           not_for="What is opened may be a FIFO or a device, which functions inside of these tell."),
    native(r"^(?:wait_for_partner|fifo_open)$", "open of a FIFO", _W.PIPE, hard=True,
           not_for="It waits for somebody to open the other end."),
    native(r"^(?:pipe_read|pipe_wait\w*|anon_pipe_read|pipe_wait_readable)$", "read", _W.PIPE, weight=_P),
    native(r"^(?:pipe_write|anon_pipe_write|pipe_wait_writable)$", "write", _W.PIPE, weight=_P),
    native(r"^(?:futex_wait\w*|futex_wait_queue\w*|do_futex|futex_lock_pi\w*)$", "futex", None, weight=_P),
    native(r"^(?:tcp_\w+|inet_csk_accept|inet_\w+|sk_\w+|skb_wait\w*|__skb_\w+|unix_stream_\w+|unix_wait\w*"
           r"|wait_for_unix_gc)$", "socket", _W.SOCKET, weight=_P),
    native(r"^(?:ep_poll|do_epoll_wait|do_sys_poll|do_select|poll_schedule_timeout\w*|core_sys_select" r"|do_poll)$",
           "poll", _W.WORLD, weight=_P),
    native(r"^(?:do_wait|kernel_wait4|do_wait4|wait4)$", "waitpid", _W.CHILD, Role.SPAWN, weight=_P),
    native(r"^(?:hrtimer_nanosleep|do_nanosleep|common_nsleep|clock_nanosleep)\w*$", "sleep", _W.TIME, weight=_P),
    native(r"^(?:do_sigtimedwait|sigsuspend|__ia32_sys_pause|__x64_sys_pause|do_signal_stop|ptrace_stop)\w*$", "signal",
           _W.SIGNAL, weight=_P),
    native(r"^(?:n_tty_read|tty_\w+|wait_woken)$", "terminal", _W.TERMINAL, weight=_P),
    native(r"^(?:flock_lock_inode_wait|locks_lock_inode_wait|posix_lock_inode_wait|fcntl_setlk|__break_lease)$",
           "file lock", _W.FILE, Role.FILE_LOCK, hard=True),
    native(r"^(?:do_exit|exit_mm|exit_aio|zap_\w+|coredump_\w+|do_coredump|exit_mmap|release_task)$", "exit", None,
           Role.TEARDOWN, hard=True),
    native(r"^(?:os_acquire_rwlock_\w+|_?nv\d+rm|nvidia_\w+|nv_\w+|uvm_\w+|rm_\w+|amdgpu_\w+|kfd_\w+"
           r"|dma_fence_\w+|drm_\w+)$", "device driver", _W.DEVICE, Role.DEVICE, hard=True),
    native(r"^(?:rwsem_down_\w+|mutex_lock\w*|__mutex_lock\w*|down_read\w*|down_write\w*)$", "kernel lock", _W.LOCK,
           weight=_P),
    native(r"^(?:mem_cgroup_\w+|try_charge\w*|__alloc_pages\w*|shrink_\w+|do_try_to_free_pages)$", "memory", _W.WORLD,
           weight=_P),
    native(r"^(?:entry_SYSCALL_64\w*|do_syscall_64|__x64_sys_\w+|__se_sys_\w+|__do_sys_\w+|ksys_\w+|vfs_\w+"
           r"|new_sync_\w+|schedule\w*|__schedule|x64_sys_call|syscall_exit_\w+|exit_to_user_mode\w*)$", "", None,
           weight=_P),
)  # fmt: skip
