"""gdb: native frames of every thread, of anything that runs; slow, and the target is stopped throughout."""

from diagnostics.collector.stacks.base import CollectorError, Reading, StackCollector, run_tool

# Neither the user's nor the target's own gdb scripts are run, and no debug information is fetched from afar.
_SETTINGS = ("set auto-load no", "set debuginfod enabled off", "set pagination off", "set print frame-arguments none")


def read(pid: int, budget: float) -> Reading:
    import shutil  # it takes a while, and few need it

    tool = shutil.which("gdb")
    if not tool:
        raise CollectorError("gdb is not installed (apt-get install gdb)")
    settings = [word for setting in _SETTINGS for word in ("-iex", setting)]
    output = run_tool([tool, "-nx", "-batch"] + settings + ["-p", str(pid), "-ex", "thread apply all bt"], budget)
    text = output.decode("utf-8", "replace")
    if "\nThread " not in text:
        raise CollectorError("gdb saw no thread")
    return Reading(text)


COLLECTOR = StackCollector("gdb", 40, read, native=True)
