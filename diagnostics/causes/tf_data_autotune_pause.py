"""The end of a tf.data iterator waits for the autotuner, which missed that it shall end. It wakes within a minute.

`Model::OptimizeLoop` sleeps between two looks at the pipeline: 10 ms first, twice as long each time, up to a
minute. What wakes it early is a callback of the cancellation, and callbacks run *before* the cancellation counts.
If the autotuner looks in between, it is not cancelled yet, and sleeps for the rest of its time, and whoever ends
the iterator waits for it. So the pause is at most as long as the epoch was, and a minute at most.

On one core of an idle machine 5 of 20 iterators that had lived for 3 or 8 s ended so, after 2.1 to 2.2 s, and none
of 12 with the autotuner switched off. Two workers, one of them with a CPU quota of 0.02 cores, stood still for 5 to
9 s at most ends of epochs.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.job import AUTOTUNE_SLEEP, waits_for_autotuner
from diagnostics.analyze.progress import Limits, has_moved, silence_of
from diagnostics.causes.base import Case, Cause, Remedy


def examine(facts: Facts) -> Case | None:
    asleep = [process for process in facts.processes if waits_for_autotuner(process)]
    if not asleep:
        return None
    case = Case("tf-data-autotune-pause")
    said = "a thread ends an iterator of tf.data, and waits for its autotuner"
    case.saw("ends-iterator", said, "native stacks", names(asleep))
    case.saw(
        "autotuner-sleeps", "the autotuner sleeps until its next look at the pipeline", "native stacks", names(asleep)
    )
    if any(has_moved(process.samples, Limits()) for process in asleep):
        case.saw("moves", "it moves", "two samples", names(asleep))
    elif any(len(process.samples) > 1 for process in asleep):
        case.saw("nothing-moved", "nothing moved between two samples", "two samples", names(asleep))
    late = [p for p in asleep if p.flight and silence_of(p.flight) > AUTOTUNE_SLEEP]
    if late:
        case.saw("too-long", "has lasted longer than the autotuner sleeps", "recorder", names(late))
    return case


CAUSE = Cause(
    id="tf-data-autotune-pause",
    only="tensorflow",
    family="slow",
    title="The end of a tf.data iterator waits for the autotuner to wake, which takes up to a minute",
    examine=examine,
    not_to_be_confused_with=(
        "A hang at the last batch: this one ends by itself, after at most a minute, and comes again at the end of "
        "other epochs. In a collective job the other ranks wait for the one that is in it."
    ),
    versions="TensorFlow 2 with an autotuner in the iterator's root; seen on 2.21",
    remedies=(
        Remedy("nothing", "Nothing has to be done for the job to go on"),
        Remedy(
            "no-autotune",
            "Take the autotuner out of pipelines that do not need it: `options.autotune.enabled = False`, `dataset "
            "= dataset.with_options(options)`",
        ),
        Remedy(
            "repeat",
            "Or do not end the iterator with the epoch: `repeat()` the dataset and count the steps of an epoch",
        ),
    ),
    references=(
        "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/framework/model.cc",
        "https://www.tensorflow.org/api_docs/python/tf/data/experimental/AutotuneOptions",
    ),
    scenario="autotune-pause",
    search_for=(
        "    absl::Notification::WaitForNotification()",
        "    tensorflow::data::UnboundedThreadPool::LogicalThreadWrapper::~LogicalThreadWrapper()",
        "    tensorflow::data::RootDataset::Iterator::~Iterator()",
        "    tensorflow::data::IteratorResource::~IteratorResource()",
    ),
)
