# Holds `lamina run` against PyTorch, element by element: output, loss, the gradient of every
# parameter and, in train mode, the running statistics, from random weights and images.
#
#   python3 tools/compare_torch.py lenet_bn --batch 7 --train
#   python3 tools/compare_torch.py --all --seeds 8
#   python3 tools/compare_torch.py lenet_bn --batch 64 --device cuda --precision bf16 --seeds 4
#
# PyTorch's float64 results are the truth; tools/torch_oracle.py states the rule. With --seeds it
# holds for the root mean square of the distances over so many draws of weights and images: the few
# numbers of a small output are now and then exact by luck, on either side. Exit codes: 0 all
# within the rule, 1 something is not or `lamina run` failed, 2 wrong arguments, 77 no PyTorch here.
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import torch_python

torch_python.require()

import numpy  # noqa: E402
import torch  # noqa: E402

import safetensors_io  # noqa: E402
import torch_nets  # noqa: E402
import torch_oracle  # noqa: E402
import torch_rounding  # noqa: E402

BATCHES = (1, 7, 64)


def draw(name, batch, seed, train):
    """Random weights, images and labels, drawn again while a decision hangs on the last bits."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    while True:
        state = {}
        for key, value in torch_nets.build(name).state_dict().items():
            if key.endswith("running_var"):
                value = 0.5 + torch.rand(value.shape, generator=generator)
            elif value.is_floating_point() and value.dim() == 1:
                value = value + 0.2 * torch.randn(value.shape, generator=generator)
            state[key] = value.numpy()
        images = torch.randn((batch, *torch_nets.input_shape(name)), generator=generator).numpy()
        labels = torch.randint(0, 10, (batch,), generator=generator).numpy()
        if torch_oracle.closest_tie(name, state, images, train) >= torch_oracle.SAFE_TIE:
            return state, images, labels


def run_lamina(args, name, state, images, labels, train):
    """What `lamina run` makes of the same numbers, under the keys of torch_oracle.evaluate."""
    with tempfile.TemporaryDirectory() as folder:
        path = {key: str(pathlib.Path(folder) / f"{key}.safetensors")
                for key in ("weights", "input", "labels", "output", "grads", "weights-out")}
        safetensors_io.write(path["weights"], state)
        safetensors_io.write(path["input"], {"input": images})
        safetensors_io.write(path["labels"], {"labels": labels})
        command = [args.lamina, "run", name, "--device", args.device, "--dropout", "0",
                   "--precision", args.precision]
        for key in ("weights", "input", "labels", "output", "grads"):
            command += [f"--{key}", path[key]]
        if train:
            command += ["--train", "--weights-out", path["weights-out"]]
        if args.no_fuse:
            command.append("--no-fuse")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"{' '.join(command)}\nexited with {done.returncode}: {done.stderr.strip()}")
            sys.exit(1)
        output = safetensors_io.read(path["output"])[0]
        ours = {"output": output["output"], "loss": output["loss"].reshape(1)}
        ours.update({f"grad.{key}": value
                     for key, value in safetensors_io.read(path["grads"])[0].items()})
        if train:
            trained = {key[len("grad."):] for key in ours if key.startswith("grad.")}
            ours.update({f"state.{key}": value
                         for key, value in safetensors_io.read(path["weights-out"])[0].items()
                         if key not in trained})
    return {key: value.astype(numpy.float64) for key, value in ours.items()}


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


def judge(truth, ours):
    rows = []
    for key in [*truth.results, *(key for key in ours if key not in truth.results)]:
        if key not in ours or key not in truth.results:
            side = "lamina" if key not in ours else "PyTorch"
            rows.append(Row(key, 0, problem=f"{side} has no such tensor"))
            continue
        expected, got = truth.results[key], ours[key]
        if expected.shape != got.shape:
            rows.append(Row(key, got.size, problem=f"shape {got.shape}, PyTorch {expected.shape}"))
            continue
        rows.append(Row(key, got.size, torch_oracle.norm(got - expected), truth.distances[key],
                        truth.budget(key)))
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


def compare(args, name, batch, train, table):
    """Compares one case, prints its line and perhaps its table; returns what came out."""
    draws = []
    for seed in range(args.seed, args.seed + args.seeds):
        state, images, labels = draw(name, batch, seed, train)
        truth = torch_oracle.Truth(name, state, images, labels, train, args.precision)
        draws.append(judge(truth, run_lamina(args, name, state, images, labels, train)))
    rows = pool(draws)
    well = not any(row.problem for row in rows)
    worst = max(rows, key=lambda row: row.share)
    spoken = "" if args.precision == "fp32" else f"{args.precision}, "
    print(f"{name}, {spoken}batch {batch}, {'train' if train else 'eval'} mode: "
          f"{len(rows)} tensors, "
          f"{'all within the rule' if well else 'NOT within the rule'}; "
          f"nearest the edge: {worst.tensor}, {worst.share:.0%} of its budget"
          + (over_alone(draws) if args.seeds > 1 else ""))
    if table or not well:
        print_table(rows)
    return {"net": name, "batch": batch, "train": train, "precision": args.precision,
            "device": args.device, "draws": len(draws), "within": well, "nearest": worst.tensor,
            # A tensor that is missing has no share.
            "share": None if worst.share == math.inf else worst.share}


def over_alone(draws):
    """What a single draw made of it: PyTorch's own few last bits vary from draw to draw."""
    worst = max((row for rows in draws for row in rows), key=lambda row: row.share)
    over = sum(any(row.problem for row in rows) for rows in draws)
    return f"; one draw alone: {worst.share:.0%} ({worst.tensor}), {over} of {len(draws)} beyond"


def main():
    parser = argparse.ArgumentParser(description="Compare `lamina run` with PyTorch.")
    parser.add_argument("net", nargs="?", choices=torch_nets.NAMES)
    parser.add_argument("--all", action="store_true",
                        help="every net, batches 1, 7 and 64, train and eval mode")
    parser.add_argument("--batch", type=int, default=7)
    parser.add_argument("--train", action="store_true", help="train mode, dropout off")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and images")
    parser.add_argument("--seeds", type=int, default=1, help="so many, from --seed on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=tuple(torch_rounding.UNIT), default="fp32",
                        help="of lamina; another than fp32 needs --device cuda, and an ideal "
                        "device of that precision takes the part of PyTorch's float32")
    parser.add_argument("--no-fuse", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="also write the verdicts to FILE")
    parser.add_argument("--lamina", default="build/default/bin/lamina", help="the program to judge")
    args = parser.parse_args()
    if args.all == (args.net is not None):
        parser.error("name one net, or give --all")
    if args.precision != "fp32" and args.device == "cpu":
        parser.error(f"--precision {args.precision} needs --device cuda")
    if not pathlib.Path(args.lamina).exists():
        parser.error(f"{args.lamina} does not exist; build it or name it with --lamina")

    print(f"PyTorch {torch.__version__} in float64 against {args.lamina} --device {args.device}")
    if args.all:
        results = [compare(args, name, batch, train, table=False) for name in torch_nets.NAMES
                   for batch in BATCHES for train in (True, False)]
    else:
        results = [compare(args, args.net, args.batch, args.train, table=True)]
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(0 if all(result["within"] for result in results) else 1)


if __name__ == "__main__":
    main()
