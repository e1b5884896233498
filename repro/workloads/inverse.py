"""The other way round: what fits into a given memory."""

from __future__ import annotations

from collections.abc import Callable

from repro.setting import Settings
from repro.workloads.plan import plan
from repro.workloads.workload import Workload

MOST_SERVERS = 1024
MOST_ROWS = 1 << 30


def largest_batch(workload: Workload, settings: Settings, limit: int) -> int:
    """Most rows with which every rank stays within `limit` bytes beyond the idle framework; 0: not one."""

    def fits(rows: int) -> bool:
        return _peak(workload, {**settings, "rows": rows}) <= limit

    return _last(fits, MOST_ROWS)


def fewest_servers(workload: Workload, settings: Settings, limit: int) -> int:
    """Fewest servers of which none needs more than `limit` bytes beyond the idle framework; 0: none do.

    More servers do not help where one variable alone is too large for one of them.
    """
    if _server_peak(workload, settings, MOST_SERVERS) > limit:
        return 0
    return 1 + _last(lambda servers: _server_peak(workload, settings, servers) > limit, MOST_SERVERS)


def _peak(workload: Workload, settings: Settings) -> int:
    return max(need.bytes for need in plan(workload, settings).ranks)


def _server_peak(workload: Workload, settings: Settings, servers: int) -> int:
    ranks = plan(workload, {**settings, "ps": servers}).ranks
    return max(need.bytes for need in ranks if need.rank.startswith("ps:"))


def _last(holds: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` for which `holds`; from the first for which it does not, none does."""
    low, high = 0, 1
    while high <= most and holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
