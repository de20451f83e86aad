# The large networks on 28x28 images as PyTorch modules: each enlarges its image to size x size
# itself; see tools/torch_nets.py.
# SPDX-License-Identifier: Apache-2.0
import torch
from torch import nn


def upsample(size):
    return nn.Upsample(size=(size, size), mode="bilinear", align_corners=False)


def alexnet_map(size, padding=0):
    """Height of AlexNet's last map: an 11x11 convolution of stride 4 and three 3x3/2 pools."""
    size = (size + 2 * padding - 11) // 4 + 1
    for _ in range(3):
        size = (size - 3) // 2 + 1
    return size


def alexnet_layers(size, classes, padding):
    """AlexNet of one channel from its first convolution to its last linear layer."""
    flat = 256 * alexnet_map(size, padding) ** 2
    return [nn.Conv2d(1, 96, 11, stride=4, padding=padding), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
            nn.Linear(flat, 4096), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, classes)]


class OneSequence(nn.Module):
    """A net that is one list of layers, called `net`."""

    def __init__(self, layers):
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


def alexnet_mnist(size, classes):
    return OneSequence([upsample(size), *alexnet_layers(size, classes, padding=1)])


def alexnet_224(size, classes):
    """The same for an image that comes in at its full size."""
    return OneSequence(alexnet_layers(size, classes, padding=1))


class VggBlock(nn.Module):
    """3x3 convolutions with ReLU, then a pool that halves the map."""

    def __init__(self, count, channels_in, channels_out):
        super().__init__()
        self.net = nn.Sequential()
        for number in range(count):
            self.net.add_module(f"conv_{number}", nn.Sequential(
                nn.Conv2d(channels_out if number else channels_in, channels_out, 3, padding=1),
                nn.ReLU()))
        self.net.add_module("pool", nn.MaxPool2d(2))

    def forward(self, x):
        return self.net(x)


def vgg_mnist(counts, size, classes):
    layers, channels = [upsample(size)], 1
    for count, width in zip(counts, (64, 128, 256, 512, 512)):
        layers.append(VggBlock(count, channels, width))
        channels = width
    layers += [nn.Flatten(),
               nn.Linear(512 * (size // 32) ** 2, 4096), nn.ReLU(), nn.Dropout(0.5),
               nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, classes)]
    return OneSequence(layers)


def vgg11_mnist(size, classes):
    return vgg_mnist((1, 1, 2, 2, 2), size, classes)


def vgg19_mnist(size, classes):
    return vgg_mnist((2, 2, 4, 4, 4), size, classes)


class MobileBlock(nn.Module):
    """A depthwise 3x3 and a pointwise 1x1 convolution, each with batch norm and ReLU6."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels_in, channels_in, 3, stride, 1, groups=channels_in, bias=False),
            nn.BatchNorm2d(channels_in), nn.ReLU6(),
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out), nn.ReLU6())

    def forward(self, x):
        return self.net(x)


def mobilenet_mnist(size, classes):
    layers = [upsample(size), nn.Conv2d(1, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    channels = 32
    for width, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
                          *5 * ((512, 1),), (1024, 2), (1024, 1)):
        layers.append(MobileBlock(channels, width, stride))
        channels = width
    # Five convolutions of stride 2 with padding: size / 32, rounded up.
    layers += [nn.AvgPool2d((size + 31) // 32), nn.Flatten(), nn.Linear(1024, classes)]
    return OneSequence(layers)


class ResBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: a 1x1 convolution where the shape changes."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1), nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1), nn.BatchNorm2d(channels_out))
        self.res_conv = None
        if channels_in != channels_out:
            self.res_conv = nn.Conv2d(channels_in, channels_out, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.net(x)
        shortcut = self.res_conv(x) if self.res_conv else x
        return self.relu(y + shortcut)


def resnet18_mnist(size, classes):
    layers = [upsample(size), nn.Conv2d(1, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(),
              nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width in (64, 128, 256, 512):
        layers.append(nn.Sequential(ResBlock(channels, width, 1 if width == channels else 2),
                                    ResBlock(width, width, 1)))
        channels = width
    layers.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)))
    return OneSequence(layers)


class BasicConv2d(nn.Module):
    """A convolution with bias, then ReLU."""

    def __init__(self, channels_in, channels_out, **options):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, **options)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv(x))


class Inception(nn.Module):
    """Four branches: 1x1, 3x3, 5x5 and a pool, each narrowed by a 1x1 convolution."""

    def __init__(self, channels, one, three, five, pool):
        super().__init__()
        self.branch1 = BasicConv2d(channels, one, kernel_size=1)
        self.branch2 = nn.Sequential(BasicConv2d(channels, three[0], kernel_size=1),
                                     BasicConv2d(*three, kernel_size=3, padding=1))
        self.branch3 = nn.Sequential(BasicConv2d(channels, five[0], kernel_size=1),
                                     BasicConv2d(*five, kernel_size=5, padding=2))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1),
                                     BasicConv2d(channels, pool, kernel_size=1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


# Widths of GoogLeNet's nine blocks: 1x1, 3x3, 5x5 and pool; 3 and 4 are followed by a pool.
INCEPTION_WIDTHS = {
    "3a": (64, (96, 128), (16, 32), 32), "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64), "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64), "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128), "5b": (384, (192, 384), (48, 128), 128),
}


class GoogLeNetMnist(nn.Module):
    """GoogLeNet without batch norm and without auxiliary heads."""

    def __init__(self, size=224, classes=10):
        super().__init__()
        self.upsample = upsample(size)
        self.conv1 = BasicConv2d(1, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        channels = 192
        for name, widths in INCEPTION_WIDTHS.items():
            if name in ("4a", "5a"):
                setattr(self, f"maxpool{int(name[0]) - 1}", nn.MaxPool2d(3, 2, ceil_mode=True))
            setattr(self, f"inception{name}", Inception(channels, *widths))
            channels = widths[0] + widths[1][1] + widths[2][1] + widths[3]
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x
