# The networks of the engine as PyTorch modules, the other side of every comparison with PyTorch.
#
# Each module has the state_dict names, shapes and order of the engine's net of the same id, so that
# weights go both ways. `build(id)` makes the module, `loss_of(id)` its loss. The families are in
# torch_nets_small.py, torch_nets_mnist.py, torch_nets_fashion.py and torch_nets_imagenet.py.
# SPDX-License-Identifier: Apache-2.0
import functools
import importlib.util

import torch
from torch import nn
from torch.nn import functional as F

import torch_nets_fashion as fashion
import torch_nets_imagenet as imagenet
import torch_nets_mnist as mnist
import torch_nets_small as small


class _Net:
    """One id. make(size=, classes=) builds it; a net without `sized` has its one size in it."""

    def __init__(self, shape, make, classes=10, sized=False, inside=None):
        self.shape, self.make, self.classes = shape, make, classes
        self.sized, self.inside = sized or inside is not None, inside
        self.size = inside or shape[1]


def _fixed(shape, module):
    """A net of one size."""
    return _Net(shape, lambda size, classes: module(classes=classes))


def _enlarging(module):
    """A net that enlarges 28x28 images itself; its size is what it enlarges them to."""
    return _Net((1, 28, 28), lambda size, classes: module(size=size, classes=classes), inside=224)


def _sized(shape, module, classes=10):
    """A net whose linear layers depend on the size of its images."""
    return _Net(shape, lambda size, classes: module(size=size, classes=classes), classes, True)


def _any_size(shape, module, classes=10):
    """A net that averages over whatever map it gets."""
    return _Net(shape, lambda size, classes: module(classes=classes), classes, True)


_TORCHVISION = ("alexnet", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19",
                "vgg19_bn", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
                "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2",
                "googlenet",
                "inception_v3", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "densenet121")
_partial = functools.partial

_NETS = {
    "lenet_bn": _fixed((1, 28, 28), small.LeNetBn),
    "lenet5": _fixed((1, 28, 28), small.LeNet5),
    "lenet_fashion": _fixed((1, 28, 28), small.LeNetFashion),
    "fc2_mnist": _fixed((1, 28, 28), small.Fc2Mnist),
    "cnn_mnist": _fixed((1, 28, 28), small.CnnMnist),
    "net_cifar10": _fixed((3, 32, 32), small.NetCifar10),
    "vgg_cifar10": _fixed((3, 32, 32), small.VggCifar10),
    "googlenet_mini": _fixed((1, 28, 28), small.googlenet_mini),
    "resnet_mini": _fixed((1, 28, 28), small.resnet_mini),
    "alexnet_mnist": _enlarging(mnist.alexnet_mnist),
    "vgg11_mnist": _enlarging(mnist.vgg11_mnist),
    "vgg19_mnist": _enlarging(mnist.vgg19_mnist),
    "mobilenet_mnist": _enlarging(mnist.mobilenet_mnist),
    "resnet18_mnist": _enlarging(mnist.resnet18_mnist),
    "googlenet_mnist": _enlarging(mnist.GoogLeNetMnist),
    "alexnet_224": _sized((1, 224, 224), mnist.alexnet_224),
    "alexnet_fashion": _sized((1, 224, 224), fashion.AlexNetFashion),
    "alexnet_fashion_small": _sized((1, 224, 224), _partial(fashion.AlexNetFashion, small=True)),
    "vgg11_fashion": _sized((1, 224, 224), fashion.vgg11_fashion),
    "vgg11_fashion_half": _sized((1, 224, 224), _partial(fashion.vgg11_fashion, divisor=2)),
    "vgg11_fashion_small":
        _sized((1, 224, 224), _partial(fashion.vgg11_fashion, divisor=16, hidden=256)),
    "vgg11_fashion_small_96":
        _sized((1, 96, 96), _partial(fashion.vgg11_fashion, divisor=16, hidden=256)),
    "nin_fashion": _any_size((1, 224, 224), fashion.nin_fashion),
    "googlenet_fashion": _any_size((1, 96, 96), fashion.googlenet_fashion),
    "googlenet_fashion_bn": _any_size((1, 96, 96), _partial(fashion.googlenet_fashion, norm=True)),
    "googlenet_fashion_3x3":
        _any_size((1, 96, 96), _partial(fashion.googlenet_fashion, wide="3x3")),
    "googlenet_fashion_asym":
        _any_size((1, 96, 96), _partial(fashion.googlenet_fashion, wide="asym")),
    "googlenet_fashion_residual": _any_size((1, 96, 96), fashion.googlenet_fashion_residual),
    **{name: _any_size((3, 299, 299) if name == "inception_v3" else (3, 224, 224),
                       _partial(imagenet.torchvision_net, name), 1000) for name in _TORCHVISION},
    "inception_resnet_v2": _any_size((3, 299, 299), imagenet.InceptionResNetV2, 1000),
    "zfnet": _sized((3, 224, 224), imagenet.ZfNet, 1000),
    **{f"cifar_resnet{depth}": _any_size((3, 32, 32), _partial(imagenet.CifarResNet, depth))
       for depth in (20, 32, 44, 56)},
}
_LOG_PROBABILITIES = {"fc2_mnist", "cnn_mnist"}
# What the auxiliary heads count in the loss, by the name of the module.
_AUXILIARY = {"googlenet": {"aux1": 0.3, "aux2": 0.3}, "inception_v3": {"AuxLogits": 0.4}}

