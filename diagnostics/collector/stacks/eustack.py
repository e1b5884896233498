"""eu-stack of elfutils: native frames of every thread; the last resort where there is no gdb."""

from diagnostics.collector.stacks.base import CollectorError, Reading, StackCollector, run_tool


def read(pid: int, budget: float) -> Reading:
    import shutil  # it takes a while, and few need it

    tool = shutil.which("eu-stack")
    if not tool:
        raise CollectorError("eu-stack is not installed (apt-get install elfutils)")
    text = run_tool([tool, "-m", "-p", str(pid)], budget, may_fail=True).decode("utf-8", "replace")
    if "TID %d:" % pid not in text:
        raise CollectorError("eu-stack saw no thread")
    return Reading(text)


COLLECTOR = StackCollector("eu-stack", 50, read, native=True)
