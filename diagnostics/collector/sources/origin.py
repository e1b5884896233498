"""How a process was started: its command, by whom, how long ago; how it ended, if it has."""

from diagnostics.collector import procfs
from diagnostics.collector.look import Fields, Look

STILL = True


def once(look: Look) -> Fields:
    return {
        pid: {
            "command": list(procfs.command_of(pid)), "parent": procfs.parent_of(pid), "age": procfs.age_of(pid),
            "exit_status": procfs.exit_status_of(pid),
        }
        for pid in look.pids
    }  # fmt: skip
