"""Runtimes of other languages: Go, Java, Rust, Node."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Owner, Weight, native

OWNER = Owner.SYSTEM
LIBRARIES = r"^(libjvm|libjava|libnio|libnet|libzip|libjimage|libnode|node)(\.so[\w.]*)?$"
_G, _P = Weight.GENERAL, Weight.PRIMITIVE

SYMBOLS = (
    native(r"^runtime\.(?:futex|notesleep|notetsleep\w*|stopm|mPark|park_m|findRunnable|findrunnable|schedule"
           r"|mstart\w*|mcall|gcBgMarkWorker|bgsweep|bgscavenge|sysmon|templateThread|usleep|netpoll" r"|epollwait)",
           "", None, Role.IDLE, weight=_P),
    native(r"^runtime\.((?:stop|start)TheWorld\w*)", r"\1", WaitKind.CONDITION, weight=_G),
    native(r"^runtime\.(?:chanrecv\w*|chansend\w*|selectgo|block)", "channel", WaitKind.CONDITION, weight=_G),
    native(r"^sync\.\(\*(?:Mutex|RWMutex)\)\.\w*[lL]ock\w*|^sync\.runtime_Semacquire\w*" r"|^runtime\.semacquire\w*",
           "Mutex.Lock", WaitKind.LOCK, weight=_G),
    native(r"^sync\.\(\*(?:WaitGroup|Cond)\)\.Wait", "WaitGroup.Wait", WaitKind.CONDITION, weight=_G),
    native(r"^internal/poll\.", "network or file", WaitKind.WORLD, weight=_G),
    native(r"^time\.Sleep", "time.Sleep", WaitKind.TIME, weight=_G),
    native(r"^runtime\.|^internal/|^syscall\.(?:Syscall\w*|read|write)|^reflect\.", "", None, weight=_P),
    native(r"^(?:Unsafe_Park|Parker::park|os::PlatformEvent::park\w*|PlatformMonitor::wait"
           r"|PlatformEvent::\w*park\w*)", "park", WaitKind.CONDITION, weight=_P),
    native(r"^(?:ObjectMonitor::(?:enter|EnterI)\w*|ObjectSynchronizer::\w*enter\w*)", "synchronized", WaitKind.LOCK,
           weight=_G),
    native(r"^(?:ObjectMonitor::wait|JVM_MonitorWait|ObjectSynchronizer::wait)", "Object.wait", WaitKind.CONDITION,
           weight=_G),
    native(r"^(?:GangWorker|WorkerThread|CompileBroker|VMThread|WatcherThread|G1\w*|ConcurrentGCThread"
           r"|ServiceThread|MonitorDeflationThread|SignalDispatcher|AttachListener|NotificationThread"
           r"|Monitor::wait)", "", None, Role.IDLE, weight=_G),
    native(r"^(?:java_start|thread_native_entry|JavaThread::|JavaCalls::|Thread::call_run|\[Interpreted\]"
           r"|Interpreter|StubRoutines)", "", None, weight=_P),
    native(r"^std::(?:thread::)?park\w*|^std::sys(?:_common)?::.*park\w*", "park", WaitKind.CONDITION, weight=_P),
    native(r"^std::sys::.*(?:mutex|Mutex).*::lock\w*|parking_lot::raw_mutex::RawMutex::lock\w*", "Mutex::lock",
           WaitKind.LOCK, weight=_P),
    native(r"^std::sys::.*(?:condvar|Condvar).*::wait\w*|^std::sync::\w+::(?:condvar::)?Condvar::wait", "Condvar::wait",
           WaitKind.CONDITION, weight=_P),
    native(r"^std::thread::(?:JoinHandle|JoinInner)\w*.*::join", "JoinHandle::join", WaitKind.JOIN, weight=_P),
    native(r"^tokio::runtime::(?:scheduler|park|time|io|blocking)::", "", None, weight=_G, home=True),
    native(r"^rayon_core::(?:registry|sleep)::", "", None, weight=_G, home=True),
    native(r"^(?:core|alloc|std|tokio)::(?!chrono)|^__rust_\w+|^rust_begin_unwind|^<(?:core|alloc|std|tokio)::", "",
           None, weight=_P),
)  # fmt: skip
