# Holds `lamina run` against PyTorch, element by element: output, loss, the gradient of every
# parameter and, in train mode, the running statistics, from random weights and images.
#
#   python3 tools/compare_torch.py lenet_bn --batch 7 --train
#   python3 tools/compare_torch.py --nets resnet50,googlenet --size 96 --classes 10 --train
#   python3 tools/compare_torch.py --all --seeds 8          # the small nets, batches 1, 7 and 64
#   python3 tools/compare_torch.py --suite                  # every net, small images and 10 classes
#   python3 tools/compare_torch.py --full                   # every net as it is defined: an hour
#   python3 tools/compare_torch.py --adam                   # one training step of ten nets
#   python3 tools/compare_torch.py --adam --suite           # of every net
#   python3 tools/compare_torch.py lenet_bn --batch 64 --device cuda --precision bf16 --seeds 4
#
# PyTorch's float64 results are the truth; tools/torch_oracle.py states the rule. With --seeds it
# holds for the root mean square of the distances over so many draws of weights and images: the few
# numbers of a small output are now and then exact by luck, on either side. So a net of --suite or
# --full that lies beyond the rule in its one draw is drawn three times more and judged over all
# four; the printed line says so. Exit codes: 0 all within the rule, 1 something is not or
# `lamina run` failed, 2 wrong arguments, 77 no PyTorch here.
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import torch_python

# Waiting threads must not take the cores of working ones; read when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
torch_python.require()

import torch  # noqa: E402

import safetensors_io  # noqa: E402
import torch_adam  # noqa: E402
import torch_draw  # noqa: E402
import torch_nets  # noqa: E402
import torch_oracle  # noqa: E402
import torch_rounding  # noqa: E402
import torch_suite  # noqa: E402

BATCHES = (1, 7, 64)
TRIES = 20
DRAWS_TO_DECIDE = 4


class LaminaFailed(Exception):
    """`lamina run` did not end well."""


def draw(plan, seed, train):
    """A case; that of a small net is drawn again while a decision hangs on the last bits."""
    for attempt in range(TRIES):
        drawn = torch_draw.draw(plan.name, plan.batch, seed + 1000 * attempt, plan.size,
                                plan.classes, plan.width)
        case = torch_oracle.Case(plan.name, *drawn, train, plan.size, plan.classes, plan.width)
        if plan.name not in torch_suite.SMALL:
            return torch_oracle.clear(case, seed)
        if torch_oracle.closest_tie(case) >= torch_oracle.SAFE_TIE:
            return case
    return case


def run_lamina(args, case, fuse):
    """What `lamina run` makes of the same numbers, under the keys of torch_oracle.Truth."""
    # In memory where there is such a folder: the largest nets have half a gigabyte of weights.
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        path = {key: str(pathlib.Path(folder) / f"{key}.safetensors")
                for key in ("weights", "input", "labels", "output", "grads", "weights-out")}
        safetensors_io.write(path["weights"], case.state)
        safetensors_io.write(path["input"], {"input": case.images})
        safetensors_io.write(path["labels"], {"labels": case.labels})
        command = [args.lamina, "run", case.name, "--device", args.device, "--dropout", "0",
                   "--precision", args.precision]
        for key in ("size", "classes", "width"):
            if getattr(case, key) is not None:
                command += [f"--{key}", str(getattr(case, key))]
        for key in ("weights", "input", "labels", "output", "grads"):
            command += [f"--{key}", path[key]]
        if case.train:
            command += ["--train", "--weights-out", path["weights-out"]]
        if not fuse:
            command.append("--no-fuse")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LaminaFailed(
                f"{' '.join(command)}\nexited with {done.returncode}: {done.stderr.strip()}")
        ours = dict(safetensors_io.read(path["output"])[0])
        ours["loss"] = ours["loss"].reshape(1)
        ours.update({f"grad.{key}": value
                     for key, value in safetensors_io.read(path["grads"])[0].items()})
        if case.train:
            trained = {key[len("grad."):] for key in ours if key.startswith("grad.")}
            ours.update({f"state.{key}": value
                         for key, value in safetensors_io.read(path["weights-out"])[0].items()
                         if key not in trained})
    return ours


class Row:
    """One tensor: its distance from the truth, PyTorch's, and what the rule allows."""

    def __init__(self, tensor, size, ours=0.0, torchs=0.0, budget=0.0, problem=""):
        self.tensor, self.size, self.problem = tensor, size, problem
        self.ours, self.torchs, self.budget = ours, torchs, budget
        self.share = ours / budget if ours > 0.0 else 0.0
        if problem:
            self.share = math.inf
        elif not ours <= budget:  # NaN is not
            self.problem = "FAIL"


