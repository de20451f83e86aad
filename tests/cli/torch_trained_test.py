# Nets trained in PyTorch, here and now, and evaluated by `lamina eval` from files of torch.save:
# the same outputs, the same prediction for every image and so the same accuracy, once the flags say
# how the net's images were prepared; with other flags, advice that names the flag.
#
# The outputs are held to the rule of tools/torch_oracle.py: from PyTorch's in float64 they are at
# most five times as far as PyTorch's in float32, or one rounding. The same rule says which
# predictions may differ. A device five times as far off as PyTorch's float32 may turn those whose
# two largest outputs are nearer to one another than ten times what an output is off by there (the
# root of the mean square), times the root of two: two standard deviations of what both are off by.
# Usage: torch_trained_test.py LAMINA      (exit code 77: there is no PyTorch, or no data)
# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tools"))

import torch_python  # noqa: E402  (finds an interpreter that has PyTorch)

torch_python.require()

import numpy  # noqa: E402
import torch  # noqa: E402

import safetensors_io  # noqa: E402
import torch_data  # noqa: E402
import torch_nets  # noqa: E402
import torch_oracle  # noqa: E402
import torch_rounding  # noqa: E402

LAMINA = os.path.abspath(sys.argv[1])
SEED, BATCH = 1, 64
failures = []


class Case(NamedTuple):
    """A net, how it is trained, and what `lamina eval` has to be told."""
    net: str
    data: str
    steps: int
    lr: float
    test_images: int
    least: float     # of the accuracy: the net has learned something
    scaling: dict    # of torch_data.prepared()
    order: list      # output i stands for this class
    flags: list      # what says so
    wrong: list      # other flags, and what their advice has to name
    advice: str
    wrap: object = staticmethod(lambda net, optimizer: net.state_dict())


def checkpoint(net, optimizer):
    """What a training script saves to go on later."""
    return {"epoch": 1, "state_dict": net.state_dict(), "optimizer": optimizer.state_dict()}


IN_ORDER, OTHER = list(range(10)), [3, 0, 7, 1, 9, 4, 2, 8, 6, 5]
MEANS, DEVIATIONS = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


def words(values):
    return ",".join(str(value) for value in values)


CASES = (
    # Trained on pixels from 0 to 255; told nothing, lamina gives it pixels from 0 to 1.
    Case("lenet_bn", "mnist", 700, 2e-3, 10000, 0.95,
         {"mean": [0.0], "stddev": [1.0], "scale": 1.0}, IN_ORDER,
         ["--scale", "1"], [], "--scale", checkpoint),
    # Its classes stand in another order, which the advice has to spell out.
    Case("lenet5", "mnist", 700, 2e-3, 10000, 0.95, {"mean": [0.1307], "stddev": [0.3081]},
         OTHER, ["--mean", "0.1307", "--std", "0.3081", "--class-order", words(OTHER)],
         ["--mean", "0.1307", "--std", "0.3081"], f"--class-order '{words(OTHER)}'"),
    # Colours, each with a scaling of its own; the other flags leave the pixels from 0 to 255.
    Case("cifar_resnet20", "cifar-10", 80, 2e-3, 1000, 0.25,
         {"mean": MEANS, "stddev": DEVIATIONS}, OTHER,
         ["--mean", words(MEANS), "--std", words(DEVIATIONS), "--class-order", words(OTHER)],
         ["--scale", "1"], "--mean, --std and --scale"),
)


def check(good, text):
    if not good:
        failures.append(text)
        print("FAILED:", text, flush=True)


