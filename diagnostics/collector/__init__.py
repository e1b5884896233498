"""Evidence from processes of this machine. The ladder is in `ladder`, each way to get evidence in a file of its own."""

from diagnostics.collector.collect import Options, Target, add_stacks, collect, look_again, observe

__all__ = ["Options", "Target", "add_stacks", "collect", "look_again", "observe"]
