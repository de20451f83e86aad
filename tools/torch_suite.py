# How tools/compare_torch.py takes each net in its suite: images as small as the net's maps allow,
# so that every layer is there and a batch takes seconds.
#
# A batch norm over one value a channel is undefined, and over two gives -1 and 1 whatever comes in:
# the last maps of batches of three or more have at least three. Batches are odd, so that no loop
# over images comes out even. With dropout off, a large net without batch norm does the same in eval
# mode as in train mode and is compared in train mode alone. The widest nets run at a fraction of
# their width; as they are defined, --full has them.
# SPDX-License-Identifier: Apache-2.0
from typing import NamedTuple, Optional

import torch_nets


class Plan(NamedTuple):
    """One way to run a net; None for what its definition says."""
    name: str
    batch: int
    size: Optional[int] = None
    classes: Optional[int] = None
    width: Optional[float] = None
    eval_too: bool = True
    unfused_too: bool = False  # the same with every layer run by itself, against the same truth


# Nets that take milliseconds at their own size; compared at several batches.
SMALL = ("lenet_bn", "lenet5", "lenet_fashion", "fc2_mnist", "cnn_mnist", "net_cifar10",
         "googlenet_mini", "resnet_mini")

# What fusing changes: batch norms with ReLU or ReLU6, sums of branches, joined channels.
_UNFUSED = ("lenet_bn", "resnet_mini", "googlenet_fashion_residual", "resnet18", "cifar_resnet20",
            "mobilenet_v2", "densenet121", "inception_resnet_v2")
_BATCH = 3
_SUITE = {
    **{name: {"size": 96, "width": 0.25, "eval_too": False} for name in (
        "alexnet_mnist", "alexnet_224", "alexnet_fashion", "alexnet_fashion_small", "alexnet",
        "zfnet")},
    **{name: {"size": 64, "width": 0.25, "eval_too": False} for name in (
        "vgg11_mnist", "vgg19_mnist", "vgg11_fashion", "vgg11_fashion_half")},
    "mobilenet_mnist": {"size": 64, "batch": 5}, "resnet18_mnist": {"size": 64, "batch": 5},
    "googlenet_mnist": {"size": 64, "batch": 5, "eval_too": False},
    "vgg11_fashion_small": {"size": 96, "batch": 7, "eval_too": False},
    "vgg11_fashion_small_96": {"batch": 7, "eval_too": False},
    "nin_fashion": {"size": 96, "eval_too": False},
    **{f"googlenet_fashion{kind}": {"size": 48, "batch": 5, "eval_too": kind == "_bn"}
       for kind in ("", "_bn", "_3x3", "_asym")},
    "googlenet_fashion_residual": {"size": 48, "batch": 5, "width": 0.25},
    # Their pool makes 7x7 of any map: at full width 120 million parameters whatever the size.
    **{f"vgg{depth}{norm}": {"size": 64, "width": 0.25, "eval_too": norm == "_bn"}
       for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    **{name: {"size": 64} for name in (
        "resnet18", "resnet34", "resnet50", "resnext50_32x4d", "googlenet", "mobilenet_v2",
        "densenet121")},
    **{name: {"size": 64, "eval_too": False} for name in ("squeezenet1_0", "squeezenet1_1")},
    **{name: {"size": 64, "width": 0.25} for name in (
        "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2")},
    # Half the width leaves four channels in a group.
    "resnext101_32x8d": {"size": 64, "width": 0.5},
    # The auxiliary head needs a map of 17x17, so that its 5x5 convolution has one output.
    "inception_v3": {"width": 0.25},
    "inception_resnet_v2": {"size": 107, "width": 0.125},
    "vgg_cifar10": {"batch": 5},
    **{f"cifar_resnet{depth}": {"batch": 5} for depth in (20, 32, 44, 56)},
}


def plan(name, full=False):
    """The suite's way to run a net; `full`: with images, classes and width as the net defines."""
    options = {"batch": 7 if name in SMALL else _BATCH, **_SUITE.get(name, {})}
    if full:
        return Plan(name, batch=_BATCH, eval_too=options.get("eval_too", True))
    ten = None if torch_nets.default_classes(name) == 10 else 10
    return Plan(name, classes=ten, unfused_too=name in _UNFUSED, **options)
