# What each technique brings: training steps of `lamina bench` as it is, and with one pass of the
# graph compiler, or Winograd's filtering, turned off, or with convolutions chosen by their time
# (--autotune). The programs take turns in one run, so that whatever else the machine does hits all
# of them.
#
#   python3 tools/bench_passes.py resnet18:8 googlenet:8 lenet_bn:64
#   python3 tools/bench_passes.py densenet121:4 --rounds 5 --table passes.md
#
# A net is NAME or NAME:BATCH. A pass that finds nothing to do in a net is not timed there. The
# table has, over the rounds, the median and range of how many times the changed step is as long as
# the usual one, and the most memory that the processes had resident.
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import types

import bench_compare_torch as bench

HEAD = ("| net | batch | as usual, ms a step | changed | times as long (rounds) "
        "| MB, as usual | MB, changed |\n|---|---|---|---|---|---|---|\n")


def techniques(args):
    """What can be changed in this net, by the flags that do it."""
    command = [args.lamina, "summary", args.net, "--batch", str(args.batch), "--plan", "--json"]
    plan = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["plan"]
    found = {f"no {note['pass']}": ("--no-pass", note["pass"]) for note in plan["passes"]}
    if any("Winograd" in layer["implementation"] for layer in plan["layers"]):
        found["no Winograd"] = ("--no-winograd",)
    if any(layer["type"] == "Conv2d" for layer in plan["layers"]):
        found["by time"] = ("--autotune",)
    return found


def compare(args):
    """The rows of one net."""
    options = bench.lamina_options(args, bench.time_lamina(
        args, options=bench.lamina_options(args, 1e6))["ms"])
    ways = {"": (), **techniques(args)}
    runs = {name: [] for name in ways}
    for number in range(args.rounds):
        for name, flags in ways.items():
            runs[name].append(bench.time_lamina(args, options=(*options, *flags)))
        print(f"{args.net}, round {number + 1}: "
              + "  ".join(f"{name or 'as usual'} {run[-1]['ms']:.3f}"
                          for name, run in runs.items()) + " ms", flush=True)
    usual = runs.pop("")
    rows = []
    for name, changed in runs.items():
        ratios = sorted(b["ms"] / a["ms"] for a, b in zip(usual, changed))
        ms = statistics.median(run["ms"] for run in usual)
        peak, other = (max(run["peak_mb"] for run in some) for some in (usual, changed))
        rows.append(f"| {args.net} | {args.batch} | {ms:.4g} | {name} "
                    f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) "
                    f"| {peak:.0f} | {other:.0f} |\n")
    return rows


def main():
    parser = argparse.ArgumentParser(description="Time steps with one technique changed.")
    parser.add_argument("nets", nargs="+", help="NAME[:BATCH]")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a timing; 3 steps at least")
    parser.add_argument("--lamina", default="build/default/bin/lamina")
    parser.add_argument("--table", metavar="FILE", help="also write the table to FILE")
    args = parser.parse_args()
    if not pathlib.Path(args.lamina).exists():
        parser.error(f"{args.lamina} does not exist; build it, or name it with --lamina")
    if os.getloadavg()[0] > 0.5:
        print("Other work runs on this machine: do not quote these figures.")
    rows = []
    for text in args.nets:
        net, _, batch = text.partition(":")
        if batch and not batch.isdigit():
            parser.error(f"'{text}' is not NAME or NAME:BATCH")
        own = {"net": net, "batch": int(batch or args.batch), "size": 0, "classes": 0,
               "cpu_time": False}
        rows += compare(types.SimpleNamespace(**{**vars(args), **own}))
        if args.table:
            pathlib.Path(args.table).write_text(HEAD + "".join(rows))
    sys.stdout.write("\n" + HEAD + "".join(rows))


if __name__ == "__main__":
    main()
