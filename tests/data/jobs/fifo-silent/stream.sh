#!/bin/bash
# shuffles a stream of samples and trains on it
mkfifo samples
( for i in $(seq 100); do echo $i; done; echo "hung_at $(date +%s.%N)" >&2; exec sleep 100000 ) > samples &
exec "$1" "$2" samples
