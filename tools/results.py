# Trains recipes over several seeds with `lamina sweep` and writes the table of docs/results.md: what
# they reach, beside what their sources report.
#
# Usage: tools/results.py [--lamina PROGRAM] [--seeds 1,2,3] [--out FOLDER] [--threads N] [--fresh]
#                         [--table FILE] [RECIPE[=MINIMUM] ...]
#   RECIPE   without one: those that two processor cores finish in an hour a run
#   MINIMUM  the mean test accuracy in per cent that the recipe has to reach, else exit code 1; no
#            run may diverge then
# Stopped, it goes on where it was: finished runs in FOLDER are not repeated. A recipe whose data set
# is not on this machine is left out; exit code 77 when that leaves none.
# SPDX-License-Identifier: Apache-2.0
import argparse
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_RECIPES = [
    "mnist-000/lenet_bn", "mnist-000/lenet_bn-30", "mnist-003/fc2_mnist",
    "mnist-003/fc2_mnist-permuted", "mnist-003/cnn_mnist", "mnist-003/cnn_mnist-permuted",
    "mnist-004/lenet5", "mnist-004/googlenet_mini", "mnist-004/googlenet_mini-clipped",
    "mnist-004/resnet_mini", "fashion-004/lenet5", "fashion-004/googlenet_mini",
    "fashion-004/resnet_mini", "fashion-001/vgg11_fashion_small_96", "cifar-003/net",
    "cifar-003/vgg"]


def arguments():
    parser = argparse.ArgumentParser(description="Trains recipes over several seeds.")
    parser.add_argument("--lamina", default=None)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--out", default=str(_ROOT / "runs/results"))
    parser.add_argument("--threads", default="0", help="of each run; 0: as many as there are")
    parser.add_argument("--fresh", action="store_true", help="repeat finished runs")
    parser.add_argument("--table", default=None, help="write the table to this file too")
    parser.add_argument("recipes", nargs="*", default=_RECIPES)
    flags = parser.parse_args()
    if flags.lamina is None:
        found = [_ROOT / f"build/{preset}/bin/lamina" for preset in ("release", "default")]
        flags.lamina = next((str(path) for path in found if path.exists()), None)
    if flags.lamina is None or not os.access(flags.lamina, os.X_OK):
        parser.error("there is no lamina to run; build it (tools/quickstart.sh does) or name it "
                     "with --lamina.")
    return flags


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def is_here(lamina, data):
    return subprocess.run([lamina, "data", "check", data], capture_output=True).returncode == 0


def runs_of(flags, recipe):
    """The rows of the sweep over the seeds that did not diverge, one a seed, and how many did."""
    out = pathlib.Path(flags.out) / recipe.replace("/", "_")
    if flags.fresh:
        shutil.rmtree(out, ignore_errors=True)
    subprocess.run([flags.lamina, "sweep", "--recipe", recipe, "--device", "cpu", "--threads",
                    flags.threads, "--out", out, f"seed={flags.seeds}"], check=True,
                   stdout=subprocess.DEVNULL)
    with open(out / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    finished = [row for row in rows if row["diverged"] == "0"]
    return [{key: float(value) for key, value in row.items() if key != "run"}
            for row in finished], len(rows) - len(finished)


def row_of(recipe, about, runs, diverged):
    """The mean accuracy in per cent, None where no run has finished, and the line of the table."""
    def mean(key):
        return sum(run[key] for run in runs) / len(runs) if runs else None

    accuracies = [100 * run["accuracy"] for run in runs]
    reached = []
    if runs:
        reached = [f"{100 * mean('accuracy'):.2f} % ({min(accuracies):.2f} to {max(accuracies):.2f})"]
    if diverged:
        reached.append(f"{diverged} of {len(runs) + diverged} diverged")
    original = about.get("original_accuracy")
    cells = [f"`{recipe}`", about["settings"]["data"], f"{mean('epochs'):.3g}" if runs else "",
             ", ".join(reached), f"{original:.2f} %" if original else "",
             f"{mean('seconds'):.0f}" if runs else ""]
    return 100 * mean("accuracy") if runs else None, "| " + " | ".join(cells) + " |"


def main():
    flags = arguments()
    known = {about["name"]: about for about in json.loads(output_of(flags.lamina, "recipes",
                                                                    "--json"))}
    lines = ["| recipe | data | epochs | test accuracy, mean of the seeds (lowest to highest) | "
             "its source | seconds of training |", "|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    absent, failed, made = set(), [], 0
    for entry in flags.recipes:
        recipe, _, minimum = entry.partition("=")
        if recipe not in known:
            sys.exit(f"unknown recipe '{recipe}'; `lamina recipes` lists them.")
        data = known[recipe]["settings"]["data"]
        if data in absent or not is_here(flags.lamina, data):
            absent.add(data)
            continue
        runs, diverged = runs_of(flags, recipe)
        mean, line = row_of(recipe, known[recipe], runs, diverged)
        made += 1
        lines.append(line)
        print(line, flush=True)
        if minimum and diverged:
            failed.append(f"{recipe}: {diverged} of {len(runs) + diverged} runs diverged")
        elif minimum and mean < float(minimum):
            failed.append(f"{recipe}: {mean:.2f} % is below {minimum} %")
    for data in sorted(absent):
        print(f"SKIP: {data} is not on this machine; get it with: lamina data get {data}")
    if flags.table and made:
        device = json.loads(output_of(flags.lamina, "devices", "--json"))
        name = next(row.get("description", "") for row in device if row["device"] == "cpu")
        pathlib.Path(flags.table).write_text(
            "# Results\n\nWritten by `tools/results.py --table docs/results.md`, which trains every "
            f"recipe with the seeds {flags.seeds}\nby `lamina sweep`. \"Its source\" is the test "
            "accuracy that the recipe's document reports. A run whose loss\nis no longer finite ends "
            "as diverged and is in no mean.\n\n" + "\n".join(lines) + f"\n\nMachine: {name}; "
            f"threads of each run: {flags.threads if flags.threads != '0' else 'all'}. Their "
            "number changes no accuracy;\nseconds belong to the machine and to what else it did.\n")
    for text in failed:
        print(text)
    if failed:
        sys.exit(1)
    if not made:
        sys.exit(77)


if __name__ == "__main__":
    main()
