import os, sys, time

who = sys.argv[1]


def wait_for(path):
    while not os.path.exists(path):
        pass


def stage(name):
    print(name, time.time(), flush=True)


if who == "a":
    stage("a works")
    wait_for("b.done")
    open("a.done", "w").close()
else:
    stage("b works")
    print("hung_at", time.time(), flush=True)
    wait_for("a.done")
    open("b.done", "w").close()
