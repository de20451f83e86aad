# What PyTorch computes for one batch of a net, in float64 and float32, and the rule by which the
# engine's float32 results are judged against it.
#
# The float64 results are the truth. A float32 result may lie five times as far from it as PyTorch's
# own float32 result does, or one float32 rounding, whichever is more:
#   distance(ours, t64) <= max(5 * distance(t32, t64), 2^-24 * scale)
# distance is the Euclidean norm of the difference; PyTorch's float32 distance is the smallest over
# the settings that change its arithmetic; scale is ||t64||. Two exceptions:
# - The loss is one number, and PyTorch's can be right by luck. Its distance counts at least as what
#   PyTorch's own output errors can make of it: ||dloss/do|| * ||o32 - o64|| (Cauchy and Schwarz).
# - A convolution's bias in front of a batch norm in train mode has a gradient of exactly zero in
#   theory: a sum of M terms dy that cancel. Its scale is log2(M) * ||dy||: one rounding of each
#   partial sum when the terms are added in pairs, the most careful way.
# In another precision u (tf32, bf16, fp16) the yardstick is a device that rounds every tensor once
# and sums exactly (tools/torch_rounding.py): to the nearest, and eight times at random to either
# side, which shows what decisions that fall otherwise do to a gradient. The rule is
#   distance(ours, t64) <= max(3 * the largest of the nine distances, u * scale)
# A device that rounds in a few more places, or sums in float32, stays within; one that computes in
# bf16 where fp16 or tf32 was asked for, eight times coarser, does not.
# ReLU and max pooling decide by comparing; where a decision hangs on the last bits, float32 may
# take another branch than float64 and nothing can be judged. closest_tie() finds how near a batch
# comes.
# SPDX-License-Identifier: Apache-2.0
import contextlib
import math

import numpy
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

import torch_nets
import torch_rounding

FACTOR = 5.0
FACTOR_OF_ROUNDING, RANDOM_ROUNDINGS = 3.0, 8
# oneDNN and ATen's own kernels sum in different orders.
# Ten times what float32 activations of size one are off by in these nets, and more.
SAFE_TIE = 2e-6
SETTINGS_F32 = ({"onednn": True}, {"onednn": False})


def evaluate(name, state, images, labels, train, dtype, onednn=True, rounding=None):
    """One forward and backward pass with dropout off.

    Returns (results, scales, slope): results maps `output`, `loss`, `grad.NAME` and, in train mode,
    `state.NAME` (the running statistics afterwards) to float64 arrays; scales holds the entries
    whose scale is not their norm; slope is ||dloss/doutput||. rounding is what the passes
    run in, for another precision.
    """
    torch.set_num_threads(1)
    net = _load(name, state).to(dtype).train(train)
    terms = _watch_cancelling_biases(net) if train else {}
    with torch.backends.mkldnn.flags(enabled=onednn), rounding or contextlib.nullcontext():
        output = net(torch.from_numpy(images).to(dtype))
        output.retain_grad()
        loss = torch_nets.loss_of(name)(output, torch.from_numpy(labels))
        loss.backward()
    results = {"output": output.detach(), "loss": loss.detach().reshape(1)}
    results.update({f"grad.{key}": p.grad for key, p in net.named_parameters()})
    if train:
        results.update({f"state.{key}": value for key, value in net.named_buffers()})
    scales = {key: value.grad.norm().item() * math.log2(value.numel() / value.shape[1])
              for key, value in terms.items()}
    results = {key: value.double().numpy() for key, value in results.items()}
    return results, scales, output.grad.norm().item()


def closest_tie(name, state, images, train):
    """The least |x| a ReLU decides on and the least lead of a max pool's winner, in float64."""
    net = _load(name, state).double().train(train)
    with torch.no_grad(), _TieWatch() as watch:
        net(torch.from_numpy(images).double())
    return min(watch.margins, default=float("inf"))


class _TieWatch(TorchFunctionMode):
    """Sees every function call of a forward pass."""

    def __init__(self):
        super().__init__()
        self.margins = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        called = getattr(func, "__name__", "")
        if called == "relu":
            self.margins.append(args[0].abs().min().item())
        elif called == "max_pool2d":  # every one here is 2x2 with stride 2
            x = args[0]
            windows = F.unfold(x.reshape(-1, 1, *x.shape[2:]), 2, stride=2)
            first, second = windows.topk(2, dim=1).values.unbind(1)
            # Zeros behind a ReLU tie, and pass no gradient whoever wins.
            lead = (first - second)[first != 0]
            self.margins.append(lead.min().item())
        return func(*args, **(kwargs or {}))


def _load(name, state):
    net = torch_nets.build(name, dropout=0.0)
    net.load_state_dict({key: torch.from_numpy(numpy.array(value))
                         for key, value in state.items()})
    return net


def _watch_cancelling_biases(net):
    """Keeps the gradient of every convolution output that a batch norm follows."""
    terms = {}
    for path, module in net.named_modules():
        if not isinstance(module, nn.Sequential):
            continue
        children = list(module.named_children())
        for (child, first), (_, second) in zip(children, children[1:]):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                key = f"grad.{path}.{child}.bias"

                def keep(_module, _inputs, output, key=key):
                    output.retain_grad()
                    terms[key] = output

                first.register_forward_hook(keep)
    return terms


class Truth:
    """The float64 results of one batch with, for each tensor, what its yardstick is off by:
    PyTorch's float32, or the ideal device of another precision."""

    def __init__(self, name, state, images, labels, train, precision="fp32"):
        self.results, scales, slope = evaluate(name, state, images, labels, train, torch.float64)
        self.scales = {key: scales.get(key, norm(value)) for key, value in self.results.items()}
        if precision == "fp32":
            self.factor, best = FACTOR, min
            runs = [evaluate(name, state, images, labels, train, torch.float32, **setting)[0]
                    for setting in SETTINGS_F32]
        else:
            self.factor, best = FACTOR_OF_ROUNDING, max
            runs = [evaluate(name, state, images, labels, train, torch.float64,
                             rounding=torch_rounding.Rounding(precision, seed))[0]
                    for seed in (None, *range(RANDOM_ROUNDINGS))]
        self.unit = torch_rounding.UNIT[precision]
        self.errors = {key: best((run[key] - value for run in runs), key=norm)
                       for key, value in self.results.items()}
        self.distances = {key: norm(error) for key, error in self.errors.items()}
        self.distances["loss"] = max(self.distances["loss"], slope * self.distances["output"])

    def budget(self, key):
        """The largest distance from the truth that the rule allows."""
        return max(self.factor * self.distances[key], self.unit * self.scales[key])


def norm(values):
    return float(numpy.linalg.norm(numpy.asarray(values, dtype=numpy.float64).reshape(-1)))
