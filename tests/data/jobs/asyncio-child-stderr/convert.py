import sys
import time
import warnings


def check(row):
    if row % 2:
        warnings.warn_explicit(f"row {row}: bad date, kept as text " + "." * 60, UserWarning, "rows.csv", row)


def convert(rows):
    for r in range(rows):
        check(r)
        if r % 25 == 0:
            print("converted", r, flush=True)
        time.sleep(0.0002)
    print("done", flush=True)


warnings.simplefilter("always")
convert(int(sys.argv[1]))
