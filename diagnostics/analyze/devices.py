"""Where a job on a GPU stands, in one line: by what its host thread does and what the card tells. Pure.

A use of 100 % says that some kernel is resident, not that it gets on: one that spins shows the same as one that
computes, at a fraction of the power. A use of 0 % under a host that synchronises says that the card itself waits.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from diagnostics.model import Collection, Collective, Device, KernelLine, Position, Process, Role, State
from diagnostics.stacks.symbols.jax import computes_on_host

BUSY, IDLE = 90, 5
"""Percent of use, in every reading."""

SPINS = 0.35
"""Share of the power limit below which a card that is busy does next to nothing. Measured on an H100 of 700 W: a kernel
that spins 124 to 138 W, matrix products several hundred, idle with a context 71 to 123."""

MOST_CARDS = 4
"""Whose readings are told in one line."""

_SLOWED = frozenset({"hardware slowdown", "thermal (hardware)", "thermal (software)", "power brake"})
_XID = re.compile(r"Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)(?:, pid='?(\d+))?")
_FATAL_XIDS = {
    31: "a page fault of its memory", 48: "an uncorrectable error of its memory", 61: "its microcontroller failed",
    62: "its microcontroller halted", 63: "a row of its memory was remapped", 64: "a row could not be remapped",
    74: "an NVLink error", 79: "it has fallen off the bus", 94: "a contained memory error",
    95: "an uncontained memory error", 119: "its system processor does not answer", 120: "its system processor failed",
}  # fmt: skip

_OF_THE_CARD = frozenset({48, 61, 62, 64, 74, 79, 95, 119, 120})
"""These concern every process on the card, whichever the log names."""
_STAMP = re.compile(r"\[\s*(\d+\.\d+)\]")


class Place(str, enum.Enum):
    """What holds a job up, as far as card and host tell."""

    GONE = "the card is gone"
    SLOW = "the card is slowed down"
    PEER = "waits for another rank"
    ENDLESS = "a kernel does not end"
    WAITS = "the card waits"
    IDLE = "the host launches nothing"
    WORKS = "the card computes"
    UNKNOWN = "not told"


class DevicePlace(NamedTuple):
    place: Place
    words: str


def cards_of(process: Process, devices: Iterable[Device]) -> tuple[Device, ...]:
    return tuple(device for device in devices if device.host == process.host and process.pid in device.pids)


def place_of(process: Process, position: Position | None, collection: Collection) -> DevicePlace | None:
    """Of one rank; None where it has no card open and its host thread waits for none."""
    cards = cards_of(process, collection.devices)
    waits = position is not None and position.has(Role.DEVICE, Role.DEVICE_LAUNCH)
    if not cards and (not waits or computes_on_host(process)):
        return None
    if why := _gone(process, cards, collection.kernel_log):
        return DevicePlace(Place.GONE, why)
    in_collective = position is not None and position.has(Role.COLLECTIVE, Role.RENDEZVOUS, Role.BARRIER)
    if position and in_collective:
        return DevicePlace(Place.PEER, f"the host waits for other ranks in {position.operation or 'a collective'}")
    uses = [reading.use for card in cards for reading in card.readings if reading.use >= 0]
    if not uses:
        said = "the host waits for the card, and the card's readings are not known"
        return DevicePlace(Place.UNKNOWN, said) if waits else None
    if slowed := {why for card in cards for reading in card.readings[-1:] for why in reading.slowed} & _SLOWED:
        return DevicePlace(Place.SLOW, f"its clocks are held down ({', '.join(sorted(slowed))}), {_readings(cards)}")
    if process.state is State.PROGRESSING:
        return DevicePlace(Place.WORKS, f"the host gets on: {_readings(cards)}")
    if waits and min(uses) >= BUSY and _spins(cards) and (launched := _launched(process)):
        said = f"the card spins in {launched.op} {launched.seq} of {launched.group}, which it began and has not ended"
        return DevicePlace(Place.PEER, f"{said}: {_readings(cards)}")
    return _by_use(uses, cards, waits)


def _launched(process: Process) -> Collective | None:
    """The oldest collective that the framework saw begin on the device, and not end."""
    started = [one for one in process.collectives if one.state == "started"]
    return min(started, key=lambda one: (one.called_at, one.seq), default=None)


def _by_use(uses: Sequence[int], cards: Sequence[Device], waits: bool) -> DevicePlace:
    told = _readings(cards)
    if min(uses) >= BUSY:
        if _spins(cards) and waits:
            return DevicePlace(Place.ENDLESS, f"the host waits for a kernel that is busy with next to nothing: {told}")
        return DevicePlace(Place.WORKS, f"kernels run: {told}")
    if max(uses) <= IDLE:
        if waits:
            said = "host and card wait, for a value, an event or a callback"
            return DevicePlace(Place.WAITS, f"{said}: {told}")
        return DevicePlace(Place.IDLE, f"the card has nothing to do, and the host is elsewhere: {told}")
    return DevicePlace(Place.WORKS, f"kernels come and go: {told}")


def _spins(cards: Sequence[Device]) -> bool:
    shares = [
        reading.power / card.power_limit
        for card in cards
        for reading in card.readings
        if reading.power > 0 and card.power_limit > 0
    ]
    return bool(shares) and max(shares) < SPINS


def _gone(process: Process, cards: Sequence[Device], lines: Iterable[KernelLine]) -> str:
    for card in cards:
        last = card.readings[-1] if card.readings else None
        if last and last.lost:
            return f"card {card.index} ({card.name or 'no name'}): {last.lost}"
        first = card.readings[0] if card.readings else None
        if first and last and last.uncorrected > first.uncorrected >= 0:
            return f"card {card.index}: {last.uncorrected - first.uncorrected} memory errors could not be corrected"
    for line in lines:
        found = _XID.search(line.text) if line.host == process.host else None
        if not found or int(found[2]) not in _FATAL_XIDS:
            continue
        said = f"Xid {found[2]} in the kernel's log: {_FATAL_XIDS[int(found[2])]}"
        if found[3] == str(process.pid):
            return f"{said}, of this process"
        named = next((one for one in cards if one.bus and found[1].lower().startswith(one.bus)), None)
        if named and int(found[2]) in _OF_THE_CARD and _since_it_began(line, process, named):
            return f"card {named.index}: {said}"
    return ""


def _since_it_began(line: KernelLine, process: Process, card: Device) -> bool:
    """Whether the line was written while the process was there: both clocks count from the boot."""
    stamp = _STAMP.match(line.text)
    if not stamp or process.age < 0 or not card.readings:
        return False
    return float(stamp[1]) >= card.readings[-1].at - process.age - 1.0


def _readings(cards: Sequence[Device]) -> str:
    """`card 0 at 100 % use, 124 W of 700 W, 1980 MHz`."""
    said = []
    for card in cards:
        uses = [reading.use for reading in card.readings if reading.use >= 0]
        if not uses:
            continue
        last = card.readings[-1]
        use = f"{min(uses)} to {max(uses)}" if min(uses) != max(uses) else f"{uses[0]}"
        words = f"card {card.index} at {use} % use"
        words += f", {last.power:.0f} W" if last.power >= 0 else ""
        words += f" of {card.power_limit:.0f} W" if last.power >= 0 and card.power_limit > 0 else ""
        said.append(words + (f", {last.clock} MHz" if last.clock >= 0 else ""))
    return "; ".join(said[:MOST_CARDS]) + (f"; and {len(said) - MOST_CARDS} more" if len(said) > MOST_CARDS else "")
