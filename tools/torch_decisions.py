# What ReLUs and max pools decide on in a net in PyTorch, and what becomes of the gradients where a
# decision could as well fall otherwise. Modes, each for one forward pass:
#
#   with Record() as record: output = net(images)           # float64: what was decided on
#   with Compare(record) as compare: output = net(images)   # float32: how far off that was
#   with Clear(net, widths, seed): output = net(images)     # float64: moves biases out of ties
#   with Undecide(widths, seed, sign): output = net(images) # float64: decides otherwise
#   with TieWatch() as watch: output = net(images)          # float64: how near the nearest tie is
#
# widths: one a decision, how far from its threshold a value is sure.
# SPDX-License-Identifier: Apache-2.0
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# Names of the functions that decide, with the value above which an activation stays constant.
_CEILINGS = {"relu": None, "relu_": None, "relu6": 6.0, "hardtanh": 6.0, "hardtanh_": 6.0}


class _Mode(TorchFunctionMode):
    """Sees every function call of a forward pass and numbers the decisions in their order."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        called, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if called in _CEILINGS:
            self.number += 1
            return self.activation(args[0], _CEILINGS[called])
        if called == "max_pool2d":
            self.number += 1
            names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
            window = dict(zip(names, args[1:]), **kwargs)
            window.pop("return_indices", None)
            return self.max_pool(args[0], window)
        return func(*args, **kwargs)

    # Never in place: what was decided on is still needed.
    def activation(self, x, ceiling):
        return F.relu(x) if ceiling is None else F.hardtanh(x, 0.0, ceiling)

    def max_pool(self, x, window):
        return F.max_pool2d(x, **window)


class Record(_Mode):
    """Keeps what was decided on."""

    def __init__(self):
        super().__init__()
        self.values = []

    def activation(self, x, ceiling):
        self.values.append(x.detach())
        return super().activation(x, ceiling)

    def max_pool(self, x, window):
        self.values.append(x.detach())
        return super().max_pool(x, window)


class Compare(_Mode):
    """Notes how far each tensor decided on lies from the recorded one (root mean square)."""

    def __init__(self, record):
        super().__init__()
        self.record, self.distances = record, []

    def _note(self, x):
        difference = x.detach().double() - self.record.values[self.number - 1]
        self.distances.append(difference.square().mean().sqrt().item())

    def activation(self, x, ceiling):
        self._note(x)
        return super().activation(x, ceiling)

    def max_pool(self, x, window):
        self._note(x)
        return super().max_pool(x, window)


class _Chosen(torch.autograd.Function):
    """A result and where its gradient goes: times a mask, or to the winners of a pool."""

    @staticmethod
    def forward(ctx, x, y, mask, winners):
        ctx.shape = x.shape
        ctx.save_for_backward(mask, winners)
        return y

    @staticmethod
    def backward(ctx, gradient):
        mask, winners = ctx.saved_tensors
        if mask is not None:
            return gradient * mask, None, None, None
        flat = gradient.new_zeros(ctx.shape).flatten(2)
        flat.scatter_add_(2, winners.flatten(2), gradient.flatten(2))
        return flat.view(ctx.shape), None, None, None


class Undecide(_Mode):
    """Decides on values off by up to `widths` (one a decision); the results stay as they were, only
    the gradients go other ways.

    An activation nearer to its threshold than that falls to the other side with one sign of the
    noise and stays with the other, so that two passes with the same seed and opposite signs turn
    each such decision exactly once. So does a pool whose winner leads by less than the square root
    of two widths, since it compares two values: the second takes the winner's place. `turned`
    counts the decisions that fell otherwise.
    """

    def __init__(self, widths, seed, sign):
        super().__init__()
        self.widths, self.sign, self.turned = widths, sign, 0
        self.generator = torch.Generator().manual_seed(seed)

    def activation(self, x, ceiling):
        y = super().activation(x.detach(), ceiling)
        signs = 2 * torch.randint(0, 2, x.shape, generator=self.generator, dtype=torch.int8) - 1
        # Exact zeros are what other layers left out, not the end of a calculation.
        moved = x.detach() + (x.detach() != 0) * signs * (self.sign * self.widths[self.number - 1])
        mask, before = moved > 0, x.detach() > 0
        if ceiling is not None:
            mask &= moved < ceiling
            before &= x.detach() < ceiling
        self.turned += (mask != before).sum().item()
        return _Chosen.apply(x, y, mask, None)

    def max_pool(self, x, window):
        y, winners = F.max_pool2d(x.detach(), return_indices=True, **window)
        values, places = _first_two(x.detach(), y, window)
        lead = values[..., 0] - values[..., 1]
        # Equal values are copies of one that an earlier pool let through: no other way to go.
        turned = (lead > 0) & (lead < 2**0.5 * self.widths[self.number - 1])
        turned &= torch.randint(0, 2, y.shape, generator=self.generator) == (self.sign > 0)
        self.turned += turned.sum().item()
        return _Chosen.apply(x, y, None, torch.where(turned, places[..., 1], winners))


class Clear(_Mode):
    """Moves the biases in front of activations until no value lies within `widths` of a threshold.

    The last layer before an activation shifts a channel as a whole; of some small shifts the one
    that leaves most room is taken, and the pass goes on with the shifted values. Pools, and
    activations behind a layer without bias or behind several joined ones, stay as they are.
    """

    _SHIFTS, _REACH = 64, 0.02  # so many, so far, in deviations of what is decided on

    def __init__(self, net, widths, seed):
        super().__init__()
        self.widths, self.last = widths, None
        self.generator = torch.Generator().manual_seed(seed)
        self.hooks = [layer.register_forward_hook(self._passed) for layer in net.modules()
                      if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))]

    def __exit__(self, *exception):
        for hook in self.hooks:
            hook.remove()
        return super().__exit__(*exception)

    def _passed(self, layer, _inputs, _output):
        self.last = layer

    def activation(self, x, ceiling):
        bias, width = self.last.bias, self.widths[self.number - 1]
        if bias is not None and bias.numel() == x.shape[1]:
            thresholds = (0.0,) if ceiling is None else (0.0, ceiling)
            room = torch.stack([(x - threshold).abs() for threshold in thresholds]).amin(0)
            room = room.transpose(0, 1).flatten(1).amin(1)
            for channel in (room < width).nonzero().flatten().tolist():
                values = x[:, channel].reshape(1, -1)
                shifts = torch.rand(self._SHIFTS, 1, generator=self.generator, dtype=x.dtype) - 0.5
                # The bias is a float32 in the end.
                old = bias[channel].item()
                new = (old + 2 * self._REACH * x.std() * shifts).float().double()
                moved = values + (new - old)
                best = torch.stack([(moved - threshold).abs().amin(1)
                                    for threshold in thresholds]).amin(0).argmax()
                bias[channel] = new[best, 0]
                x[:, channel] += new[best, 0] - old
        return super().activation(x, ceiling)


class TieWatch(_Mode):
    """Notes the least |x| an activation decides on and the least lead of a max pool's winner."""

    def __init__(self):
        super().__init__()
        self.least, self.values = float("inf"), 0

    def _note(self, margins):
        if margins.numel() > 0:
            self.least = min(self.least, margins.min().item())

    def activation(self, x, ceiling):
        self.values += x.numel()
        self._note(x.abs())
        if ceiling is not None:
            self._note((x - ceiling).abs())
        return super().activation(x, ceiling)

    def max_pool(self, x, window):
        y = F.max_pool2d(x, **window)
        first, second = _first_two(x, y, window)[0].unbind(4)
        # Zeros behind a ReLU tie, and pass no gradient whoever wins.
        self._note((first - second)[first != 0])
        return y


