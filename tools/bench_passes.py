# What each technique brings: training steps of `lamina bench` as it is, and with one pass of the
# graph compiler, or Winograd's filtering, turned off, with convolutions chosen by their time
# (--autotune), or with every cheap tensor recomputed (--memory 1). The processes live at once and
# take turns of a few steps (turns.py), so that whatever else the machine does hits all of them.
#
#   python3 tools/bench_passes.py resnet18:8 googlenet:8 lenet_bn:64
#   python3 tools/bench_passes.py densenet121:4 --seconds 60 --table passes.md
#   python3 tools/bench_passes.py resnet18:8 --before old/bin/lamina      # another build, nothing else
#
# A net is NAME or NAME:BATCH. A pass that finds nothing to do in a net is not timed there. The
# table has how many times the changed step is as long as the usual one next to it, the median and
# the middle half, and the most memory that the processes had resident.
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import os
import pathlib
import subprocess
import sys
import types

import bench_compare_torch as bench
import turns

LITTLE_MEMORY = ("--memory", "1")  # MB: less than any net takes

HEAD = ("| net | batch | as usual, ms a step | changed | times as long (middle half) "
        "| MB, as usual | MB, changed |\n|---|---|---|---|---|---|---|\n")


def techniques(args):
    """What can be changed in this net, by the flags that do it."""
    command = [args.lamina, "summary", args.net, "--batch", str(args.batch), "--plan", "--json",
               *LITTLE_MEMORY]
    plan = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["plan"]
    passes = dict.fromkeys(note["pass"] for note in plan["passes"])
    found = {f"no {name}": ("--no-pass", name) for name in passes if name != "recompute"}
    if "recompute" in passes:  # usually there is nothing to do for it
        found["recompute"] = LITTLE_MEMORY
    if any("Winograd" in layer["implementation"] for layer in plan["layers"]):
        found["no Winograd"] = ("--no-winograd",)
    if any(layer["type"] == "Conv2d" for layer in plan["layers"]):
        found["by time"] = ("--autotune",)
    return found


def compare(args):
    """The rows of one net."""
    usual = bench.start_lamina(args)
    if args.before:
        older = types.SimpleNamespace(**{**vars(args), "lamina": args.before})
        changed = [bench.start_lamina(older, "before")]
    else:
        changed = [bench.start_lamina(args, name, flags)
                   for name, flags in techniques(args).items()]
    turns.alternate([usual, *changed], args.seconds * (1 + len(changed)), bench.LEAST)
    peak = usual.close()
    rows = []
    for side in changed:
        ratio = turns.ratio(side, usual)
        rows.append(f"| {args.net} | {args.batch} | {usual.ms:.4g} | {side.name} "
                    f"| {ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f}) "
                    f"| {peak:.0f} | {side.close():.0f} |\n")
        print(rows[-1], end="", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description="Time steps with one technique changed.")
    parser.add_argument("nets", nargs="+", help="NAME[:BATCH]")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0,
                        help=f"of each technique's turns; {bench.LEAST} turns at least")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds, for each process")
    parser.add_argument("--lamina", default="build/default/bin/lamina")
    parser.add_argument("--before", metavar="LAMINA", help="time this build against --lamina")
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