def judge(truth, ours, prefix=""):
    """A row for each tensor of either side; prefix stands before their names."""
    rows = []
    for key in [*truth.results, *(key for key in ours if key not in truth.results)]:
        if key not in ours and key in truth.slopes and key != "output":
            continue  # an auxiliary head, judged by what the loss and the gradients make of it
        if key not in ours or key not in truth.results:
            side = "lamina" if key not in ours else "PyTorch"
            rows.append(Row(prefix + key, 0, problem=f"{side} has no such tensor"))
            continue
        expected, got = truth.results[key], ours[key]
        if expected.shape != got.shape:
            rows.append(Row(prefix + key, got.size,
                            problem=f"shape {got.shape}, PyTorch {expected.shape}"))
            continue
        rows.append(Row(prefix + key, got.size, torch_oracle.distance(got, expected),
                        truth.distances[key], truth.budget(key)))
    return rows


def pool(draws):
    """One table for several draws of a case: the root mean square of each distance and budget."""
    def rms(values):
        return math.sqrt(sum(value * value for value in values) / len(draws))

    if any(row.problem not in ("", "FAIL") for rows in draws for row in rows):
        return next(rows for rows in draws if any(row.share == math.inf for row in rows))
    return [Row(same[0].tensor, same[0].size, *(rms([getattr(row, field) for row in same])
                                                for field in ("ours", "torchs", "budget")))
            for same in zip(*draws)]


def print_table(rows):
    width = max(len(row.tensor) for row in rows)
    print(f"  {'tensor':{width}}  elements   lamina    PyTorch    ratio  of budget  verdict")
    for row in rows:
        ratio = f"{row.ours / row.torchs:8.2f}" if row.torchs > 0.0 else "       -"
        print(f"  {row.tensor:{width}}  {row.size:8}  {row.ours:.2e}  {row.torchs:.2e}  {ratio}  "
              f"{row.share:8.1%}  {row.problem or 'ok'}")


def compare(args, plan, train, table):
    """Compares one case, prints its line and perhaps its table; returns what came out."""
    begin, draws, turned, wanted = time.perf_counter(), [], 0, args.seeds
    name, mode = plan.name, "train" if train else "eval"
    spoken = "" if args.precision == "fp32" else f"{args.precision}, "
    spoken += "" if plan.size is None else f"size {plan.size}, "
    spoken += "" if plan.width is None else f"width {plan.width}, "
    result = {"net": name, "batch": plan.batch, "train": train, "precision": args.precision,
              "device": args.device, "draws": args.seeds, "within": False, "nearest": None,
              "share": None}
    while len(draws) < wanted:
        truth = torch_oracle.clearest(lambda seed: draw(plan, seed, train), args.seed + len(draws),
                                      args.suite, precision=args.precision,
                                      pooled=name not in torch_suite.SMALL)
        try:
            ours = run_lamina(args, truth.case, not args.no_fuse)
            unfused = run_lamina(args, truth.case, False) if plan.unfused_too else None
        except LaminaFailed as failure:
            print(f"{name}, {spoken}batch {plan.batch}, {mode} mode: FAILED\n{failure}", flush=True)
            return result
        turned += truth.open_decisions
        draws.append(judge(truth, ours))
        if unfused:
            draws[-1] += judge(truth, unfused, "unfused ")
        if (args.suite or args.full) and wanted == 1 and any(row.problem == "FAIL"
                                                             for row in draws[0]):
            wanted = DRAWS_TO_DECIDE
        del truth, ours, unfused
    rows = pool(draws)
    well = not any(row.problem for row in rows)
    worst = max(rows, key=lambda row: row.share)
    print(f"{name}, {spoken}batch {plan.batch}, {mode} mode: "
          f"{len(rows)} tensors, "
          f"{'all within the rule' if well else 'NOT within the rule'}; "
          f"nearest the edge: {worst.tensor}, {worst.share:.0%} of its budget"
          + (f"; {turned} open decisions" if turned else "")
          + (over_alone(draws) if len(draws) > 1 else "")
          + (f"; {time.perf_counter() - begin:.1f} s" if args.times else ""), flush=True)
    if table or not well:
        shown = rows if table or len(rows) < 40 else [row for row in rows if row.problem]
        print_table(shown)
    # A tensor that is missing has no share.
    return {**result, "draws": len(draws), "within": well, "nearest": worst.tensor,
            "share": None if worst.share == math.inf else worst.share}


def over_alone(draws):
    """What a single draw made of it: PyTorch's own few last bits vary from draw to draw."""
    worst = max((row for rows in draws for row in rows), key=lambda row: row.share)
    over = sum(any(row.problem for row in rows) for rows in draws)
    return f"; one draw alone: {worst.share:.0%} ({worst.tensor}), {over} of {len(draws)} beyond"


