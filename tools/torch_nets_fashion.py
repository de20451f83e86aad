# The networks for Fashion-MNIST at 224x224 and 96x96 as PyTorch modules; the images come in at that
# size. See tools/torch_nets.py.
# SPDX-License-Identifier: Apache-2.0
import torch
from torch import nn
from torch.nn import functional as F

from torch_nets_mnist import INCEPTION_WIDTHS, alexnet_layers


class Flat(nn.Module):
    def forward(self, x):
        return torch.flatten(x, 1)


class GAP(nn.Module):
    """The average over the whole map."""

    def forward(self, x):
        return F.avg_pool2d(x, x.shape[2:])


class AlexNetFashion(nn.Module):
    """AlexNet of one channel; the small one lacks one convolution and one linear layer."""

    def __init__(self, size, classes, small=False):
        super().__init__()
        layers = alexnet_layers(size, classes, padding=0)
        head = layers.index(next(layer for layer in layers if isinstance(layer, nn.Flatten)))
        features, linear = layers[:head], layers[head + 1:]
        if small:
            features = features[:8] + features[10:]
            linear = linear[:3] + linear[6:]
        self.conv = nn.Sequential(*features)
        self.fc = nn.Sequential(*linear)

    def forward(self, x):
        return self.fc(torch.flatten(self.conv(x), 1))


def vgg11_fashion(size, classes, divisor=1, hidden=4096):
    """VGG-11; `divisor` divides every number of maps."""
    net, channels = nn.Sequential(), 1
    for number, (count, width) in enumerate(zip((1, 1, 2, 2, 2), (64, 128, 256, 512, 512)), 1):
        layers = []
        for _ in range(count):
            layers += [nn.Conv2d(channels, width // divisor, 3, padding=1), nn.ReLU()]
            channels = width // divisor
        net.add_module(f"vgg_block_{number}", nn.Sequential(*layers, nn.MaxPool2d(2)))
    net.add_module("fc", nn.Sequential(
        Flat(), nn.Linear(channels * (size // 32) ** 2, hidden), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, classes)))
    return net


def nin_fashion(classes):
    """Network in network: every convolution is followed by two 1x1 ones."""

    def block(channels, width, kernel, stride, padding):
        return nn.Sequential(nn.Conv2d(channels, width, kernel, stride, padding), nn.ReLU(),
                             nn.Conv2d(width, width, 1), nn.ReLU(),
                             nn.Conv2d(width, width, 1), nn.ReLU())

    return nn.Sequential(
        block(1, 96, 11, 4, 0), nn.MaxPool2d(3, 2), block(96, 256, 5, 1, 2), nn.MaxPool2d(3, 2),
        block(256, 384, 3, 1, 1), nn.MaxPool2d(3, 2), nn.Dropout(0.5),
        block(384, classes, 3, 1, 1), GAP(), Flat())


class InceptionFashion(nn.Module):
    """Four branches; `wide` is how the second and third look: one wide filter ("5x5"), two 3x3 in
    place of the 5x5 ("3x3"), or each n x n as 1x3 and 3x1 ("asym")."""

    def __init__(self, channels, one, three, five, pool, wide):
        super().__init__()
        self.p1_1 = nn.Conv2d(channels, one, 1)
        self.p2_1 = nn.Conv2d(channels, three[0], 1)
        self._add("p2", self._filters(*three, {"5x5": "3", "3x3": "3", "asym": "a"}[wide]))
        self.p3_1 = nn.Conv2d(channels, five[0], 1)
        self._add("p3", self._filters(*five, {"5x5": "5", "3x3": "33", "asym": "aa"}[wide]))
        self.p4_1 = nn.MaxPool2d(3, 1, 1)
        self.p4_2 = nn.Conv2d(channels, pool, 1)

    @staticmethod
    def _filters(channels, width, kinds):
        layers = []
        for kind in kinds:
            if kind == "a":
                # The 1x3 filter pads both axes: two rows more, which the 3x1 filter takes back.
                layers += [nn.Conv2d(channels, width, (1, 3), padding=1),
                           nn.Conv2d(width, width, (3, 1))]
            else:
                layers.append(nn.Conv2d(channels, width, int(kind), padding=int(kind) // 2))
            channels = width
        return layers

    def _add(self, branch, layers):
        for number, layer in enumerate(layers, 2):
            setattr(self, f"{branch}_{number}", layer)

    def forward(self, x):
        branches = {}
        for name, layer in self.named_children():
            value = layer(branches.get(name[:2], x))
            branches[name[:2]] = value if isinstance(layer, nn.MaxPool2d) else F.relu(value)
        return torch.cat(list(branches.values()), 1)


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut, perhaps a 1x1 convolution."""

    def __init__(self, channels_in, channels_out, first):
        super().__init__()
        stride = 2 if first else 1
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.conv3 = nn.Conv2d(channels_in, channels_out, 1, stride) if first else None
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.bn2 = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (self.conv3(x) if self.conv3 else x))


def _trunk(wide, norm):
    def stage(names, channels, *last):
        layers = []
        for name in names:
            widths = INCEPTION_WIDTHS[name]
            layers.append(InceptionFashion(channels, *widths, wide))
            channels = widths[0] + widths[1][1] + widths[2][1] + widths[3]
            layers += [nn.BatchNorm2d(channels)] if norm else []
        return nn.Sequential(*layers, *last)

    def normed(width):
        return [nn.BatchNorm2d(width)] if norm else []

    return [nn.Sequential(nn.Conv2d(1, 64, 7, 2, 3), *normed(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
            # No activation in this stage.
            nn.Sequential(nn.Conv2d(64, 64, 1), *normed(64), nn.Conv2d(64, 192, 3, padding=1),
                          *normed(192), nn.MaxPool2d(3, 2, 1)),
            stage(("3a", "3b"), 192, nn.MaxPool2d(3, 2, 1)),
            stage(("4a", "4b", "4c", "4d", "4e"), 480, nn.MaxPool2d(3, 2, 1)),
            stage(("5a", "5b"), 832, GAP())]


def googlenet_fashion(classes, wide="5x5", norm=False):
    return nn.Sequential(*_trunk(wide, norm), Flat(), nn.Linear(1024, classes))


def googlenet_fashion_residual(classes):
    """GoogLeNet's trunk down to 1x1, then eight residual blocks on that one pixel."""
    net, channels = nn.Sequential(*_trunk("3x3", False)), 1024
    for number, width in enumerate((1024, 512, 256, 256), 1):
        net.add_module(f"resnet_block{number}", nn.Sequential(
            Residual(channels, width, first=number > 1), Residual(width, width, first=False)))
        channels = width
    net.add_module("global_avg_pool", GAP())
    net.add_module("fc", nn.Sequential(Flat(), nn.Linear(256, classes)))
    return net
