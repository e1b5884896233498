"""Prints the spec of one rank of compose.yaml's cluster: `python3 rank_spec.py worker:0 [SETTING=NUMBER ...]`.

`lastbatch run --backend docker` writes these by itself. CPython 3.6, standard library.
"""

import json
import sys

WORKERS, SERVERS, PORT = 1, 4, 2222
SETTINGS = {
    "workers": WORKERS, "ps": SERVERS, "model": "wide", "variables": 200, "width": 8, "inter_op": 4, "intra_op": 0,
    "batches": 1, "rows": 1, "shards": 2, "uneven_shards": False, "seed": 0, "remainder": 0, "drop_remainder": False,
    "stop_by_count": False, "input_on_ps": False, "device_filters": False, "epoch_ends": 3000, "read_ms": 40,
    "recorder": True, "slow_percent": 0,
}  # fmt: skip
"""The scenario's own defaults; `lastbatch scenarios` tells what they mean."""


def spec(rank, given):
    addresses = {
        role: [f"{role}-{index}:{PORT}" for index in range(count)]
        for role, count in (("worker", WORKERS), ("ps", SERVERS))
    }
    return {
        "rank": rank,
        "addresses": addresses,
        "settings": dict(SETTINGS, **given),
        "arm": "dataset",
        "directory": "/home/rank",
        "data": "/home/rank",
        "runtime": "tf1.12",
        "expected": [
            f"{role}:{index}"
            for role, count in (("worker", WORKERS), ("ps", SERVERS))
            for index in range(count)
        ],
    }


if __name__ == "__main__":
    pairs = (word.split("=") for word in sys.argv[2:])
    json.dump(spec(sys.argv[1], {key: int(value) for key, value in pairs}), sys.stdout)
