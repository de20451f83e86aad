# Random weights, images and labels for comparing a net with PyTorch.
#
# The weights keep the signal alive whatever the net: a first pass over the images walks through the
# layers in their order and scales each filter bank so that its outputs have deviation one. Batch
# norms learn their statistics in the same pass and are then moved off them, by a tenth of the
# deviation and by a factor of 0.5 to 1.5 of the variance, so that eval mode is no copy of train
# mode.
# SPDX-License-Identifier: Apache-2.0
import contextlib

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import torch_nets

_INITIALISERS = {"uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_", "trunc_normal_",
                 "constant_", "zeros_", "ones_"}


class _WithoutValues(TorchFunctionMode):
    """Leaves out the drawing of first weights, which takes longer than a pass of a small batch."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in _INITIALISERS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def blank(name, size=None, classes=None, width=None, channels=None, dropout=0.0):
    """The module of a net with no sensible values in it, dropout off unless it is None."""
    with _WithoutValues():
        return torch_nets.build(name, dropout=dropout, size=size, classes=classes, width=width,
                                channels=channels)


def draw(name, batch, seed, size=None, classes=None, width=None, images=None):
    """Returns (state, images, labels): numpy arrays, the state under the state_dict's names.
    images, where given, are those to use; they may have another number of channels than the net's
    own."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator)

    def uniform(shape):
        return torch.rand(shape, generator=generator)

    if images is None:
        images = normal((batch, *torch_nets.input_shape(name, size))).numpy()
    net = blank(name, size, classes, width, images.shape[1]).train()
    labels = torch.randint(0, classes or torch_nets.default_classes(name), (batch,),
                           generator=generator)
    with torch.no_grad(), contextlib.ExitStack() as hooks:
        for layer in net.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.weight.copy_(normal(layer.weight.shape))
                if layer.bias is not None:
                    layer.bias.zero_()
                hooks.enter_context(_removed(layer.register_forward_hook(_scale)))
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = 1.0
                layer.weight.copy_(0.75 + 0.5 * uniform(layer.weight.shape))
                layer.bias.copy_(0.2 * normal(layer.bias.shape))
        net(torch.from_numpy(images).float())
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                variance = layer.running_var
                # A channel that a small batch left without variance is as good as any other.
                variance.clamp_(min=0.1 * variance.mean().item())
                layer.running_mean += 0.1 * variance.sqrt() * normal(variance.shape)
                variance *= 0.5 + uniform(variance.shape)
            elif isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
                layer.bias.copy_(0.1 * normal(layer.bias.shape))
    state = {key: value.numpy() for key, value in net.state_dict().items()}
    return state, images, labels.numpy()


def _scale(layer, _inputs, output):
    factor = 1.0 / output.square().mean().sqrt().item()
    layer.weight *= factor
    return output * factor


@contextlib.contextmanager
def _removed(handle):
    try:
        yield
    finally:
        handle.remove()
