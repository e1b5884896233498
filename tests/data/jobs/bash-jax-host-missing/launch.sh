#!/bin/bash
# starts all hosts of the hostfile (the third was taken out of it)
PY=$1
here=$(dirname "$0")
export NHOSTS=3 JAX_PLATFORMS=cpu COORDINATOR=127.0.0.1:$2
pids=()
for i in 0 1; do
    $PY $here/host.py $i &
    pids+=($!)
done
echo launcher $$ started ${pids[@]}
wait