def evaluate(case, weights, flags, *more):
    command = [LAMINA, "eval", "--net", case.net, "--weights", weights, "--data", case.data,
               "--limit", str(case.test_images), "--device", "cpu", "--threads", "1", "--json",
               *flags, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def trained(case):
    """The net and its optimizer after some steps, with the labels in the net's order."""
    torch.manual_seed(SEED)
    images, labels = torch_data.read(LAMINA, case.data, case.steps * BATCH)
    labels = torch.from_numpy(numpy.argsort(case.order)[labels])
    net = torch_nets.build(case.net)
    optimizer = torch.optim.Adam(net.parameters(), lr=case.lr)
    chosen = [slice(step * BATCH, (step + 1) * BATCH) for step in range(case.steps)]
    torch_data.train(net, torch_nets.loss_of(case.net), optimizer,
                     ((torch_data.prepared(images[some], **case.scaling), labels[some])
                      for some in chosen))
    return net.eval(), optimizer


def outputs_of(net, case, images, dtype):
    net.to(dtype)
    with torch.no_grad():
        return numpy.concatenate([
            net(torch_data.prepared(images[at:at + 250], **case.scaling, dtype=dtype)).numpy()
            for at in range(0, len(images), 250)])


def leads(outputs):
    """By how much the largest output of each image lies before the second."""
    ordered = numpy.sort(outputs, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def compare(case, folder):
    net, optimizer = trained(case)
    weights = os.path.join(folder, f"{case.net}.pth")
    torch.save(case.wrap(net, optimizer), weights)
    images, labels = torch_data.read(LAMINA, case.data, case.test_images, "test")
    labels = numpy.argsort(case.order)[labels]
    near, truth = (outputs_of(net, case, images, dtype) for dtype in (torch.float32, torch.float64))
    accuracy = (near.argmax(1) == labels).mean()
    check(accuracy >= case.least, f"{case.net} has learned too little in PyTorch: {accuracy:.2%}")

    file = os.path.join(folder, f"{case.net}.safetensors")
    told = evaluate(case, weights, case.flags, "--outputs", file)
    result, _ = safetensors_io.read(file)
    ours, own_labels = result["outputs"], result["labels"]
    check((own_labels == labels).all(), f"{case.net}: other labels")
    theirs_off = torch_oracle.distance(near, truth)
    budget = max(torch_oracle.FACTOR * theirs_off,
                 torch_rounding.UNIT["fp32"] * torch_oracle.norm(truth))
    off = torch_oracle.distance(ours, truth)
    check(off <= budget, f"{case.net}: the outputs are {off:.3g} off, allowed are {budget:.3g}")
    clear = leads(truth) > 2**0.5 * torch_oracle.OPEN * theirs_off / truth.size**0.5
    same = ours.argmax(1) == near.argmax(1)
    check(same[clear].all(), f"{case.net}: {(~same[clear]).sum()} predictions are not PyTorch's")
    counted = (ours.argmax(1) == labels).mean()
    check(abs(told["accuracy"] - counted) < 1e-12,
          f"{case.net}: accuracy {told['accuracy']}, but its outputs have {counted}")
    check(abs(told["accuracy"] - accuracy) * len(labels) <= (~clear).sum() + 1e-6,
          f"{case.net}: accuracy {told['accuracy']:.2%}, in PyTorch {accuracy:.2%}")
    confusion = numpy.zeros((10, 10), numpy.int64)
    numpy.add.at(confusion, (labels, ours.argmax(1)), 1)
    check((confusion == told["confusion"]).all(), f"{case.net}: another confusion matrix")
    check(told["advice"] == "", f"{case.net}: advice although all is right: {told['advice']}")

    other = evaluate(case, weights, case.wrong)
    check(case.advice in other["advice"] and other["accuracy"] < accuracy - 0.1,
          f"{case.net} with {' '.join(case.wrong) or 'no flags'}: "
          f"accuracy {other['accuracy']:.2%}, advice '{other['advice']}', not about {case.advice}")
    print(f"{case.net}: accuracy {told['accuracy']:.2%}, in PyTorch {accuracy:.2%}; outputs at "
          f"{off / budget:.0%} of what they may be off; {(~same).sum()} other predictions, "
          f"{(~clear).sum()} open; with other flags {other['accuracy']:.2%}: {other['advice']}",
          flush=True)


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            compare(case, folder)
    print(f"{len(failures)} checks failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
