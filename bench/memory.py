"""The memory of `millrace api` under a load that does not end: it must not grow.

usage: python3 bench/memory.py build/release/millrace [SECONDS [CONNECTIONS]]    (or: ./dev bench memory [...])

Sends the mix of the benchmark (80% single reads, 15% lists, 5% writes) for ten minutes with 64 connections, and looks at the
process each second. The first tenth of the time is for warming up; what the RSS is in the end is held against what it was then:
a MiB more is growth. Writes a chart into bench/results/. Exits 1 when it grows, or is over 32 MiB.
"""

import os
import shutil
import statistics
import sys
import time

from charts import line_chart
from contest import Api
from measure import Wrk, keep, own_server, rss_mib

SECONDS, CONNECTIONS = 600, 64
GROWTH_MIB, MOST_MIB = 1.0, 32.0


def growth(seen, seconds):
    """Of (second, MiB): the median of the last tenth, and by how much it is more than that of the second tenth."""
    tenth = seconds / 10
    early = statistics.median(mib for second, mib in seen if tenth <= second < 2 * tenth)
    late = statistics.median(mib for second, mib in seen if second >= seconds - tenth)
    return late, late - early


def watch(api, load, seconds):
    """(second, MiB) once a second until the load ends."""
    began, seen = time.monotonic(), []
    while load.child.poll() is None:
        second = time.monotonic() - began
        seen.append((second, rss_mib(api.child.pid)))
        if int(second) % 60 == 0:
            print(f"{second:6.0f} s {seen[-1][1]:8.2f} MiB", flush=True)
        time.sleep(1)
    return [each for each in seen if each[0] <= seconds]


def main():
    numbers = [int(each) for each in sys.argv[2:]]
    if not 2 <= len(sys.argv) <= 4 or not shutil.which("wrk") or (numbers and numbers[0] < 20):
        raise SystemExit(__doc__ if shutil.which("wrk") else "missing: wrk")
    seconds, connections = (numbers + [SECONDS, CONNECTIONS][len(numbers):])[:2]
    with own_server() as (server, directory):
        api = Api(os.path.abspath(sys.argv[1]), server, directory)
        try:
            load = Wrk(api.base, seconds, connections, api.token, api.mix)
            seen = watch(api, load, seconds)
            load.finish()
        finally:
            api.stop()
    late, grown = growth(seen, seconds)
    keep("soak.svg", line_chart(f"Memory of millrace api, {load.rate:.0f} requests a second", "seconds", "MiB", {"RSS": seen}))
    print(f"\n{load.rate:.0f} requests/s for {seconds} s: {late:.2f} MiB in the end (<= {MOST_MIB:g}), {grown:+.2f} MiB since the"
          f" second tenth of the time (<= {GROWTH_MIB:g})")
    sys.exit(0 if late <= MOST_MIB and grown <= GROWTH_MIB else 1)


if __name__ == "__main__":
    main()
