"""The four inputs of `last-batch`. They differ in *when* the end of the data becomes an error.

Each is a class made inside the worker's device scope. It has `batch` (the model's features by name, each `[rows] +
shape`), `rows` (scalar: rows of this batch), `start_epoch(session)`, and `sessions(target, config, epochs)`,
which yields `(session, epoch)` pairs.
"""

import os
import random
import time

import numpy as np

from repro.nodes.models.parts import in_memory
from repro.nodes.tfcompat import VERSION, batch, initializable, sloppy_interleave, tf


def rows_an_epoch(settings):
    return settings["batches"] * settings["rows"] + settings["remainder"]


def values_in(shape):
    size = 1
    for length in shape:
        size *= length
    return size


def type_of(feature):
    return tf.float32 if feature.below is None else tf.int64


def example(features, numbers):
    """One row for a TFRecord file; `numbers` is the source of chance."""
    values = {}
    for name, feature in sorted(features.items()):
        count = values_in(feature.shape)
        if feature.below is None:
            values[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0] * count))
        else:
            ids = [numbers.randrange(feature.below) for _ in range(count)]
            values[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=ids))
    return tf.train.Example(features=tf.train.Features(feature=values))


def rows_of_shards(rows, shards, uneven):
    """How many rows each file has: equally many or, if `uneven`, in the ratio 1 to 2 to 3 and so on."""
    weights = [index + 1 if uneven else 1 for index in range(shards)]
    ends = [rows * sum(weights[:index]) // sum(weights) for index in range(shards + 1)]
    return [end - begin for begin, end in zip(ends, ends[1:])]


def write_tfrecords(node, features):
    """The epoch's rows as TFRecord files where the rank keeps its data. The same seed gives the same files."""
    writer_class = tf.io.TFRecordWriter if VERSION >= (1, 12) else tf.python_io.TFRecordWriter
    settings = node.settings
    numbers = random.Random("%d of %s" % (settings["seed"], node.rank))
    paths = []
    counts = rows_of_shards(rows_an_epoch(settings), settings["shards"], settings["uneven_shards"])
    for index, count in enumerate(counts):
        paths.append(os.path.join(node.data, "part-%d.tfrecord" % index))
        writer = writer_class(paths[-1])
        for _ in range(count):
            writer.write(example(features, numbers).SerializeToString())
        writer.close()
    return paths


def parsing(features):
    return {name: tf.FixedLenFeature(feature.shape, type_of(feature)) for name, feature in features.items()}


class DatasetSource(object):
    """Tensors in memory: the end of sequence is an error at once, while the step's receives still start."""

    def __init__(self, node, features):
        settings = node.settings
        tensors = in_memory(rows_an_epoch(settings), features, settings["seed"] + node.index)
        self._iterate(tf.data.Dataset.from_tensor_slices(tensors), settings)

    def _iterate(self, dataset, settings, parse=None):
        dataset = batch(dataset, settings["rows"], settings["drop_remainder"])
        self.iterator = initializable(dataset.map(parse) if parse else dataset)
        self.batch = self.iterator.get_next()
        self.rows = tf.shape(next(iter(self.batch.values())))[0]

    def start_epoch(self, session):
        session.run(self.iterator.initializer)

    def sessions(self, target, config, epochs):
        with tf.Session(target, config=config) as session:
            for epoch in epochs:
                yield session, epoch


class DatasetArticleSource(DatasetSource):
    """The published demo's pipeline: TFRecord files, sloppy interleave, prefetch, batch, then parse."""

    def __init__(self, node, features):
        settings = node.settings
        write_tfrecords(node, features)
        files = tf.data.Dataset.list_files(os.path.join(node.data, "part-*.tfrecord"))
        dataset = sloppy_interleave(files, tf.data.TFRecordDataset, settings["shards"])
        dataset = dataset.prefetch(settings["rows"] * 2)
        self._iterate(dataset, settings, lambda rows: tf.parse_example(rows, parsing(features)))
        self.chief = node.index == 0

    def sessions(self, target, config, epochs):
        with tf.train.MonitoredTrainingSession(
            target,
            is_chief=self.chief,
            config=config,
            save_checkpoint_secs=None,
            save_summaries_steps=None,
            save_summaries_secs=None,
            log_step_count_steps=None,
            scaffold=tf.train.Scaffold(init_op=tf.no_op()),  # they are initialized
        ) as session:
            for epoch in epochs:
                yield session, epoch


def slow_storage(milliseconds):
    """An op that takes so long, as a read from a remote file system does."""

    def wait():
        time.sleep(milliseconds / 1000.0)
        return np.int32(0)

    return tf.py_func(wait, [], tf.int32) if milliseconds else tf.no_op()


class QueueSource(object):
    """A queue-runner pipeline whose reads take `read_ms` each, also the one that finds the end of the files.

    While that read is on its way the worker waits in dequeue, all its receives started: the error comes late. With
    reads that take no time the queue is closed before the step starts, and nothing tells it from a Dataset.

    The ops are those of `string_input_producer(num_epochs=1)` and `tf.train.batch`, put together by hand: a closed
    queue stays closed, so each epoch takes the next queues of a list. Only when the list is used up are they reset
    and does a new session begin, because that costs a second and an epoch some milliseconds.
    """

    queues = 200

    def __init__(self, node, features):
        settings = node.settings
        names_of = sorted(features)
        shapes = [features[name].shape for name in names_of]
        types = [type_of(features[name]) for name in names_of]
        paths = write_tfrecords(node, features)
        self.container = "input-%d" % node.index
        self.which = tf.Variable(0, trainable=False, dtype=tf.int32, collections=[tf.GraphKeys.LOCAL_VARIABLES])
        with tf.container(self.container):
            names = self._queue_of_the_epoch(len(paths), [tf.string], [[]])
            limited = tf.train.limit_epochs(tf.constant(paths), num_epochs=1)
            reader = tf.TFRecordReader()
            with tf.control_dependencies([slow_storage(settings["read_ms"])]):
                _, serialized = reader.read(names)
            parsed = tf.parse_single_example(serialized, parsing(features))
            rows = self._queue_of_the_epoch(max(32, 2 * settings["rows"]), types, shapes)
        self.runners = [
            tf.train.QueueRunner(names, [names.enqueue_many([limited])]),
            tf.train.QueueRunner(rows, [rows.enqueue([parsed[name] for name in names_of])]),
        ]
        dequeue = rows.dequeue_many if settings["drop_remainder"] else rows.dequeue_up_to
        taken = dequeue(settings["rows"])
        self.batch = dict(zip(names_of, taken if len(names_of) > 1 else [taken]))
        self.rows = tf.shape(self.batch[names_of[0]])[0]
        counters = [variable for variable in tf.local_variables() if variable is not self.which]
        self.initialize = tf.variables_initializer([self.which])
        self.renew = [tf.variables_initializer(counters), reader.reset()]
        self.take_next_queues = tf.assign_add(self.which, 1)

    def _queue_of_the_epoch(self, capacity, types, shapes):
        queues = [tf.FIFOQueue(capacity, types, shapes=shapes) for _ in range(self.queues)]
        return tf.FIFOQueue.from_list(self.which, queues)

    def start_epoch(self, session):
        pass  # its runners are started with it, in `sessions`

    def sessions(self, target, config, epochs):
        left = list(epochs)
        while left:
            now, left = left[: self.queues], left[self.queues :]
            with tf.Session(target, config=config) as session:
                session.run(self.initialize)
                for epoch in now:
                    session.run(self.renew)
                    coordinator = tf.train.Coordinator()
                    threads = [
                        thread
                        for runner in self.runners
                        for thread in runner.create_threads(session, coordinator, daemon=True, start=True)
                    ]
                    yield session, epoch
                    coordinator.request_stop()
                    coordinator.join(threads)
                    session.run(self.take_next_queues)
            tf.Session.reset(target, [self.container])


class ClosedQueueSource(object):
    """A queue that is closed and empty before the step starts: its error comes at once, as a Dataset's does."""

    def __init__(self, node, features):
        names = sorted(features)
        shapes = [[node.settings["rows"], *features[name].shape] for name in names]
        queue = tf.FIFOQueue(1, [type_of(features[name]) for name in names], shapes=shapes)
        self.close = queue.close()
        taken = queue.dequeue()
        self.batch = dict(zip(names, taken if len(names) > 1 else [taken]))
        self.rows = tf.shape(self.batch[names[0]])[0]

    def start_epoch(self, session):
        pass  # closed once, empty for ever

    def sessions(self, target, config, epochs):
        with tf.Session(target, config=config) as session:
            session.run(self.close)
            for epoch in epochs:
                yield session, epoch


SOURCES = {
    "dataset": DatasetSource,
    "dataset-article": DatasetArticleSource,
    "queue": QueueSource,
    "queue-closed": ClosedQueueSource,
}
