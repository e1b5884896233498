"""A sweep agent: takes jobs from a sqlite queue, asks again after 3 s when there is none."""
import sqlite3
import time


def take(db):
    with db:
        row = db.execute("SELECT id FROM jobs WHERE state = 'new' LIMIT 1").fetchone()
        if row:
            db.execute("UPDATE jobs SET state = 'run' WHERE id = ?", row)
    return row


def run_job(row):
    time.sleep(0.5)
    print("job", row[0], "done", flush=True)


def agent():
    db = sqlite3.connect("jobs.db")
    db.execute("CREATE TABLE jobs (id INTEGER, state TEXT)")
    db.executemany("INSERT INTO jobs VALUES (?, 'new')", [(1,), (2,)])
    while True:
        row = take(db)
        if row is None:
            print("no job, waiting", flush=True)
            time.sleep(3)
        else:
            run_job(row)


agent()
