"""What a step computes. Each model is a function `(features, node, worker_device) -> fetch`."""

from repro.nodes.tfcompat import tf

WIDTH = 8
BUCKETS = 1000
EMBEDDING = 8


def wide(features, node, worker_device):
    """Many small variables; for each a matmul of the batch *on its server*, summed on the worker.

    So about as many tensors cross from the servers to the worker in every step as there are variables.
    """
    servers = max(node.count("ps"), 1)
    products = []
    for index in range(node.settings["variables"]):
        home = "/job:ps/task:%d" % (index % servers) if node.count("ps") else worker_device
        with tf.device(home + "/cpu:0"):
            weight = tf.get_variable("w%d" % index, [WIDTH, 1], initializer=tf.ones_initializer())
            products.append(tf.matmul(features, weight))
    with tf.device(worker_device + "/cpu:0"):
        return tf.add_n(products)


def ctr(ids, node, worker_device):
    """Embedding lookups partitioned over the servers, dense layers, sigmoid loss, an optimizer."""
    servers = max(node.count("ps"), 1)
    placement = tf.train.replica_device_setter(ps_tasks=node.count("ps"), worker_device=worker_device)
    with tf.device(placement):
        partitioner = tf.fixed_size_partitioner(servers)
        looked_up = []
        for index in range(node.settings["variables"]):
            table = tf.get_variable("e%d" % index, [BUCKETS, EMBEDDING], partitioner=partitioner)
            looked_up.append(tf.nn.embedding_lookup(table, ids[:, index], partition_strategy="div"))
        hidden = tf.concat(looked_up, axis=1)
        weight = tf.get_variable("dense", [EMBEDDING * node.settings["variables"], 1])
        logits = tf.matmul(hidden, weight)
        labels = tf.cast(ids[:, :1] % 2, tf.float32)
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))
        global_step = tf.train.get_or_create_global_step()
        return tf.train.AdagradOptimizer(0.05).minimize(loss, global_step=global_step)


MODELS = {"wide": wide, "ctr": ctr}
