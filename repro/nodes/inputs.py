"""The four inputs of `last-batch`. They differ in *when* the end of the data becomes an error.

Each is a class made inside the worker's device scope. It has `features` (float matrix `[rows, WIDTH]`, or ids
`[rows, features]` for the `ctr` model), `rows` (scalar: rows of this batch), `model` (which model eats it),
`start_epoch(session)`, and `sessions(target, config, epochs)`, which yields `(session, epoch)` pairs.
"""

import os
import time

import numpy as np

from repro.nodes.models import WIDTH
from repro.nodes.tfcompat import VERSION, batch, initializable, sloppy_interleave, tf

FILES = 2


def rows_an_epoch(settings):
    return settings["batches"] * settings["rows"] + settings["remainder"]


def write_tfrecords(node, make_example):
    """The epoch's rows as TFRecord files in the rank's own directory."""
    writer_class = tf.io.TFRecordWriter if VERSION >= (1, 12) else tf.python_io.TFRecordWriter
    paths = [os.path.join(node.directory, "part-%d.tfrecord" % index) for index in range(FILES)]
    writers = [writer_class(path) for path in paths]
    for row in range(rows_an_epoch(node.settings)):
        writers[row % FILES].write(make_example(row).SerializeToString())
    for writer in writers:
        writer.close()
    return paths


def float_example(row):
    values = tf.train.FloatList(value=[1.0] * WIDTH)
    return tf.train.Example(features=tf.train.Features(feature={"x": tf.train.Feature(float_list=values)}))


class DatasetSource(object):
    """Tensors in memory: the end of sequence is an error at once, while the step's receives still start."""

    model = "wide"

    def __init__(self, node):
        settings = node.settings
        dataset = tf.data.Dataset.from_tensor_slices(tf.ones([rows_an_epoch(settings), WIDTH]))
        self.iterator = initializable(batch(dataset, settings["rows"], settings["drop_remainder"]))
        self.features = self.iterator.get_next()
        self.rows = tf.shape(self.features)[0]

    def start_epoch(self, session):
        session.run(self.iterator.initializer)

    def sessions(self, target, config, epochs):
        with tf.Session(target, config=config) as session:
            for epoch in epochs:
                yield session, epoch


class DatasetArticleSource(DatasetSource):
    """The published demo's pipeline: TFRecord files, sloppy interleave, prefetch, batch, then parse."""

    model = "ctr"

    def __init__(self, node):
        settings = node.settings
        names = ["f%d" % index for index in range(settings["variables"])]

        def example(row):
            feature = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=[(row * 31 + index * 7) % 1000]))
                for index, name in enumerate(names)
            }
            return tf.train.Example(features=tf.train.Features(feature=feature))

        write_tfrecords(node, example)
        parse = {name: tf.FixedLenFeature([1], tf.int64) for name in names}

        def parse_batch(serialized):
            parsed = tf.parse_example(serialized, parse)
            return tf.concat([parsed[name] for name in names], axis=1)

        files = tf.data.Dataset.list_files(os.path.join(node.directory, "part-*.tfrecord"))
        dataset = sloppy_interleave(files, tf.data.TFRecordDataset, FILES).prefetch(settings["rows"] * 2)
        dataset = batch(dataset, settings["rows"], settings["drop_remainder"]).map(parse_batch)
        self.iterator = initializable(dataset)
        self.features = self.iterator.get_next()
        self.rows = tf.shape(self.features)[0]
        self.chief = node.index == 0

    def sessions(self, target, config, epochs):
        with tf.train.MonitoredTrainingSession(
            target, is_chief=self.chief, config=config,
            save_checkpoint_secs=None, save_summaries_steps=None, save_summaries_secs=None,
            log_step_count_steps=None,
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

    model = "wide"
    queues = 200

    def __init__(self, node):
        settings = node.settings
        paths = write_tfrecords(node, float_example)
        self.container = "input-%d" % node.index
        self.which = tf.Variable(0, trainable=False, dtype=tf.int32, collections=[tf.GraphKeys.LOCAL_VARIABLES])
        with tf.container(self.container):
            names = self._queue_of_the_epoch(len(paths), tf.string, [])
            limited = tf.train.limit_epochs(tf.constant(paths), num_epochs=1)
            reader = tf.TFRecordReader()
            with tf.control_dependencies([slow_storage(settings["read_ms"])]):
                _, serialized = reader.read(names)
            parsed = tf.parse_single_example(serialized, {"x": tf.FixedLenFeature([WIDTH], tf.float32)})
            rows = self._queue_of_the_epoch(max(32, 2 * settings["rows"]), tf.float32, [WIDTH])
        self.runners = [
            tf.train.QueueRunner(names, [names.enqueue_many([limited])]),
            tf.train.QueueRunner(rows, [rows.enqueue([parsed["x"]])]),
        ]
        dequeue = rows.dequeue_many if settings["drop_remainder"] else rows.dequeue_up_to
        self.features = dequeue(settings["rows"])
        self.rows = tf.shape(self.features)[0]
        counters = [variable for variable in tf.local_variables() if variable is not self.which]
        self.initialize = tf.variables_initializer([self.which])
        self.renew = [tf.variables_initializer(counters), reader.reset()]
        self.take_next_queues = tf.assign_add(self.which, 1)

    def _queue_of_the_epoch(self, capacity, dtype, shape):
        queues = [tf.FIFOQueue(capacity, [dtype], shapes=[shape]) for _ in range(self.queues)]
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

    model = "wide"

    def __init__(self, node):
        queue = tf.FIFOQueue(1, [tf.float32], shapes=[[node.settings["rows"], WIDTH]])
        self.close = queue.close()
        self.features = queue.dequeue()
        self.rows = tf.shape(self.features)[0]

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
