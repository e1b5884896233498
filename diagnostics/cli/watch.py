"""`lastbatch watch`: wait until a job hangs, then do what attach does."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from diagnostics import pipeline
from diagnostics.analyze.progress import Limits
from diagnostics.cli.attach import Out, conclude, default_path, refuse_no_place
from diagnostics.cli.console import BAD_NEWS, CANNOT_TELL, OK, Json, command, words
from diagnostics.collector import procfs
from diagnostics.collector.stacks.chain import why_denied
from diagnostics.discover.selectors import select
from diagnostics.errors import LastbatchError, MissingError, UsageError
from diagnostics.model import Process
from diagnostics.report.live import Phase
from diagnostics.report.terminal import render_diagnosis
from diagnostics.transport import Here, Options, Target
from diagnostics.watching import Board, Death, Family, Hang, Moves, Stands, Watcher, Webhook, address_of

PAUSE = 70.0
"""Seconds that a job has to go on after a verdict that it does: the longest known pause, and some more."""
EARLY = 8.0
"""Seconds without movement after which evidence is kept: timeouts of half a minute must not come first."""
EARLY_GAP = 3.0

ON_HANG = ("report", "dump", "kill")
WEBHOOK = "LASTBATCH_WEBHOOK"
SCREEN = 100
"""Columns of the first screen where it is sent."""


@command
def watch(
    argv: Annotated[
        list[str] | None, typer.Argument(help="A command to start and watch, after --.", metavar="COMMAND")
    ] = None,
    pid: Annotated[list[str] | None, typer.Option(help="A process (or job:ID) to watch; again for more.")] = None,
    hang_after: Annotated[float, typer.Option(help="Seconds without any movement that are suspicious.", min=1)] = 60.0,
    on_hang: Annotated[
        str,
        typer.Option(
            help="After collecting: report and watch on; dump and end, the job stays; kill the job; or a command of "
            "yours, run with LASTBATCH_BUNDLE and LASTBATCH_VERDICT, and watch on.",
            metavar="report|dump|kill|CMD",
        ),
    ] = "dump",
    metrics: Annotated[
        Path | None,
        typer.Option(help="Keep the state of each rank here, for node_exporter: end it with .prom.", metavar="FILE"),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(help="Serve /metrics and a page while it watches; to this machine alone.", metavar="[HOST:]PORT"),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            help="Post the answer here when it hangs or a rank dies: Slack's form for Slack, else plain JSON.",
            envvar=WEBHOOK,
            metavar="URL",
        ),
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> int:
    """Wait until a job hangs, then look at it as attach does, while it is still there.

    Nothing has to be prepared in the job: it is watched from outside. A job that was quiet before (an evaluation, a
    checkpoint) may be quiet three times as long. After 8 s without movement evidence is kept, so that it is there when
    a watchdog ends the job first; it is removed when the job goes on. When a rank dies the others are looked at before
    their launcher ends them. Ends with 1 after a hang or a death, else as the job ended.

    Example: lastbatch watch --hang-after 120 --on-hang kill -- torchrun --nproc-per-node 4 train.py
    Example: lastbatch watch --on-hang report --serve 9177 --metrics /var/lib/node_exporter/lastbatch.prom --pid 4711
    """
    if bool(argv) == bool(pid):
        raise UsageError("give either --pid or a command after --", "For example: lastbatch watch -- python train.py")
    if on_hang not in ON_HANG and _cannot_be_run(on_hang):
        raise UsageError(f"--on-hang cannot run {on_hang!r}", f"Say {', '.join(ON_HANG)}, or a command that can be run")
    refuse_no_place(out)
    hook = Webhook(webhook) if webhook else None
    os.environ.pop(WEBHOOK, None)  # a secret, and no business of the job
    with Board(metrics, address_of(serve) if serve else None) as board:
        if board.url:
            words.print(f"lastbatch: the watch is shown at {board.url}", soft_wrap=True)
        started = _start(argv) if argv else None
        told = False
        try:
            roots = [started.pid] if started else [one.pid for one in select(pid or [], with_children=False).members]
            if why := next(filter(None, map(why_denied, roots)), ""):  # not first when it hangs, at night
                words.print(f"lastbatch: no stack will be seen: {why}", soft_wrap=True)
            code = _Watch(roots, started, hang_after, on_hang, out, as_json, board, hook).run()
            told = True
            return code
        finally:
            # What we started is not left behind, unless it was to be left standing for a look.
            if started and not _is_over(started) and not (told and on_hang == "dump"):
                _end(Family([started.pid]).members())


def _cannot_be_run(command: str) -> bool:
    """Where that is certain: a shell has words of its own, and a line may begin with more than a name."""
    first = command.split()[0] if command.split() else ""
    is_certain = re.fullmatch(r"[\w./+-]+", first) and (first == command or "/" in first)
    return not first or (bool(is_certain) and shutil.which(first) is None)


def _start(argv: list[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(argv)
    except OSError as error:
        raise MissingError(f"cannot start {argv[0]}: {error.strerror}", "Check the command") from None


class _Watch:
    """One job, from its start to its end or to the first hang."""

    def __init__(
        self,
        roots: list[int],
        started: subprocess.Popen[bytes] | None,
        hang_after: float,
        on_hang: str,
        out: Path | None,
        as_json: bool,
        board: Board,
        webhook: Webhook | None,
    ) -> None:
        self._roots, self._started, self._hang_after = roots, started, hang_after
        self._on_hang, self._out, self._as_json = on_hang, out, as_json
        self._board, self._webhook, self._lost = board, webhook, ""
        self._watcher = Watcher(roots, self._has_ended, hang_after, min(EARLY, hang_after), self._looked)
        self._early: pipeline.Answer | None = None
        self._lost_rank = ""
        """The rank after whose end it was taken, which may have been as it should; "" where the job stood still."""

    def _has_ended(self) -> bool:
        return _is_over(self._started) if self._started else not any(map(procfs.exists, self._roots))

    def run(self) -> int:
        code = OK
        while (event := self._watcher.next()) is not None:
            if isinstance(event, Stands):
                self._board.phase(Phase.QUIET, self._watcher.stood)
                self._keep(event)
            elif isinstance(event, Moves):
                self._board.phase(Phase.WATCHING, event.seconds)
                self._drop()
            elif isinstance(event, Death):
                code = self._on_death(event) or code
            elif (told := self._on_hang_seen(event)) is not None:
                code = told
                if self._on_hang in ("dump", "kill"):
                    return code
                _moves(self._watcher.family, self._hang_after)
                self._board.phase(Phase.WATCHING)
            else:
                self._board.phase(Phase.WATCHING)
        ended = code or _how_it_ended(self._started)
        if self._early and ended:
            stood = f"it had stood still for {self._watcher.stood:.0f} s before it ended"
            answer = self._conclude_early(self._lost_rank or stood, Phase.ENDED)
            if self._on_hang not in ON_HANG:
                self._call(answer)
        elif self._early:
            self._drop("it ended as it should")
        self._board.phase(Phase.ENDED)
        return ended

    def _looked(self, watcher: Watcher) -> None:
        self._board.seen(watcher)
        if self._board.lost and not self._lost:
            words.print(f"lastbatch: the metrics are not up to date: {self._board.lost}", soft_wrap=True)
        self._lost = self._board.lost

    def _publish(
        self, answer: pipeline.Answer, phase: Phase, ago: float, act: Callable[[], None] = lambda: None
    ) -> None:
        """Show it, tell who wants to be told, and act meanwhile: a chat that is slow must not delay a kill.

        The watch goes on whatever becomes of the telling.
        """
        self._board.look(phase, answer.collection, answer.diagnosis, ago)
        if self._webhook is None:
            return act()
        bundle = str(answer.bundle or "")
        payload = self._webhook.payload(_screen(answer, bundle), answer.diagnosis, self._board.live.host, bundle)
        arrived = self._webhook.post(payload)
        act()
        if why := arrived():
            words.print(f"lastbatch: the webhook at {self._webhook.host} was not told: {why}", soft_wrap=True)

    def _keep(self, event: Stands) -> None:
        """Evidence while it is there to be had, of which nobody is told unless it comes to a hang or a death."""
        self._lost_rank = ""
        with suppress(LastbatchError):
            here = self._here()
            collection = here.collect(Options(gap=EARLY_GAP))
            self._early = pipeline.answer(collection, self._limits(event.seconds), self._path(), reach=here)
            words.print(
                f"lastbatch: nothing has moved for {self._watcher.stood:.0f} s; evidence is kept until it goes on: "
                f"{self._early.bundle}",
                soft_wrap=True,
            )

    def _drop(self, why: str = "it went on") -> None:
        if self._early and self._early.bundle:
            self._early.bundle.unlink(missing_ok=True)
            words.print(f"lastbatch: {why}; the evidence is removed")
        self._early, self._lost_rank = None, ""

    def _on_hang_seen(self, hang: Hang) -> int | None:
        """Tell of it and do what is to be done; None where it went on by itself."""
        _tell(hang)
        # What is known from watching is more than two samples tell.
        limits = self._limits(hang.job.allowed(self._hang_after))
        here = self._here()
        answer = pipeline.answer(here.collect(Options()), limits, self._path(), reach=here)
        if self._early and self._early.bundle and self._early.bundle != answer.bundle:
            self._early.bundle.unlink(missing_ok=True)  # what is known now is more
        self._early, self._lost_rank = None, ""
        goes_on = conclude(answer, self._as_json) in (OK, CANNOT_TELL)
        if goes_on and hang.spins:
            words.print("lastbatch: it is busy, and may get on; watching on")
            if answer.bundle:
                answer.bundle.unlink(missing_ok=True)
            return None
        if goes_on and _moves(self._watcher.family, self._hang_after, PAUSE):
            words.print("lastbatch: it went on by itself; watching on")
            return None
        self._publish(answer, Phase.HUNG, hang.job.seconds(time.monotonic()), lambda: self._act(answer))
        return BAD_NEWS

    def _act(self, answer: pipeline.Answer) -> None:
        """What --on-hang says, after all evidence is on disk."""
        if self._on_hang == "kill":
            _end(self._watcher.family.members())
        elif self._on_hang not in ON_HANG:
            self._call(answer)

    def _on_death(self, death: Death) -> int:
        """Look at those that remain, before who started them ends them."""
        what = f"{death.rank} (process {death.end.pid}) ended with {_how(death.end.status)}"
        if self._early:
            death.end.passed_over()
            if death.end.status is None:
                return OK
            stood = f"after the job had stood still for {self._watcher.stood:.0f} s"
            answer = self._conclude_early(self._lost_rank or f"{what}, {stood}", Phase.RANK_ENDED)
        else:
            words.print(f"lastbatch: {what}; looking at the others", soft_wrap=True)
            answer = self._of_the_others(death)
            if death.end.status is None:  # it may have ended as it should: how the job goes on, or ends, tells
                self._early, self._lost_rank = answer, what
                return OK
            conclude(answer, self._as_json)
            self._publish(answer, Phase.RANK_ENDED, 0.0)
        self._watcher.roster.forget()  # the others are about to be ended
        if self._on_hang not in ON_HANG:
            self._call(answer)
        return BAD_NEWS

    def _conclude_early(self, what: str, phase: Phase) -> pipeline.Answer:
        """It ended at its stand, so that was no pause, or after a rank: what was kept then is the answer."""
        assert self._early
        words.print(f"lastbatch: {what}", soft_wrap=True)
        answer = self._early
        if not self._lost_rank:
            limits = self._limits(self._watcher.stood, stands=EARLY_GAP)
            collection, diagnosis = pipeline.explain(answer.collection, limits)
            answer = answer._replace(collection=collection, diagnosis=diagnosis)
        self._early, self._lost_rank = None, ""
        conclude(answer, self._as_json)
        self._publish(answer, phase, 0.0)
        return answer

    def _of_the_others(self, death: Death) -> pipeline.Answer:
        began = time.monotonic()
        end = death.end
        with end.looked_at() as stands:
            others = self._here(but=(death.parent, end.pid))
            collection = others.collect(Options())
            dead = Process(death.rank, end.pid, socket.gethostname(), exit_status=end.status, exit_order=0)
            collection = msgspec.structs.replace(collection, processes=(*collection.processes, dead))
            answer = pipeline.answer(collection, self._limits(self._hang_after), self._path(), reach=others)
        if stands:
            took = time.monotonic() - began
            words.print(f"lastbatch: process {death.parent}, which started it, was held for {took:.1f} s meanwhile")
        return answer

    def _here(self, but: Container[int] = ()) -> Here:
        """The processes of the job that are there now."""
        roots = [str(pid) for pid in self._roots if procfs.exists(pid)]
        members = select(roots).members if roots else ()
        return Here(tuple(Target(one.pid, one.rank) for one in members if one.pid not in but))

    def _limits(self, quiet: float, stands: float = Limits().stands) -> Limits:
        return Limits(floor=self._hang_after, unknown_history=min(quiet, 60.0), stands=stands)

    def _path(self) -> Path:
        return self._out or default_path()

    def _call(self, answer: pipeline.Answer) -> None:
        """The user's own command; what it does is its own matter."""
        told = {"LASTBATCH_BUNDLE": str(answer.bundle or ""), "LASTBATCH_VERDICT": answer.diagnosis.verdict}
        done = subprocess.run(["sh", "-c", self._on_hang], env={**os.environ, **told}, check=False)
        if done.returncode:
            words.print(f"lastbatch: {self._on_hang} ended with {done.returncode}")