def runnable(lamina, plans):
    """The plans that this program can run; says why of the others."""
    def says(*words):
        return subprocess.run([lamina, *words], capture_output=True, text=True, check=True).stdout

    # The id is followed by the input, such as 3x224x224; a long id leaves no room between.
    known = {name for line in says("nets").splitlines() for name in torch_nets.NAMES
             if re.match(re.escape(name) + r"\s*\d+x\d+x\d+ ", line)}
    sizes = "--size" in says("run", "--help")
    for plan in plans:
        if plan.name not in known:
            print(f"{plan.name}: SKIP, {lamina} does not list it")
        elif not sizes and (plan.size or plan.classes):
            print(f"{plan.name}: SKIP, {lamina} run has no --size and --classes")
        elif torch_nets.missing(plan.name):
            print(f"{plan.name}: SKIP, this Python has no {torch_nets.missing(plan.name)}")
        else:
            yield plan


def parse():
    parser = argparse.ArgumentParser(description="Compare `lamina run` with PyTorch.")
    parser.add_argument("net", nargs="?", choices=torch_nets.NAMES)
    parser.add_argument("--nets", help="several nets, with commas between")
    parser.add_argument("--all", action="store_true",
                        help="every small net, batches 1, 7 and 64, train and eval mode")
    parser.add_argument("--suite", action="store_true",
                        help="every net with small images, train mode and mostly eval mode; with "
                        "--nets or a net only those")
    parser.add_argument("--full", action="store_true",
                        help="the same with images and classes as the nets define them")
    parser.add_argument("--adam", action="store_true",
                        help="one step of `lamina train` instead (tools/torch_adam.py), of "
                        "ten nets as they are defined; with --suite of every net")
    parser.add_argument("--batch", type=int, default=7)
    parser.add_argument("--size", type=int, help="height and width, as in `lamina run`")
    parser.add_argument("--classes", type=int, help="classes, as in `lamina run`")
    parser.add_argument("--train", action="store_true", help="train mode, dropout off")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and images")
    parser.add_argument("--seeds", type=int, default=1, help="so many, from --seed on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=tuple(torch_rounding.UNIT), default="fp32",
                        help="of lamina; tf32 and fp16 need --device cuda; an ideal "
                        "device of another than fp32 takes the part of PyTorch's float32")
    parser.add_argument("--no-fuse", action="store_true")
    parser.add_argument("--times", action="store_true", help="also print how long each case took")
    parser.add_argument("--json", metavar="FILE", help="also write the verdicts to FILE")
    parser.add_argument("--lamina", default="build/default/bin/lamina", help="the program to judge")
    args = parser.parse_args()
    several = args.suite or args.full or args.adam
    args.names = args.nets.split(",") if args.nets else [args.net] if args.net else []
    unknown = [name for name in args.names if name not in torch_nets.NAMES]
    if unknown:
        parser.error(f"no PyTorch module for {', '.join(unknown)}")
    if (sum((args.all, several, bool(args.names) and not several)) != 1
            or args.full and (args.suite or args.adam)):
        parser.error("name nets, or give one of --all, --suite, --full and --adam")
    if several and (args.size or args.classes):
        parser.error("--size and --classes are for nets that are named alone")
    if args.adam and not args.suite and not set(args.names) <= set(torch_adam.NETS):
        parser.error(f"--adam without --suite is for {', '.join(torch_adam.NETS)}")
    if args.precision not in ("fp32", "bf16") and args.device == "cpu":
        parser.error(f"--precision {args.precision} needs --device cuda")
    if not pathlib.Path(args.lamina).exists():
        parser.error(f"{args.lamina} does not exist; build it or name it with --lamina")
    return args


def cases(args):
    """The (plan, train) to compare, and whether each gets its table."""
    if args.suite or args.full:
        plans = [torch_suite.plan(name, args.full) for name in args.names or torch_nets.NAMES]
        return [(plan, train) for plan in runnable(args.lamina, plans)
                for train in ((True, False) if plan.eval_too else (True,))], False
    if args.all:
        return [(torch_suite.Plan(name, batch), train) for name in torch_suite.SMALL
                for batch in BATCHES for train in (True, False)], False
    return [(torch_suite.Plan(name, args.batch, args.size, args.classes), args.train)
            for name in args.names], len(args.names) == 1


def main():
    args = parse()
    print(f"PyTorch {torch.__version__} in float64 against {args.lamina} --device {args.device}")
    if args.adam:
        names = args.names or (torch_nets.NAMES if args.suite else torch_adam.NETS)
        plans = runnable(args.lamina, [torch_adam.plan_of(name, args.suite) for name in names])
        within = [torch_adam.compare(args, plan, args.seed) for plan in plans]
        sys.exit(0 if all(within) else 1)
    chosen, table = cases(args)
    results = [compare(args, plan, train, table) for plan, train in chosen]
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(results, indent=2) + "\n")
    outside = [result for result in results if not result["within"]]
    if len(results) > 1:
        print(f"{len(results)} cases, {len(outside)} not within the rule")
    sys.exit(1 if outside else 0)


if __name__ == "__main__":
    main()
