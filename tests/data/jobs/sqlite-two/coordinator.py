"""Hyper parameter search: the coordinator hands out trials, a worker reports into the same sqlite file."""
import os
import sqlite3
import subprocess
import sys
import time


def open_db():
    return sqlite3.connect("study.db", timeout=86400, isolation_level=None)


def hand_out(db, worker, trial):
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO trials VALUES (?, NULL)", (trial,))
    worker.stdin.write(f"{trial}\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()  # it says "done" when the value is stored
    db.execute("COMMIT")
    return answer


def search():
    db = open_db()
    db.execute("CREATE TABLE trials (id INTEGER, value REAL)")
    here = os.path.dirname(os.path.abspath(__file__))
    worker = subprocess.Popen([sys.executable, here + "/evaluate.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print("worker", worker.pid, flush=True)
    for trial in range(10):
        print("trial", trial, "hung_at", time.time(), flush=True)
        hand_out(db, worker, trial)


search()
