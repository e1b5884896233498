"""The workloads by name, and published models as settings of one."""

from __future__ import annotations

import difflib

import msgspec

from diagnostics.errors import UsageError
from repro.setting import Setting, Settings
from repro.workloads import transformer
from repro.workloads.candidates import NCE, SAMPLED_SOFTMAX
from repro.workloads.ctr import CTR
from repro.workloads.transformer import TRANSFORMER
from repro.workloads.wide import WIDE
from repro.workloads.workload import JOB, NUMBERS, Workload

WORKLOADS = {workload.name: workload for workload in (WIDE, CTR, SAMPLED_SOFTMAX, NCE, TRANSFORMER)}


def names() -> tuple[str, ...]:
    return (*WORKLOADS, *transformer.KNOWN)


def find(name: str) -> Workload:
    """A workload, or a published model: a transformer with other defaults.

    Raises:
        UsageError: there is none of that name.
    """
    if name in WORKLOADS:
        return WORKLOADS[name]
    if name not in transformer.KNOWN:
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names())}"
        raise UsageError(f"no workload {name!r}", hint)
    published = transformer.KNOWN[name]
    settings = tuple(
        msgspec.structs.replace(setting, default=published.get(setting.name, setting.default))
        for setting in TRANSFORMER.settings
    )
    return msgspec.structs.replace(TRANSFORMER, name=name, settings=settings)


def settings_of(workload: Workload) -> tuple[Setting, ...]:
    """All settings that a plan of it takes."""
    return JOB + workload.settings + NUMBERS


def complete(workload: Workload, known: Settings) -> Settings:
    """All settings of a plan: those that are known, and the defaults of the rest."""
    return {setting.name: known.get(setting.name, setting.default) for setting in settings_of(workload)}


def check(settings: Settings) -> None:
    """Raises: UsageError: values that do not go together."""
    if "heads" in settings and settings["width"] % settings["heads"]:
        raise UsageError(
            f"width={settings['width']} is not a multiple of heads={settings['heads']}",
            "Each head has an equal share",
        )
