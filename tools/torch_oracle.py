# What PyTorch computes for one batch of a net, in float64 and float32, and the rule by which the
# engine's float32 results are judged against it.
#
# The float64 results are the truth. A float32 result may lie five times as far from it as PyTorch's
# own float32 result does, or one float32 rounding, whichever is more:
#   distance(ours, t64) <= max(5 * distance(t32, t64), 2^-24 * scale)
# distance is the Euclidean norm of the difference; scale is ||t64||. PyTorch's float32 distance is
# the smallest over the settings that change its arithmetic; of a net too large for many draws,
# where a few numbers may be exact by luck, the root mean square over them (`pooled`). Three
# exceptions:
# - The loss is one number, and PyTorch's can be right by luck. Its distance counts at least as what
#   PyTorch's own output errors can make of it: ||dloss/do|| * ||o32 - o64|| (Cauchy and Schwarz),
#   summed over the outputs where a net has several.
# - A bias in front of a batch norm in train mode has a gradient of exactly zero in theory: a sum of
#   M terms dy that cancel. So has a batch norm's own bias where only a 1x1 convolution and a batch
#   norm follow. They are known by their float64 gradients, below 1e-6 * ||dy||. The scale of such a
#   gradient is log2(M) * ||dy||: one rounding of each partial sum when the terms are added in
#   pairs, the most careful way.
# - ReLU and max pooling decide by comparing. A decision that hangs on the last bits may fall either
#   way in float32, and turns a part of the gradients on or off: among millions of activations there
#   are always some, each worth thousands of roundings, and whether PyTorch's float32 meets the same
#   ones is chance. A decision is open where the float64 value lies nearer to its threshold than ten
#   times what PyTorch's float32 values are off by at that place: two standard deviations of a
#   device that is five times as far off; between the two values that lead a pool's window, the root
#   of two times as near, since both are off. clear() moves the biases of a draw until hardly an
#   activation is open; what remains, mostly pools, is turned once each in two float64 passes whose
#   results stay exact while their gradients go the other way (tools/torch_decisions.py). What that
#   moves, D = the root of the sum of the two squared distances, is what all open decisions are
#   worth. It is independent of the roundings and adds to them as such, twice, since what several
#   decisions move may point the same way:
#     distance(ours, t64) <= sqrt(max(5 * distance(t32, t64), 2^-24 * scale)^2 + (2 D)^2)
#   A batch without open decisions has D = 0; closest_tie() finds how near a batch comes.
# In another precision u (tf32, bf16, fp16) the yardstick is a device that rounds every tensor once
# and sums exactly (tools/torch_rounding.py): to the nearest, and eight times at random to either
# side, which shows what decisions that fall otherwise do to a gradient. The rule is
#   distance(ours, t64) <= max(3 * the largest of the nine distances, u * scale)
# A device that rounds in a few more places, or sums in float32, stays within; one that computes in
# bf16 where fp16 or tf32 was asked for, eight times coarser, does not.
# SPDX-License-Identifier: Apache-2.0
import contextlib
import math
import os
from typing import NamedTuple, Optional

import numpy
import torch
from torch import nn

import torch_decisions
import torch_draw
import torch_nets
import torch_rounding

FACTOR = 5.0
FACTOR_OF_ROUNDING, RANDOM_ROUNDINGS = 3.0, 8
OPEN = 10.0  # in distances of PyTorch's float32 from the truth
TURNED = 2.0
REDRAWS, FEW_OPEN = 4, 4
# Ten times what float32 activations of size one are off by in the small nets, and more.
SAFE_TIE = 2e-6
# oneDNN and ATen's own kernels sum in different orders.
SETTINGS_F32 = ({"onednn": True}, {"onednn": False})
CANCELLED = 1e-6
_LARGE = 1_000_000  # parameters from which a second thread pays


class Case(NamedTuple):
    """One batch of a net. state, images and labels are numpy arrays."""
    name: str
    state: dict
    images: numpy.ndarray
    labels: numpy.ndarray
    train: bool
    size: Optional[int] = None
    classes: Optional[int] = None
    width: Optional[float] = None
    dropouts: tuple = ()  # each makes of a shape what that dropout multiplies by; none: all are off


