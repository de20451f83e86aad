# Holds `lamina run` against PyTorch, element by element: output, loss, the gradient of every
# parameter and, in train mode, the running statistics, from random weights and images.
#
#   python3 tools/compare_torch.py lenet_bn --batch 7 --train
#   python3 tools/compare_torch.py --all
#
# PyTorch's float64 results are the truth; tools/torch_oracle.py states the rule. Exit codes: 0 all
# within the rule, 1 something is not or `lamina run` failed, 2 wrong arguments, 77 no PyTorch here.
# SPDX-License-Identifier: Apache-2.0
import argparse
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
        command = [args.lamina, "run", name, "--device", args.device, "--dropout", "0"]
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


def judge(truth, ours):
    """Rows (tensor, elements, our distance, PyTorch's, share of the budget, problem or '')."""
    rows = []
    for key in [*truth.results, *(key for key in ours if key not in truth.results)]:
        if key not in ours or key not in truth.results:
            side = "lamina" if key not in ours else "PyTorch"
            rows.append((key, 0, 0.0, 0.0, float("inf"), f"{side} has no such tensor"))
            continue
        expected, got = truth.results[key], ours[key]
        if expected.shape != got.shape:
            rows.append((key, got.size, 0.0, 0.0, float("inf"),
                         f"shape {got.shape}, PyTorch {expected.shape}"))
            continue
        distance, budget = torch_oracle.norm(got - expected), truth.budget(key)
        share = distance / budget if distance != 0.0 else 0.0
        problem = "" if distance <= budget else "FAIL"
        rows.append((key, got.size, distance, truth.distances[key], share, problem))
    return rows


def print_table(rows):
    width = max(len(row[0]) for row in rows)
    print(f"  {'tensor':{width}}  elements   lamina    PyTorch    ratio  of budget  verdict")
    for key, size, ours, torchs, share, problem in rows:
        ratio = f"{ours / torchs:8.2f}" if torchs > 0.0 else "       -"
        print(f"  {key:{width}}  {size:8}  {ours:.2e}  {torchs:.2e}  {ratio}  {share:8.1%}  "
              f"{problem or 'ok'}")


def compare(args, name, batch, train, table):
    """Compares one case, prints its line and perhaps its table; returns whether all is well."""
    state, images, labels = draw(name, batch, args.seed, train)
    truth = torch_oracle.Truth(name, state, images, labels, train)
    rows = judge(truth, run_lamina(args, name, state, images, labels, train))
    well = not any(row[5] for row in rows)
    worst = max(rows, key=lambda row: row[4])
    print(f"{name}, batch {batch}, {'train' if train else 'eval'} mode: {len(rows)} tensors, "
          f"{'all within the rule' if well else 'NOT within the rule'}; "
          f"nearest the edge: {worst[0]}, {worst[4]:.0%} of its budget")
    if table or not well:
        print_table(rows)
    return well


def main():
    parser = argparse.ArgumentParser(description="Compare `lamina run` with PyTorch.")
    parser.add_argument("net", nargs="?", choices=torch_nets.NAMES)
    parser.add_argument("--all", action="store_true",
                        help="every net, batches 1, 7 and 64, train and eval mode")
    parser.add_argument("--batch", type=int, default=7)
    parser.add_argument("--train", action="store_true", help="train mode, dropout off")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and images")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-fuse", action="store_true")
    parser.add_argument("--lamina", default="build/default/bin/lamina", help="the program to judge")
    args = parser.parse_args()
    if args.all == (args.net is not None):
        parser.error("name one net, or give --all")
    if not pathlib.Path(args.lamina).exists():
        parser.error(f"{args.lamina} does not exist; build it or name it with --lamina")

    print(f"PyTorch {torch.__version__} in float64 against {args.lamina} --device {args.device}")
    if args.all:
        results = [compare(args, name, batch, train, table=False) for name in torch_nets.NAMES
                   for batch in BATCHES for train in (True, False)]
    else:
        results = [compare(args, args.net, args.batch, args.train, table=True)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