def _screen(answer: pipeline.Answer, bundle: str) -> str:
    console = Console(file=io.StringIO(), width=SCREEN, color_system=None, highlight=False, markup=False, emoji=False)
    with console.capture() as screen:
        console.print(render_diagnosis(answer.collection, answer.diagnosis, source=bundle))
    return screen.get()


def _tell(hang: Hang) -> None:
    now = time.monotonic()
    what = "no byte has moved, and no rank has left its line," if hang.spins else "nothing has moved"
    words.print(f"lastbatch: {what} for {hang.job.seconds(now):.0f} s; collecting")
    if hang.spins:
        return
    for pid, quiet in sorted(hang.processes.items(), key=lambda item: item[1].since):
        before = f", before that for {quiet.longest:.0f} s at most" if quiet.longest else ""
        words.print(f"  process {pid} has not moved for {quiet.seconds(now):.0f} s{before}")


def _moves(family: Family, patience: float, within: float = math.inf) -> bool:
    """Wait until the job goes on or is gone, so that a hang is reported once. False: it did not `within` seconds."""
    before, deadline = sum(map(procfs.cpu_of, family.members())), time.monotonic() + within
    while any(map(procfs.exists, (pids := family.members()))) and sum(map(procfs.cpu_of, pids)) - before < 0.5:
        if time.monotonic() > deadline:
            return False
        time.sleep(min(5.0, patience))
    return True


def _how(status: int | None) -> str:
    if status is None:
        return "a status that its parent alone was told"
    return f"signal {-status}" if status < 0 else f"status {status}"


def _is_over(started: subprocess.Popen[bytes]) -> bool:
    """Popen would take a stop of a process that is held for its end (man 2 wait: tracees)."""
    if started.returncode is None:
        told = os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if told is None or told.si_code not in (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED):
            return False
    return started.poll() is not None


def _how_it_ended(started: subprocess.Popen[bytes] | None) -> int:
    if started is None or not started.returncode:
        return OK
    words.print(f"lastbatch: the command ended with {started.returncode}")
    return BAD_NEWS


def _end(processes: Mapping[int, int], patience: float = 5.0) -> None:
    """Ask them to end, then make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, started in processes.items():
            if procfs.start_time(pid) == started:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        deadline = time.monotonic() + patience
        while any(procfs.exists(pid) for pid in processes) and time.monotonic() < deadline:
            time.sleep(0.05)