NAMES = tuple(_NETS)


def _net(name):
    if name not in _NETS:
        raise SystemExit(f"no PyTorch module for the net '{name}'; use one of {', '.join(NAMES)}.")
    return _NETS[name]


def _resize(layer, channels_in, channels_out, groups):
    layer.__init__(channels_in, channels_out, layer.kernel_size, layer.stride, layer.padding,
                   layer.dilation, groups, layer.bias is not None)


def _narrow(module, width, net, classes):
    """Multiplies the channels of every layer, but neither the input's nor the classes."""
    def wide(channels, fixed):
        scaled = channels if channels == fixed else channels * width
        if scaled != int(scaled):
            raise SystemExit(f"{width} times {channels} channels are no whole number of them; use "
                             "a width that divides every layer of the net.")
        return int(scaled)

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            groups = layer.groups if layer.groups != layer.in_channels else None
            channels = wide(layer.in_channels, net.shape[0])
            _resize(layer, channels, wide(layer.out_channels, classes), groups or channels)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.__init__(wide(layer.num_features, None), layer.eps, layer.momentum)
        elif isinstance(layer, nn.Linear):
            layer.__init__(wide(layer.in_features, None), wide(layer.out_features, classes))


def build(name, dropout=None, size=None, classes=None, width=None, channels=None):
    """The module of a net.

    dropout replaces the probability of every dropout in it; size is another height and width of its
    images (of a net that enlarges them, what it enlarges them to); classes another number of them;
    width multiplies the channels of every layer; channels is another number of the images'.
    """
    net = _net(name)
    if size is not None and not net.sized:
        raise SystemExit(f"the net '{name}' has no other size than {net.size}; leave the size out.")
    module = net.make(size=size or net.size, classes=classes or net.classes)
    if width is not None:
        _narrow(module, width, net, classes or net.classes)
    if channels not in (None, net.shape[0]):
        first = next(layer for layer in module.modules() if isinstance(layer, nn.Conv2d))
        _resize(first, channels, first.out_channels, first.groups)
    if dropout is not None:
        for layer in module.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = dropout
    return module


def missing(name):
    """What this Python lacks to build the net: the name of a package, or None."""
    if name in _TORCHVISION and importlib.util.find_spec("torchvision") is None:
        return "torchvision"
    return None


def default_classes(name):
    """The classes of a net that is built without naming another number."""
    return _net(name).classes


def is_sized(name):
    """Whether build() takes another size of this net."""
    return _net(name).sized


def input_shape(name, size=None):
    """Channels, height and width of one input image."""
    net = _net(name)
    return net.shape if size is None or net.inside else (net.shape[0], size, size)


def outputs_of(name, output):
    """What a net returned as {name: tensor}: `output` and, in train mode, the auxiliary heads."""
    if torch.is_tensor(output):
        return {"output": output}
    if name == "googlenet":
        return {"output": output.logits, "aux1": output.aux_logits1, "aux2": output.aux_logits2}
    return {"output": output.logits, "AuxLogits": output.aux_logits}


def loss_of_output(name):
    """The loss of one output alone, a function of it and the labels: the mean over the batch."""
    return F.nll_loss if name in _LOG_PROBABILITIES else F.cross_entropy


def loss_of(name):
    """The loss the net is trained with, a function of what it returns and the labels: that of its
    output, and for each auxiliary head its own with the head's weight."""
    each = loss_of_output(name)

    def loss(output, labels):
        outputs = outputs_of(name, output)
        total = each(outputs.pop("output"), labels)
        for head, value in outputs.items():
            total = total + _AUXILIARY[name][head] * each(value, labels)
        return total

    return loss
