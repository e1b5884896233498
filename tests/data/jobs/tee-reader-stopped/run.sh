#!/bin/sh
# progress goes to a pager-like filter that stops reading
timeout 600 $1 "$(dirname "$0")/train.py" 2>&1 | tee train.log | sh -c 'head -n 3; echo reader $$ hung_at $(date +%s.%N); exec sleep 100000'
