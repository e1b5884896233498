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
    power_limit: float = -1.0
    max_clock: int = -1
    memory_total: int = 0
    divided: bool = False
    readings: tuple[DeviceReading, ...] = ()
    pids: tuple[int, ...] = ()


class KernelLine(Record, frozen=True, gc=False):
    """A line of a host's kernel log, with its time since the boot in front."""

    host: str
    text: str
