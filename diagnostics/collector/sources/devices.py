"""The GPUs of this host, as the driver's own library tells them: use, power, clocks, memory, errors, who has them open.

NVML (libnvidia-ml.so.1, which comes with the driver) is asked; no CUDA context is ever made, so the target and the card
notice nothing. Signatures and numbers are those of nvml.h. Goes along to other hosts, so: the standard library alone,
CPython 3.6 and later.
"""

import ctypes
import os
import re
import time
from typing import Any, Dict, List, Optional, Tuple

LIBRARIES = ("libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1")

_LOST = {15: "it has fallen off the bus", 16: "it needs a reset"}  # NVML_ERROR_GPU_IS_LOST, _RESET_REQUIRED
_WHY = {
    1: "the library is not initialised", 3: "not supported", 4: "no permission", 9: "no driver is loaded",
    12: "the driver's library is not here", 18: "the driver and its library differ in version", 999: "unknown error",
}  # fmt: skip
_SM, _UNCORRECTED, _VOLATILE, _NVLINKS, _NVLINK_COUNTERS = 1, 1, 0, 18, 4

# nvmlClocksEventReasons of nvml.h. Idle (1) and the clocks that an application asked for (2) hold nobody up.
_SLOWED = {
    0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost", 0x20: "thermal (software)",
    0x40: "thermal (hardware)", 0x80: "power brake",
}  # fmt: skip


class _Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Pci(ctypes.Structure):
    _fields_ = [
        ("legacy", ctypes.c_char * 16), ("domain", ctypes.c_uint), ("bus", ctypes.c_uint), ("device", ctypes.c_uint),
        ("kind", ctypes.c_uint), ("subsystem", ctypes.c_uint), ("id", ctypes.c_char * 32),
    ]  # fmt: skip


class Cards(object):
    """The cards of this host while they are looked at. A context manager: the library is let go after it."""

    def __init__(self, library: str = "") -> None:
        self._library = library
        self._nvml = None  # type: Optional[ctypes.CDLL]
        self.why_not = ""

    def __enter__(self) -> "Cards":
        for name in (self._library,) if self._library else LIBRARIES:
            try:
                self._nvml = ctypes.CDLL(name)
                break
            except OSError:
                continue
        if self._nvml is None:
            self.why_not = "no driver's library (libnvidia-ml.so.1) is here"
            return self
        failed = self._nvml.nvmlInit_v2()
        if failed:
            self._nvml, self.why_not = None, "NVML: %s" % _WHY.get(failed, "error %d" % failed)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()

    def once(self) -> List[Dict[str, Any]]:
        """What does not change: one dictionary a card, in the driver's order."""
        found = []
        for index in range(self._number("nvmlDeviceGetCount_v2") or 0):
            card = self._card(index)
            minor = self._number("nvmlDeviceGetMinorNumber", card) if card else None
            found.append({
                "index": index,
                "name": self._text("nvmlDeviceGetName", card),
                "uuid": self._text("nvmlDeviceGetUUID", card),
                "bus": self._bus(card),
                "minor": -1 if minor is None else minor,
                "power_limit": self._scaled("nvmlDeviceGetEnforcedPowerLimit", card, 1000.0),
                "max_clock": self._at_least("nvmlDeviceGetMaxClockInfo", card, _SM),
                "memory_total": self._memory(card).total if card else 0,
                "divided": self._is_divided(card),
            })  # fmt: skip
        return found

    def sample(self) -> List[Dict[str, Any]]:
        """One reading a card, in the same order; `lost` where the card does not answer any more."""
        return [self._reading(index) for index in range(self._number("nvmlDeviceGetCount_v2") or 0)]

    def _reading(self, index: int) -> Dict[str, Any]:
        card = self._card(index)
        reading = {"at": time.monotonic(), "lost": "" if card else _LOST.get(self._failed, "it does not answer")}
        if not card:
            return reading
        use = _Utilization()
        told = self._call("nvmlDeviceGetUtilizationRates", card, ctypes.byref(use))
        if self._failed in _LOST:
            return dict(reading, lost=_LOST[self._failed])
        reading.update({
            "use": use.gpu if told else -1,
            "memory_use": use.memory if told else -1,
            "power": self._scaled("nvmlDeviceGetPowerUsage", card, 1000.0),
            "clock": self._at_least("nvmlDeviceGetClockInfo", card, _SM),
            "memory": self._memory(card).used,
            "temperature": self._at_least("nvmlDeviceGetTemperature", card, 0),
            "slowed": self._slowed(card),
            "uncorrected": self._ecc(card),
            "link_errors": self._link_errors(card),
        })  # fmt: skip
        return reading

    # How the library is called

    _failed = 0

    def _call(self, name: str, *arguments: Any) -> bool:
        try:
            self._failed = getattr(self._nvml, name)(*arguments)
        except AttributeError:  # an older driver
            self._failed = 3
        return not self._failed

    def _card(self, index: int) -> Optional[ctypes.c_void_p]:
        card = ctypes.c_void_p()
        return card if self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(card)) else None

    def _number(self, name: str, *arguments: Any) -> Optional[int]:
        if self._nvml is None:
            return None
        number = ctypes.c_uint()
        return number.value if self._call(name, *arguments, ctypes.byref(number)) else None

    def _at_least(self, name: str, card: Any, which: int) -> int:
        number = self._number(name, card, ctypes.c_uint(which)) if card else None
        return -1 if number is None else number

    def _scaled(self, name: str, card: Any, unit: float) -> float:
        number = self._number(name, card) if card else None
        return -1.0 if number is None else number / unit

    def _text(self, name: str, card: Any) -> str:
        buffer = ctypes.create_string_buffer(96)
        told = card and self._call(name, card, buffer, ctypes.c_uint(len(buffer)))
        return buffer.value.decode("ascii", "replace") if told else ""

    def _memory(self, card: Any) -> _Memory:
        memory = _Memory()
        self._call("nvmlDeviceGetMemoryInfo", card, ctypes.byref(memory))
        return memory

    def _bus(self, card: Any) -> str:
        """Its place on the bus as the kernel's log writes it, `0000:3b:00`; "" where it is not told."""
        pci = _Pci()
        told = card and self._call("nvmlDeviceGetPciInfo_v3", card, ctypes.byref(pci))
        return "%04x:%02x:%02x" % (pci.domain, pci.bus, pci.device) if told else ""

    def _is_divided(self, card: Any) -> bool:
        """Whether the card is split into instances (MIG): use is then not told for the whole."""
        now, later = ctypes.c_uint(), ctypes.c_uint()
        told = card and self._call("nvmlDeviceGetMigMode", card, ctypes.byref(now), ctypes.byref(later))
        return bool(told and now.value)

    def _slowed(self, card: Any) -> List[str]:
        mask = ctypes.c_ulonglong()
        self._call("nvmlDeviceGetCurrentClocksThrottleReasons", card, ctypes.byref(mask))
        return [] if self._failed else [words for bit, words in sorted(_SLOWED.items()) if mask.value & bit]

    def _ecc(self, card: Any) -> int:
        count = ctypes.c_ulonglong()
        kinds = ctypes.c_uint(_UNCORRECTED), ctypes.c_uint(_VOLATILE)
        return count.value if self._call("nvmlDeviceGetTotalEccErrors", card, *kinds, ctypes.byref(count)) else -1

    def _link_errors(self, card: Any) -> int:
        """Of all NVLinks and kinds of error (replay, recovery, CRC of flits and data); -1 where none is told."""
        total, told = 0, False
        for link in range(_NVLINKS):
            for counter in range(_NVLINK_COUNTERS):
                count = ctypes.c_ulonglong()
                which = ctypes.c_uint(link), ctypes.c_uint(counter)
                if not self._call("nvmlDeviceGetNvLinkErrorCounter", card, *which, ctypes.byref(count)):
                    break
                total, told = total + count.value, True
        return total if told else -1


