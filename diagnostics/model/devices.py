"""GPUs of a host: what the driver's library told of each, twice or more."""

from __future__ import annotations

from diagnostics.model.record import Record


class DeviceReading(Record, frozen=True, gc=False):
    """One card at one moment (monotonic). -1 where it is not told; of a card that does not answer only `lost` is known.

    `use`: percent of the time that a kernel ran; `memory_use`: percent of the time that memory was read or written.
    `power` in watts, `clock` of the multiprocessors in MHz, `memory` in bytes, `temperature` in degrees Celsius.
    `slowed`: why its clocks are held down. `uncorrected`: errors of its memory since the driver was loaded.
    `link_errors`: of all its NVLinks.
    """

    at: float
    lost: str = ""
    use: int = -1
    memory_use: int = -1
    power: float = -1.0
    clock: int = -1
    memory: int = -1
    temperature: int = -1
    slowed: tuple[str, ...] = ()
    uncorrected: int = -1
    link_errors: int = -1


class Device(Record, frozen=True):
    """A card with its readings, oldest first. `pids`: the processes looked at that have it open.

    `minor`: N of /dev/nvidiaN. `power_limit` in watts, `max_clock` in MHz, `memory_total` in bytes. `divided`: it is
    split into instances (MIG), so that its use is not told.
    """

    host: str
    index: int
    name: str = ""
    uuid: str = ""
    minor: int = -1
    bus: str = ""  # `0000:3b:00`, as the kernel's log writes it
    power_limit: float = -1.0
    max_clock: int = -1
    memory_total: int = 0
    divided: bool = False
    readings: tuple[DeviceReading, ...] = ()
    pids: tuple[int, ...] = ()


class KernelPlace(Record, frozen=True, gc=False):
    """Where lanes of a kernel stand. `pc`: virtual address, hexadecimal."""

    pc: str
    lanes: int
    file: str = ""
    line: int = 0


class ResidentKernel(Record, frozen=True):
    """A kernel that is on a card, as cuda-gdb tells it. `blocks` and `threads`: dimensions as written, `(240,1,1)`.

    `sms`: on so many multiprocessors. `places` are those of the kernel in focus alone, most lanes first.
    """

    name: str
    device: int
    grid: int
    status: str
    sms: int
    blocks: str = ""
    threads: str = ""
    places: tuple[KernelPlace, ...] = ()


class DeviceLook(Record, frozen=True):
    """What a debugger of the card told of one process. `pause` in seconds: so long was the process stopped.

    `pipe`: writing to it makes the job write a GPU core dump. `dumps`: those that lie there already.
    """

    kernels: tuple[ResidentKernel, ...] = ()
    pause: float = 0.0
    why_not: str = ""
    pipe: str = ""
    dumps: tuple[str, ...] = ()


class KernelLine(Record, frozen=True, gc=False):
    """A line of a host's kernel log, with its time since the boot in front."""

    host: str
    text: str
