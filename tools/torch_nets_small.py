# The networks for 28x28 and 32x32 images as PyTorch modules; see tools/torch_nets.py.
# SPDX-License-Identifier: Apache-2.0
import torch
from torch import nn
from torch.nn import functional as F


class LeNetBn(nn.Module):
    """LeNet with batch norm, ReLU, max pooling and dropout; 28x28 is enlarged to 32x32 inside."""

    def __init__(self, classes=10):
        super().__init__()

        def block(channels_in, channels_out):
            return nn.Sequential(nn.Conv2d(channels_in, channels_out, 5),
                                 nn.BatchNorm2d(channels_out), nn.ReLU(), nn.MaxPool2d(2))

        self.conv1 = block(1, 6)
        self.conv2 = block(6, 16)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.relu1 = nn.ReLU()
        self.drop1 = nn.Dropout(0.5)
        self.fc2 = nn.Linear(120, 84)
        self.relu2 = nn.ReLU()
        self.drop2 = nn.Dropout(0.5)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = F.interpolate(x, size=32, mode="bilinear", align_corners=False)
        x = torch.flatten(self.conv2(self.conv1(x)), 1)
        x = self.drop1(self.relu1(self.fc1(x)))
        x = self.drop2(self.relu2(self.fc2(x)))
        return self.fc3(x)


class LeNet5(nn.Module):
    """LeNet-5 with tanh and average pooling; its third stage is a 5x5 convolution to 1x1."""

    def __init__(self, classes=10):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(),
            nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, classes))

    def forward(self, x):
        return self.net(x)


class LeNetFashion(nn.Module):
    """LeNet with sigmoid and max pooling, on the 28x28 image as it is."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.Sigmoid(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.MaxPool2d(2))
        self.fc = nn.Sequential(nn.Linear(16 * 4 * 4, 120), nn.Sigmoid(),
                                nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, classes))

    def forward(self, x):
        return self.fc(torch.flatten(self.conv(x), 1))


class Fc2Mnist(nn.Module):
    """Two hidden layers of eight units; returns log-probabilities."""

    def __init__(self, classes=10):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(),
                                     nn.Linear(8, classes), nn.LogSoftmax(dim=1))

    def forward(self, x):
        return self.network(torch.flatten(x, 1))


class CnnMnist(nn.Module):
    """Two convolutions of six maps, as many parameters as Fc2Mnist; returns log-probabilities."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 6, 5)
        self.fc1 = nn.Linear(6 * 4 * 4, 50)
        self.fc2 = nn.Linear(50, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(x), dim=1)


class NetCifar10(nn.Module):
    """LeNet's shape with ReLU and max pooling, on 32x32 colour images."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class VggCifar10(nn.Module):
    """Eight convolutions of VGG with batch norm, halved to 1x1, and one linear layer."""

    def __init__(self, classes=10):
        super().__init__()
        layers, channels = [], 3
        for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512,
                      "pool"):
            if width == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width),
                           nn.ReLU()]
                channels = width
        layers.append(nn.AvgPool2d(1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(512, classes)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


class InceptionMini(nn.Module):
    """Four branches without activations, 16 + 24 + 24 + 24 = 88 maps."""

    def __init__(self, channels):
        super().__init__()
        self.branch1 = nn.Conv2d(channels, 16, 1)
        self.branch2 = nn.Sequential(nn.Conv2d(channels, 16, 1), nn.Conv2d(16, 24, 3, padding=1),
                                     nn.Conv2d(24, 24, 3, padding=1))
        self.branch3 = nn.Sequential(nn.Conv2d(channels, 16, 1), nn.Conv2d(16, 24, 5, padding=2))
        self.branch4 = nn.Conv2d(channels, 24, 1)

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class ResidualMini(nn.Module):
    """x + conv(relu(conv(x))), then ReLU."""

    def __init__(self, channels):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
                                 nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x):
        return F.relu(x + self.net(x))


class Mini(nn.Module):
    """Two 5x5 convolutions, each pooled and followed by one block, and a linear layer."""

    def __init__(self, block, widths, flat, classes=10):
        super().__init__()
        (first, after_first), (second, _) = widths
        self.net = nn.Sequential(
            nn.Conv2d(1, first, 5), nn.ReLU(), nn.MaxPool2d(2), block(first),
            nn.Conv2d(after_first, second, 5), nn.ReLU(), nn.MaxPool2d(2), block(second),
            nn.Flatten(), nn.Linear(flat, classes))

    def forward(self, x):
        return self.net(x)


def googlenet_mini(classes):
    return Mini(InceptionMini, ((10, 88), (20, 88)), 88 * 4 * 4, classes)


def resnet_mini(classes):
    return Mini(ResidualMini, ((16, 16), (32, 32)), 32 * 4 * 4, classes)
