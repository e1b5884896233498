import sqlite3
import sys


def objective(trial):
    return (trial - 3.3) ** 2


def store(trial, value):
    with sqlite3.connect("study.db", timeout=86400) as db:
        db.execute("UPDATE trials SET value = ? WHERE id = ?", (value, trial))


for line in sys.stdin:
    store(int(line), objective(int(line)))
    print("done", flush=True)
