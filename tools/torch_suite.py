# How tools/compare_torch.py takes each net in its suite: images as small as the net's maps allow,
# so that every layer is there and a batch takes seconds.
#
# A batch norm over one value a channel is undefined, and over two gives -1 and 1 whatever comes in:
# the last maps of batches of three or more have at least three. Batches are odd, so that no loop
# over images comes out even. With dropout off, a large net without batch norm does the same in eval
# mode as in train mode and is compared in train mode alone.
# SPDX-License-Identifier: Apache-2.0
from typing import NamedTuple, Optional

import torch_nets


class Plan(NamedTuple):
    """One way to run a net; None for what its definition says."""
    name: str
    batch: int
    size: Optional[int] = None
    classes: Optional[int] = None
    eval_too: bool = True


# Nets that take milliseconds at their own size; compared at several batches.
SMALL = ("lenet_bn", "lenet5", "lenet_fashion", "fc2_mnist", "cnn_mnist", "net_cifar10",
         "googlenet_mini", "resnet_mini")

_BATCH = 3
_SUITE = {
    **{name: {"size": 96, "eval_too": False} for name in (
        "alexnet_mnist", "alexnet_224", "alexnet_fashion", "alexnet_fashion_small", "alexnet",
        "zfnet")},
    **{name: {"size": 64, "eval_too": False} for name in (
        "vgg11_mnist", "vgg19_mnist", "vgg11_fashion", "vgg11_fashion_half")},
    "mobilenet_mnist": {"size": 64, "batch": 5}, "resnet18_mnist": {"size": 64, "batch": 5},
    "googlenet_mnist": {"size": 64, "batch": 5},
    "vgg11_fashion_small": {"size": 96, "batch": 7}, "vgg11_fashion_small_96": {"batch": 7},
    "nin_fashion": {"size": 96},
    **{f"googlenet_fashion{kind}": {"size": 48, "batch": 5}
       for kind in ("", "_bn", "_3x3", "_asym", "_residual")},
    # Their pool makes 7x7 of any map: 120 million parameters whatever the size.
    **{f"vgg{depth}{norm}": {"size": 64, "eval_too": False}
       for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    **{name: {"size": 64} for name in (
        "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
        "googlenet", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "densenet121")},
    **{name: {"size": 64, "eval_too": False} for name in (
        "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2")},
    # The auxiliary head needs a map of 17x17, so that its 5x5 convolution has one output.
    "inception_v3": {"eval_too": False}, "inception_resnet_v2": {"size": 107},
    "vgg_cifar10": {"batch": 5},
    **{f"cifar_resnet{depth}": {"batch": 5} for depth in (20, 32, 44, 56)},
}


def plan(name, full=False):
    """The suite's way to run a net; `full`: with images and classes as the net defines them."""
    options = {"batch": 7 if name in SMALL else _BATCH, **_SUITE.get(name, {})}
    if full:
        return Plan(name, batch=_BATCH, eval_too=options.get("eval_too", True))
    ten = None if torch_nets.default_classes(name) == 10 else 10
    return Plan(name, classes=ten, **options)
