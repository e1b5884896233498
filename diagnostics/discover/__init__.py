"""Which processes make up a job. `identity` and `jobs` are pure, `scan` looks at /proc, users type `selectors`."""

from diagnostics.discover.jobs import Job, Member, find_jobs
from diagnostics.discover.scan import Seen, scan
from diagnostics.discover.selectors import select

__all__ = ["Job", "Member", "Seen", "find_jobs", "scan", "select"]
