"""The four inputs of `last-batch`. They differ in *when* the end of the data becomes an error.

Each is a class made inside the worker's device scope. It has `features` (float matrix `[rows, WIDTH]`, or ids
`[rows, features]` for the `ctr` model), `rows` (scalar: rows of this batch), `model` (which model eats it),
`start_epoch(session)`, and `sessions(target, config, epochs)`, which yields `(session, epoch)` pairs.
"""

import os

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


class QueueSource(object):
    """A queue-runner pipeline. The runner closes the queue while the worker waits in dequeue.

    `num_epochs` is one and a closed queue stays closed, so every epoch is a session of its own, with the
    input's resources reset: what a job of that time did when it wanted to evaluate between epochs.
    """

    model = "wide"
    container = "input"

    def __init__(self, node):
        settings = node.settings
        paths = write_tfrecords(node, float_example)
        self.container = "input-%d" % node.index
        with tf.container(self.container):
            files = tf.train.string_input_producer(paths, num_epochs=1, shuffle=False)
            _, serialized = tf.TFRecordReader().read(files)
            parsed = tf.parse_single_example(serialized, {"x": tf.FixedLenFeature([WIDTH], tf.float32)})
            self.features = tf.train.batch(
                [parsed["x"]], settings["rows"], allow_smaller_final_batch=not settings["drop_remainder"]
            )
        self.rows = tf.shape(self.features)[0]
        self.initialize_epoch_counter = tf.variables_initializer(tf.local_variables())

    def start_epoch(self, session):
        pass  # the session began with the epoch

    def sessions(self, target, config, epochs):
        for epoch in epochs:
            with tf.Session(target, config=config) as session:
                session.run(self.initialize_epoch_counter)
                coordinator = tf.train.Coordinator()
                threads = tf.train.start_queue_runners(session, coordinator)
                yield session, epoch
                coordinator.request_stop()
                coordinator.join(threads)
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
