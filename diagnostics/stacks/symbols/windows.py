"""Windows: waits of ntdll and of the kernel. Documented names where there are any, else as debuggers show them."""

from diagnostics.model import WaitKind
from diagnostics.stacks.symbol import Owner, Weight, native

OWNER = Owner.SYSTEM
LIBRARIES = (
    r"(?i)^(?:ntdll|kernel32|kernelbase|ucrtbase\w*|msvcr\w*|vcruntime\w*|ws2_32|mswsock|nt|win32k\w*)"
    r"(?:\.(?:dll|exe))?$"
)
_P, _G = Weight.PRIMITIVE, Weight.GENERAL
_W = WaitKind
_NT = r"^(?:Nt|Zw)"

SYMBOLS = (
    native(r"^LdrpAcquireLoaderLock|^LdrLockLoaderLock", "LdrpAcquireLoaderLock", _W.LOCK, weight=_G, hard=True),
    native(r"^Rtl(?:p?EnterCriticalSection\w*|pWaitOnCriticalSection)|^EnterCriticalSection", "EnterCriticalSection",
           _W.LOCK, weight=_P, hard=True),
    native(r"^Rtlp?AcquireSRWLock\w*|^AcquireSRWLock\w*", "AcquireSRWLock", _W.LOCK, weight=_P, hard=True),
    native(r"^(?:Rtl)?SleepConditionVariable\w*|^(?:Nt|Zw)WaitForAlertByThreadId|^WaitOnAddress|^RtlWaitOnAddress",
           "SleepConditionVariable", _W.CONDITION, weight=_P),
    native(rf"{_NT}(LockFile)", r"Nt\1", _W.FILE, weight=_G, hard=True),
    native(r"^(IopAcquireFileObjectLock)", r"\1", _W.FILE, weight=_G, hard=True),
    native(rf"{_NT}((?:Read|Write|FlushBuffers|Create|Open)File\w*)", r"Nt\1", _W.WORLD, weight=_P),
    native(rf"{_NT}DelayExecution|^Sleep(?:Ex)?$", "Sleep", _W.TIME, weight=_P),
    native(rf"{_NT}RemoveIoCompletion\w*|^GetQueuedCompletionStatus\w*|{_NT}WaitForWorkViaWorkerFactory",
           "GetQueuedCompletionStatus", _W.WORLD, weight=_P),
    native(rf"{_NT}(WaitFor(?:Single|Multiple)Objects?)\w*|^(WaitFor(?:Single|Multiple)Objects?)(?:Ex)?$",
           "WaitForSingleObject", None, weight=_P),
    native(r"^(?:Ki|Ke|Io|Iop|Ob|Ps|Psp)[A-Z]\w+$|^Rtl\w+$|^Ldrp?[A-Z]\w+$|^BaseThreadInitThunk$", "", None, weight=_P),
)  # fmt: skip
