#!/usr/bin/env bash
# waits for the preprocessing on the head node
set -u
wait_for_data() {
  while [ ! -f "$1/_SUCCESS" ]; do sleep 0.5; done
}
echo "hung_at $(date +%s.%N)"
wait_for_data "$1"
exec python train.py
