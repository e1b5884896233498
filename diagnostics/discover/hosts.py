"""Find a job on other hosts: each is asked what runs there, and what belongs to the job is chosen here."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.discover.identity import KEYS
from diagnostics.discover.jobs import find_jobs
from diagnostics.discover.scan import seen_of
from diagnostics.discover.selectors import choose
from diagnostics.errors import LastbatchError
from diagnostics.transport import Fleet, Target, program
from diagnostics.transport.command import Said, run_on
from diagnostics.transport.hosts import OnHost, There, answer_of
from diagnostics.transport.reach import Progress, silent


def look_for(fleet: Fleet, words: Sequence[str] = (), children: bool = True, progress: Progress = silent) -> There:
    """Where on these hosts the job is.

    Args:
        words: selectors, as `lastbatch attach` takes them, applied on each host; none: the one job that is there.
        children: whether data loaders and other children of the targets are looked at as well.
    """
    down = dict(fleet.down)
    up = [host for host in fleet.hosts if host not in down]
    progress(f"looking for the job on {len(up)} hosts")
    order = {"do": ["scan"], "keys": list(KEYS), "deadline": fleet.deadline}
    scanned = run_on(fleet.via, {host: program.script(order) for host in up}, fleet.deadline)
    scanned |= {host: Said(b"", why) for host, why in down.items()}
    return There(fleet, tuple(_find(host, scanned[host], words, children) for host in fleet.hosts))


def _find(host: str, said: Said, words: Sequence[str], children: bool) -> OnHost:
    answer, why_not = answer_of(said)
    if answer is None:
        return OnHost(host, why_not=why_not)
    seen = tuple(map(seen_of, answer.seen))
    jobs = find_jobs(seen)
    try:
        chosen = choose(words, seen, jobs, children)
    except LastbatchError as error:
        return OnHost(host, why_not=f"reached, but {error.message}")
    names = {job.id for job in chosen.jobs}
    identities = [one.identity for one in seen if one.identity and one.identity.job in names]
    addresses = tuple(dict.fromkeys(pair for identity in identities for pair in identity.addresses))
    members = tuple(Target(member.pid, member.rank) for member in chosen.members)
    return OnHost(host, answer.about.machine, members, chosen.expected, addresses)
