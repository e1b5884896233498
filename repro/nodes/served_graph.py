"""Scenario `served-graph`: a graph that reads TFRecord files, served by a program in C without Python.

The rank exports the graph and its variables, builds the server, and asks it for a prediction in every step.
"""

import os
import shutil
import subprocess
import sys

from repro.nodes.node import start
from repro.nodes.plain import train
from repro.nodes.tfcompat import tf

ROWS = 2  # as in serve_graph.c
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "served_graph_server")
WHEEL = os.path.dirname(tf.__file__)
WEIGHT, BIAS = 3.0, 1.0


def write_rows(path, count):
    with tf.python_io.TFRecordWriter(path) as writer:
        for row in range(count):
            feature = tf.train.Feature(float_list=tf.train.FloatList(value=[row]))
            writer.write(tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString())


def records_of(arm, path):
    """The tensor of serialized examples: from a queue of batches, or straight from the reader."""
    names = tf.train.string_input_producer([path])
    reader = tf.TFRecordReader()
    if arm == "reader":
        return reader.read_up_to(names, ROWS)[1]
    return tf.train.batch([reader.read(names)[1]], ROWS)


def export(node, path):
    """Write graph.pb and a checkpoint; what the server has to know of them, in the order of its arguments."""
    graph, checkpoint = os.path.join(node.directory, "graph.pb"), os.path.join(node.directory, "variables")
    records = records_of(node.arm, path)
    rows = tf.parse_example(records, {"x": tf.FixedLenFeature([], tf.float32)})["x"]
    weight = tf.get_variable("weight", initializer=WEIGHT)
    bias = tf.get_variable("bias", initializer=BIAS)
    prediction = tf.identity(weight * rows + bias, name="prediction")
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        saver.save(session, checkpoint, write_meta_graph=False)
    tf.train.write_graph(tf.get_default_graph().as_graph_def(), node.directory, "graph.pb", as_text=False)
    saved = saver.as_saver_def()
    return [graph, saved.restore_op_name, saved.filename_tensor_name, checkpoint, records.name, prediction.name, path]


def build(node):
    for tool in ("cmake", "cc"):
        if not shutil.which(tool):
            sys.exit("%s is not installed: apt-get install cmake build-essential" % tool)
    directory = os.path.join(node.directory, "build")
    subprocess.check_call(["cmake", "-S", SOURCE, "-B", directory, "-DWHEEL=" + WHEEL])
    subprocess.check_call(["cmake", "--build", directory])
    return os.path.join(directory, "serve_graph")


def main():
    node = start()
    path = os.path.join(node.data, "rows.tfrecord")
    write_rows(path, ROWS * node.settings["batches"])
    command = [build(node), *export(node, path)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(request):
        server.stdin.write(request)
        server.stdin.flush()
        return [float(word) for word in server.stdout.readline().split()]

    asked = [0]

    def at_epoch_end(stuck):
        if stuck and node.arm != "fed":
            node.stuck()
            ask(b"read\n")
        first = ROWS * asked[0] % (ROWS * node.settings["batches"])
        expected = [WEIGHT * row + BIAS for row in range(first, first + ROWS)]
        answer = ask(b"feed\n")
        if answer != expected:
            raise ValueError("the server predicts %s in place of %s" % (answer, expected))
        asked[0] += 1

    if server.stdout.readline() != b"ready\n":
        raise OSError("the server did not come up: see above")
    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