class Evaluator:
    """Runs the passes of one case, in any precision, on one module."""

    def __init__(self, case):
        self.case = case
        self.net = torch_draw.blank(case.name, case.size, case.classes, case.width,
                                    case.images.shape[1])
        self.net.train(case.train)
        layers = [layer for layer in self.net.modules() if isinstance(layer, nn.Dropout)]
        for layer, factors in zip(layers, case.dropouts):
            layer.register_forward_hook(lambda _layer, _inputs, y, factors=factors:
                                        y * torch.from_numpy(factors(y.shape)).to(y.dtype))
        large = sum(p.numel() for p in self.net.parameters()) > _LARGE
        torch.set_num_threads(min(2, os.cpu_count()) if large else 1)

    def load(self, dtype):
        self.net.to(dtype)
        self.net.load_state_dict({key: torch.as_tensor(value)
                                  for key, value in self.case.state.items()})
        self.net.zero_grad(set_to_none=True)
        return self.net

    def run(self, dtype, onednn=True, mode=None, when=None):
        """One forward and backward pass with dropout off.

        Returns (results, slopes): results maps every output (`output`, and the auxiliary ones),
        `loss`, `grad.NAME` and, in train mode, `state.NAME` (the running statistics afterwards) to
        numpy arrays of the precision; slopes maps every output to ||dloss/doutput||. mode is what
        the passes run in. Ends after the forward pass, with nothing, where `when` then says no.
        """
        case, net = self.case, self.load(dtype)
        with torch.backends.mkldnn.flags(enabled=onednn), mode or contextlib.nullcontext():
            returned = net(torch.from_numpy(case.images).to(dtype))
            outputs = torch_nets.outputs_of(case.name, returned)
            for value in outputs.values():
                value.retain_grad()
            loss = torch_nets.loss_of(case.name)(returned, torch.from_numpy(case.labels))
            if when is not None and not when():
                return {}, {}
            loss.backward()
        results = {key: value.detach().numpy() for key, value in outputs.items()}
        results["loss"] = loss.detach().reshape(1).numpy()
        results.update({f"grad.{key}": (torch.zeros_like(p) if p.grad is None else p.grad).numpy()
                        for key, p in net.named_parameters()})
        if case.train:
            results.update({f"state.{key}": value.to(dtype).numpy().copy()
                            for key, value in net.named_buffers()})
        return results, {key: value.grad.norm().item() for key, value in outputs.items()}

    def truth(self, mode):
        """The float64 results, and the scale of each bias that a batch norm takes back."""
        norms, hooks = {}, []

        def watch(key):
            def forward(_module, _inputs, output):
                terms = output.numel() / output.shape[1]
                output.register_hook(lambda dy: norms.__setitem__(key, (dy.norm().item(), terms)))
                # The gradient of what the layer wrote, whatever is written over it later.
                return output.clone()
            return forward

        for path, module in self.net.named_modules():
            if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)) and module.bias is not None:
                hooks.append(module.register_forward_hook(watch(f"grad.{path}.bias")))
        results, slopes = self.run(torch.float64, mode=mode)
        for hook in hooks:
            hook.remove()
        scales = {key: dy * math.log2(terms) for key, (dy, terms) in norms.items()
                  if norm(results[key]) < CANCELLED * dy}
        return results, slopes, scales


def closest_tie(case):
    """The least |x| a ReLU decides on and the least lead of a max pool's winner, in float64."""
    net = Evaluator(case).load(torch.float64)
    with torch.no_grad(), torch_decisions.TieWatch() as watch:
        net(torch.from_numpy(case.images).double())
    return watch.least


def clear(case, seed):
    """The case with biases moved until hardly an activation hangs on the last bits."""
    evaluator = Evaluator(case)

    def forward(dtype, mode):
        net = evaluator.load(dtype)
        with torch.no_grad(), mode:
            net(torch.from_numpy(case.images).to(dtype))
        return net

    record = torch_decisions.Record()
    forward(torch.float64, record)
    compare = torch_decisions.Compare(record)
    forward(torch.float32, compare)
    # Half as much again: the widths of the moved case are not quite those of this one.
    widths = [1.5 * OPEN * distance for distance in compare.distances]
    del record, compare.record
    net = evaluator.load(torch.float64)
    biases = dict(net.named_parameters())
    with torch.no_grad(), torch_decisions.Clear(net, widths, seed):
        net(torch.from_numpy(case.images).double())
    state = {key: biases[key].detach().float().numpy() if key in biases and key.endswith("bias")
             else value for key, value in case.state.items()}
    return case._replace(state=state)


