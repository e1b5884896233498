"""A rank waits for its device: a kernel that does not end, a value or event that does not come, a driver that
hangs.

Waits for a device spin in user space as a rule, so that the process looks busy. What carries the cause: the thread
that gets the work on stands in a call of the device at every sample, and not for other ranks. What the card itself
tells (use, power, errors) says which of these it is.
"""

from __future__ import annotations

from diagnostics.analyze.devices import Place, place_of
from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import look_at_stillness, main_at, peers, threads_at, together
from diagnostics.model import Process, Role, State
from diagnostics.stacks.symbols.jax import computes_on_host

_DECIDES = {
    Place.ENDLESS: "kernel-does-not-end",
    Place.WAITS: "device-waits",
    Place.GONE: "gone",
    Place.SLOW: "slowed",
    Place.WORKS: "works",
}

_WHOLE_PROGRAMS = frozenset({"block_until_ready", "Await"})
"""Operations by which XLA's programs are waited for."""


def examine(facts: Facts) -> Case | None:
    return likeliest(_examine_process(process, facts) for process in facts.processes)


def _examine_process(process: Process, facts: Facts) -> Case | None:
    main = main_at(process)
    place = place_of(process, main.position if main else None, facts.collection)
    gone = place is not None and place.place is Place.GONE
    waits = main is not None and main.position.has(Role.DEVICE, Role.DEVICE_LAUNCH)
    if not gone and (not waits or process.state in (State.PROGRESSING, State.FINISHED, State.DEAD)):
        return None
    if main and main.position.has(Role.COLLECTIVE, Role.RENDEZVOUS, Role.TEARDOWN):
        return None
    if place is None and computes_on_host(process):
        return None
    case = Case("device-or-driver")
    where = [process.rank]
    if main and waits:
        case.saw("waits", f"waits for the device: {main.where}", "native stacks", where)
    if main and main.position.operation in _WHOLE_PROGRAMS:
        said = "it waits for the result of a whole program, whose collectives run on the device, too"
        case.saw("may-be-a-collective", said, "stacks", where)
    if place and (key := _DECIDES.get(place.place)):
        case.saw(key, place.words, "device", where)
    else:
        case.needs("use and power of the card: attach where the driver's library (libnvidia-ml.so.1) can be opened")
    if main and main.thread.holds_gil and len(process.threads) > 1:
        case.saw("holds-gil", "its thread keeps the interpreter lock", "native stacks", where)
    if called := [at for at in threads_at(process) if at.position.has(Role.CALLBACK) and at.position.own]:
        said = f"a callback of the host's stands, for which the device may wait: {called[0].where}"
        case.saw("callback-stands", said, "stacks", where)
    others = [other for other in peers(facts) if other is not process]
    if not others:
        case.saw("alone", "no other rank is known that it could wait for", "processes", where)
    elif any(together(other) for other in others):
        case.saw("others-in-collective", "other ranks wait in a collective", "stacks", where)
    if process.samples and process.state is not State.HUNG and not gone:
        # A kernel of three seconds in a healthy job gives the same two samples as one that never ends.
        case.saw("may-be-long", "it has not stood for long enough to tell a long kernel from one", "samples", where)
        case.needs("samples over half a minute: attach to the process, which takes them by itself")
    else:
        look_at_stillness(case, process, [main] if main and not main.position.busy else [])
    return case


CAUSE = Cause(
    id="device-or-driver",
    family="device-or-driver",
    title="A rank waits for its device, and the device does not answer",
    examine=examine,
    not_to_be_confused_with=(
        "A synchronising call also waits for collectives that were put on the stream: where all ranks stand in one, "
        "look for the rank that launched fewer. Long kernels and a first step that compiles look the same for a while. "
        "A use of 100 % says that a kernel is resident, not that it gets on."
    ),
    versions="CUDA and ROCm of any release",
    remedies=(
        Remedy("find-kernel", "Find the kernel: attach --device, or CUDA_LAUNCH_BLOCKING=1 and the stack then"),
        Remedy("read-driver-log", "Read the driver's errors: dmesg | grep -i xid, nvidia-smi -q"),
        Remedy("no-host-function-with-gil", "Keep host functions and callbacks of streams free of Python and of locks"),
    ),
    references=(
        "https://docs.nvidia.com/deploy/xid-errors/",
        "https://docs.nvidia.com/cuda/cuda-c-programming-guide/",
    ),
    search_for=(
        "    cuEventSynchronize (libcuda.so.1)",
        "    cudaLaunchKernel (libcudart.so.12)",
        "NVRM: Xid (PCI:0000:3b:00): 79",
    ),
)
