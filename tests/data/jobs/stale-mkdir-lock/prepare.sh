#!/bin/bash
# Only one job on this machine may unpack the data set at a time.
lock=$1/unpack.lock
acquire() {
  until (set -o noclobber; echo $$ > "$lock") 2>/dev/null; do
    sleep 0.2
  done
}
echo 999999 > "$lock"   # what a run that was killed has left here
echo "hung_at $(date +%s.%N)"
acquire
echo unpacked