_NODE = re.compile(r"^/dev/nvidia(\d+)$")


def opened_by(pids: List[int]) -> Dict[int, List[int]]:
    """pid -> minor numbers of the cards that it has open: NVML's own list has ids of another namespace."""
    return {pid: _minors(pid) for pid in pids}


def _minors(pid: int) -> List[int]:
    home = "/proc/%d/fd" % pid
    found = set()
    try:
        for name in os.listdir(home):
            try:
                node = _NODE.match(os.readlink("%s/%s" % (home, name)))
            except OSError:
                continue
            if node:
                found.add(int(node.group(1)))
    except OSError:
        return []
    return sorted(found)


def joined(cards: List[Dict[str, Any]], samples: List[List[Dict[str, Any]]], minors: Dict[int, List[int]]) -> List[Any]:
    """Each card with its readings, oldest first, and the processes that have it open."""
    return [
        dict(
            card,
            readings=[readings[place] for readings in samples if place < len(readings)],
            pids=sorted(pid for pid, opened in minors.items() if card["minor"] in opened),
        )
        for place, card in enumerate(cards)
    ]


def kernel_lines(limit: int = 200) -> Tuple[List[str], str]:
    """The kernel's newest lines about cards, memory, and tasks and servers that do not answer; and why there are none.

    From /dev/kmsg, which needs the right to read the kernel's log (man 2 syslog).
    """
    found = []
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return [], "the kernel's log may not be read: %s" % error.strerror
    try:
        while True:
            try:
                record = os.read(log, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                break
            except BrokenPipeError:  # overwritten while it was read: the next read goes on behind it
                continue
            head, _, text = record.partition(";")
            if _TELLS.search(text):
                microseconds = head.split(",")[2:3]
                found.append("[%.6f] %s" % (int((microseconds or ["0"])[0]) / 1e6, text.split("\n")[0]))
    except OSError as error:
        return found[-limit:], "the kernel's log could not be read to its end: %s" % error.strerror
    finally:
        os.close(log)
    return found[-limit:], ""


_TELLS = re.compile(
    r"NVRM: |Xid \(|amdgpu.*(reset|timeout|hang)|oom-kill|Out of memory|blocked for more than \d+ seconds"
    r"|server \S+ not responding|I/O error|mce: |Hardware Error",
    re.I,
)