def _first_two(x, y, window):
    """The two largest values of every window of a max pool from x to y, [N, C, P, Q, 2], and their
    places in the flattened map."""
    kernel, stride, padding = (window.get(key) for key in ("kernel_size", "stride", "padding"))
    kernel, stride = _pair(kernel), _pair(stride or kernel)
    padding = _pair(padding or 0)
    # ceil_mode reads beyond the edge: pad there too.
    beyond = [max(0, (n - 1) * s + k - h - 2 * p) for n, s, k, h, p in
              zip(y.shape[2:], stride, kernel, x.shape[2:], padding)]
    padded = F.pad(x, (padding[1], padding[1] + beyond[1], padding[0], padding[0] + beyond[0]),
                   value=float("-inf"))
    windows = padded.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1])
    values, within = windows[:, :, :y.shape[2], :y.shape[3]].flatten(4).topk(2, dim=4)
    row, column = (torch.arange(n) * s - p for n, s, p in zip(y.shape[2:], stride, padding))
    row = row.view(-1, 1, 1) + torch.div(within, kernel[1], rounding_mode="floor")
    column = column.view(1, -1, 1) + within % kernel[1]
    return values, row * x.shape[3] + column


def _pair(value):
    return value if isinstance(value, (tuple, list)) else (value, value)
