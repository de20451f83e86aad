# One step of Adam by `lamina train`, held against torch.optim.Adam in float64.
#
# The weights start at a draw of ours, the data set is one batch of random images, and a run of one
# epoch is one step. Its first step moves a parameter by lr * g / (|g| + eps), where g is the
# gradient plus weight decay times the parameter: by lr, to the side that the sign of g says. So a
# parameter w is judged by how sure that sign is. The gradient may be off by its budget b
# (tools/torch_oracle.py), which bounds each of its elements too:
#   |g| > b    w lies within 2^-23 * (|w| + 8 lr) + lr * eps * b / (|g| - b + eps)^2 of PyTorch's w:
#              a rounding of w and of each factor of the step, and what b does to the quotient
#   otherwise  within 2 lr besides
# Nets with dropout cannot be compared: a run draws it.
# SPDX-License-Identifier: Apache-2.0
import pathlib
import struct
import subprocess
import tempfile

import numpy
import torch

import safetensors_io
import torch_draw
import torch_oracle
import torch_suite

NETS = ("lenet5", "lenet_fashion", "fc2_mnist", "cnn_mnist", "googlenet_mini", "resnet_mini",
        "mobilenet_mnist")
LEARNING_RATE, WEIGHT_DECAY, EPSILON = 1e-4, 1e-3, 1e-8  # as in the recipes
SURE = 0.5  # of the parameters at least have a sure sign, or the comparison says nothing


def write_data_set(folder, images, labels):
    """Images and labels as IDX files, for training and for the test."""
    for part in ("train", "t10k"):
        for path, magic, values in ((folder / f"{part}-images-idx3-ubyte", 0x803, images),
                                    (folder / f"{part}-labels-idx1-ubyte", 0x801, labels)):
            header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
            path.write_bytes(header + values.astype(numpy.uint8).tobytes())


def train_once(args, case, pixels):
    """The state_dict after `lamina train` has made one step."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_data_set(folder, pixels, case.labels)
        weights, out = folder / "start.safetensors", folder / "run"
        safetensors_io.write(weights, case.state)
        command = [args.lamina, "train", "--net", case.name, "--data", str(folder), "--weights",
                   str(weights), "--epochs", "1", "--batch-size", str(len(pixels)), "--opt", "adam",
                   "--lr", str(LEARNING_RATE), "--wd", str(WEIGHT_DECAY), "--normalize", "none",
                   "--val-split", "0", "--device", args.device, "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None, (f"{' '.join(command)}\nexited with {done.returncode}: "
                          f"{done.stderr.strip()}")
        return safetensors_io.read(out / "weights.safetensors")[0], ""


def step_of_torch(case, gradients):
    """The parameters after torch.optim.Adam's first step, in float64."""
    net = torch_oracle.Evaluator(case).load(torch.float64)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY,
                                 eps=EPSILON)
    for key, parameter in net.named_parameters():
        parameter.grad = torch.from_numpy(gradients[f"grad.{key}"])
    optimizer.step()
    return {key: parameter.detach().numpy() for key, parameter in net.named_parameters()}


def compare(args, name, seed):
    """Compares one step of a net and prints its line; True where all is within the rule."""
    batch = 7 if name in torch_suite.SMALL else 3
    random = numpy.random.default_rng(seed)
    pixels = random.integers(0, 256, (batch, 28, 28))
    state, images, labels = torch_draw.draw(name, batch, seed, images=pixels[:, None] / 255.0)
    case = torch_oracle.clear(torch_oracle.Case(name, state, images, labels, train=True), seed)
    ours, failure = train_once(args, case, pixels)
    if ours is None:
        print(f"{name}, one step of Adam: FAILED\n{failure}", flush=True)
        return False
    truth = torch_oracle.Truth(case)
    expected = step_of_torch(case, truth.results)
    worst, where, sure, count = 0.0, "", 0, 0
    for key, after in expected.items():
        before = case.state[key].astype(numpy.float64)
        budget = truth.budget(f"grad.{key}")
        g = numpy.abs(truth.results[f"grad.{key}"] + WEIGHT_DECAY * before)
        signed = g > budget
        room = numpy.where(signed, g - budget, 0.0) + EPSILON
        allowed = 2.0**-23 * (numpy.abs(before) + 8 * LEARNING_RATE) + LEARNING_RATE * numpy.where(
            signed, EPSILON * budget / room**2, 2.0)
        share = float((numpy.abs(ours[key].astype(numpy.float64) - after) / allowed).max())
        if not share <= worst:  # NaN is the worst
            worst, where = share, key
        sure, count = sure + int(signed.sum()), count + g.size
    well = worst <= 1.0 and sure >= SURE * count
    print(f"{name}, one step of Adam: {count} parameters, {sure / count:.2%} with a sure sign, "
          f"{'all within the rule' if well else 'NOT within the rule'}; nearest the edge: {where}, "
          f"{worst:.0%} of its budget", flush=True)
    return well