def clearest(draw, seed, redraw, **options):
    """The truth of the case draw(seed). A single open decision hides errors of a hundredth of a
    gradient: with `redraw`, where there are a few, other draws are tried and that is taken which
    has the fewest."""
    best = None
    for attempt in range(REDRAWS if redraw else 1):
        truth = Truth(draw(seed + 100 * attempt), **options)
        if best is None or truth.open_decisions < best.open_decisions:
            best = truth
        if not 0 < best.open_decisions <= FEW_OPEN:
            break
    return best


class Truth:
    """The float64 results of one batch with, for each tensor, what its yardstick is off by:
    PyTorch's float32, or the ideal device of another precision."""

    def __init__(self, case, precision="fp32", pooled=False, keep_errors=False):
        self.case, self.evaluator = case, Evaluator(case)
        record = torch_decisions.Record()
        self.results, self.slopes, scales = self.evaluator.truth(record)
        self.scales = {key: scales.get(key, norm(value)) for key, value in self.results.items()}
        self.distances, self.errors, self.keep_errors = {}, {}, keep_errors
        self.turned = dict.fromkeys(self.results, 0.0)
        self.open_decisions = 0
        self.unit = torch_rounding.UNIT[precision]
        if precision == "fp32":
            self.factor = FACTOR
            widths = self._measure_float32(record, pooled)
            record.values.clear()
            self._turn_decisions(widths)
        else:
            self.factor = FACTOR_OF_ROUNDING
            for seed in (None, *range(RANDOM_ROUNDINGS)):
                mode = torch_rounding.Rounding(precision, seed)
                self._take(self.evaluator.run(torch.float64, mode=mode)[0], max)
        self.distances["loss"] = max(self.distances["loss"], sum(
            slope * self.distances[key] for key, slope in self.slopes.items()))

    def _take(self, run, best):
        """Keeps the best distances so far; returns those of this run."""
        taken = {}
        for key, value in self.results.items():
            off = taken[key] = distance(run[key], value)
            if key not in self.distances or off == best(off, self.distances[key]):
                self.distances[key] = off
                if self.keep_errors:
                    self.errors[key] = run[key].astype(numpy.float64) - value
        return taken

    def _measure_float32(self, record, pooled):
        """Takes PyTorch's float32 distances; returns the width in which each decision is open."""
        squares = dict.fromkeys(self.results, 0.0)
        widths = None
        for setting in SETTINGS_F32:
            compare = torch_decisions.Compare(record)
            run, _ = self.evaluator.run(torch.float32, mode=compare, **setting)
            for key, off in self._take(run, min).items():
                squares[key] += off * off / len(SETTINGS_F32)
            widths = [min(pair) for pair in zip(widths or compare.distances, compare.distances)]
        if pooled:
            self.distances = {key: math.sqrt(square) for key, square in squares.items()}
        return [OPEN * width for width in widths]

    def _turn_decisions(self, widths):
        for sign in (1, -1):
            mode = torch_decisions.Undecide(widths, seed=1, sign=sign)
            run, _ = self.evaluator.run(torch.float64, mode=mode,
                                        when=lambda mode=mode: mode.turned > 0)
            self.open_decisions += mode.turned
            for key, value in run.items():
                off = distance(value, self.results[key])
                self.turned[key] = math.hypot(self.turned[key], off)

    def budget(self, key):
        """The largest distance from the truth that the rule allows."""
        roundings = max(self.factor * self.distances[key], self.unit * self.scales[key])
        return math.hypot(roundings, TURNED * self.turned[key])


def norm(values):
    return distance(values, None)


def distance(values, truth, block=1 << 22):
    """||values - truth|| in float64, without a copy of either as a whole."""
    flat = numpy.asarray(values).reshape(-1)
    other = None if truth is None else numpy.asarray(truth).reshape(-1)
    total = 0.0
    for start in range(0, flat.size, block):
        part = flat[start:start + block].astype(numpy.float64)
        if other is not None:
            part = part - other[start:start + block]
        total += float(numpy.dot(part, part))
    return math.sqrt(total)
