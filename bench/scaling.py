"""What a number of tasks holds, from what a request costs: a model of two resources, the API's cores and the database's.

usage: python3 bench/scaling.py [--costs FILE] [--cpu 0.25] [--tasks 2] [--db-cores 2] [--replica-cores 0] [--use 0.7]
                                [--mix one=0.8,list=0.15,create=0.05]

A request of a kind costs so many microseconds of a core in the API and so many in PostgreSQL (`./dev bench` writes both into
bench/results/costs.json; the defaults are those of docs/scaling.md). The API holds tasks x cpu x use of a core each second;
PostgreSQL holds db-cores x use, less what reads take away to a replica. The least of them is what all of it holds. What the model
leaves out: the disk (each batch of writes waits for one flush), locks, and that batches grow under load, so that the cost of a
request falls: it rather says too little.
"""

import argparse
import json
import os
import sys

# Microseconds of a core for each request, at 128 connections: docs/scaling.md says where and when.
COSTS = {"one": {"api": 13.8, "database": 4.8}, "list": {"api": 41.8, "database": 77.5}, "create": {"api": 27.9, "database": 92.5}}
MIX = {"one": 0.80, "list": 0.15, "create": 0.05}
READS = {"one", "list"}


class Shape:
    """What there is: tasks of so much of a core each, the cores of the database and of a replica, and how much of a core is used."""

    def __init__(self, cpu=0.25, tasks=2, db_cores=2.0, replica_cores=0.0, use=0.7):
        self.cpu, self.tasks, self.db_cores, self.replica_cores, self.use = cpu, tasks, db_cores, replica_cores, use


def cost_of(costs, mix, part, kinds=None):
    """Microseconds of that part for the average request."""
    total = sum(mix.values())
    return sum(share / total * costs[kind][part] for kind, share in mix.items() if kinds is None or kind in kinds)


def holds(costs, mix, shape):
    """Requests a second that each part holds; None for a part that no request needs."""

    def rate(cores, cost):
        return cores * shape.use * 1e6 / cost if cost > 0 else None

    limits = {"API": rate(shape.tasks * shape.cpu, cost_of(costs, mix, "api"))}
    if shape.replica_cores > 0:
        limits["primary"] = rate(shape.db_cores, cost_of(costs, mix, "database", set(costs) - READS))
        limits["replica"] = rate(shape.replica_cores, cost_of(costs, mix, "database", READS))
    else:
        limits["database"] = rate(shape.db_cores, cost_of(costs, mix, "database"))
    return limits


def least(limits):
    """The part that is full first, and the rate."""
    return min(((name, rate) for name, rate in limits.items() if rate is not None), key=lambda pair: pair[1])


def tasks_until_database(costs, mix, shape):
    """So many tasks of that size fill the database; one more changes nothing."""
    one = Shape(shape.cpu, 1, shape.db_cores, shape.replica_cores, shape.use)
    limits = holds(costs, mix, one)
    return min(rate for name, rate in limits.items() if name != "API" and rate is not None) / limits["API"]


def parse_mix(text):
    mix = {}
    for part in text.split(","):
        kind, separator, share = part.partition("=")
        if kind not in MIX or not separator or not float(share) >= 0:
            raise ValueError(f"{part}: expected one of {', '.join(MIX)}, =, and a share")
        mix[kind] = float(share)
    if sum(mix.values()) <= 0:
        raise ValueError("nothing is asked")
    return mix


def read_costs(path):
    with open(path) as file:
        costs = json.load(file)["costs"]
    for kind in MIX:
        if not all(costs[kind][part] > 0 for part in ("api", "database")):
            raise ValueError(f"{path}: no costs of {kind}")
    return costs


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--costs", help="what ./dev bench wrote: bench/results/costs.json")
    parser.add_argument("--cpu", type=float, default=0.25, help="of a core, for each task")
    parser.add_argument("--tasks", type=int, default=2)
    parser.add_argument("--db-cores", type=float, default=2)
    parser.add_argument("--replica-cores", type=float, default=0)
    parser.add_argument("--use", type=float, default=0.7, help="how much of a core may be used")
    parser.add_argument("--mix", type=parse_mix, default=MIX)
    given = parser.parse_args(arguments)
    if min(given.cpu, given.tasks, given.db_cores, given.use) <= 0 or given.replica_cores < 0:
        parser.error("a shape without cores")
    costs = read_costs(given.costs) if given.costs else COSTS
    shape = Shape(given.cpu, given.tasks, given.db_cores, given.replica_cores, given.use)
    limits = holds(costs, given.mix, shape)
    for name, rate in limits.items():
        print(f"{name:10} {'nothing is asked of it' if rate is None else f'{rate:9.0f} requests/s'}")
    name, rate = least(limits)
    print(f"holds      {rate:9.0f} requests/s: the {name} is full first")
    print(f"           {tasks_until_database(costs, given.mix, shape):9.1f} tasks of {given.cpu:g} vCPU fill the database")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error!r}")
