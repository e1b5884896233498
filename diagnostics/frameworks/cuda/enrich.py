"""Which kernels are on the card, asked of cuda-gdb where the user wants it, since it stops the job meanwhile."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from diagnostics.frameworks.cuda.debugger import failure_of, kernels_of
from diagnostics.model import GONE, Collection, DeviceLook, Process, Role
from diagnostics.stacks.position import classify, main_position
from diagnostics.transport import Reach, ask, with_told

SOURCE = "kernels"
SECONDS = 60.0
"""For each process; reading the symbols of large libraries alone may take half of it."""
MOST = 4


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    text: str = ""
    pause: float = 0.0
    why_not: str = ""
    pipe: str = ""
    dumps: tuple[str, ...] = ()


def look(collection: Collection, reach: Reach) -> Collection:
    """With the kernels of the processes that use a card, of a few at most. One after the other is stopped for it."""
    on_cards = [process for process in collection.processes if _uses_card(process, collection)][:MOST]
    if not on_cards:
        return collection
    told = ask(reach, SOURCE, on_cards, {"each": SECONDS}, _Told, SECONDS * len(on_cards))
    silent = told.left_out[0] if told.left_out else "the collector did not answer"
    failed = {
        place: _Told(why_not=told.unusable.get(place, silent))
        for one in on_cards
        if (place := (one.host, one.pid)) not in told.of
    }
    return with_told(collection, replace(told, of={**told.of, **failed}), _with)


def _with(process: Process, told: _Told) -> Process:
    kernels = kernels_of(told.text)
    none = "" if kernels else failure_of(told.text) or "it told of no kernel on the card"
    look = DeviceLook(kernels, told.pause, told.why_not or none, told.pipe, told.dumps)
    return msgspec.structs.replace(process, device_look=look)


def _uses_card(process: Process, collection: Collection) -> bool:
    main = main_position(classify(process))
    waits = main is not None and main.has(Role.DEVICE, Role.DEVICE_LAUNCH)
    alive = process.pid > 0 and process.state not in GONE
    return alive and (waits or any(one.host == process.host and process.pid in one.pids for one in collection.devices))
