"""The end of what the process has said."""

from diagnostics.collector import procfs
from diagnostics.collector.look import Fields, Look


def once(look: Look) -> Fields:
    return {pid: {"log_tail": list(procfs.tail(target.log))} for pid, target in look.targets.items()}
