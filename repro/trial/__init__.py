"""One trial: an arm of a scenario on a runtime, from its start to its outcome; nothing that it started is left."""

from repro.trial.outcome import Outcome
from repro.trial.plan import Plan
from repro.trial.ranks import epoch_ends_of, recorder_of, wait_until_ready
from repro.trial.run import run_trial
from repro.trial.watch import Observer

__all__ = ["Observer", "Outcome", "Plan", "epoch_ends_of", "recorder_of", "run_trial", "wait_until_ready"]
