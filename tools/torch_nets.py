# The networks of the engine as PyTorch modules, the other side of every comparison with PyTorch.
#
# Each module has the state_dict names, shapes and order of the engine's net of the same id, so that
# weights go both ways. `build(id)` makes the module, `loss_of(id)` its loss.
# SPDX-License-Identifier: Apache-2.0
import torch
from torch import nn
from torch.nn import functional as F


class LeNetBn(nn.Module):
    """LeNet with batch norm, ReLU, max pooling and dropout; 28x28 is enlarged to 32x32 inside."""

    def __init__(self, dropout=0.5):
        super().__init__()

        def block(channels_in, channels_out):
            return nn.Sequential(nn.Conv2d(channels_in, channels_out, 5),
                                 nn.BatchNorm2d(channels_out), nn.ReLU(), nn.MaxPool2d(2))

        self.conv1 = block(1, 6)
        self.conv2 = block(6, 16)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.relu1 = nn.ReLU()
        self.drop1 = nn.Dropout(dropout)
        self.fc2 = nn.Linear(120, 84)
        self.relu2 = nn.ReLU()
        self.drop2 = nn.Dropout(dropout)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.interpolate(x, size=32, mode="bilinear", align_corners=False)
        x = torch.flatten(self.conv2(self.conv1(x)), 1)
        x = self.drop1(self.relu1(self.fc1(x)))
        x = self.drop2(self.relu2(self.fc2(x)))
        return self.fc3(x)


class LeNet5(nn.Module):
    """LeNet-5 with tanh and average pooling; its third stage is a 5x5 convolution to 1x1."""

    def __init__(self, dropout=0.5):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(),
            nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))

    def forward(self, x):
        return self.net(x)


class LeNetFashion(nn.Module):
    """LeNet with sigmoid and max pooling, on the 28x28 image as it is."""

    def __init__(self, dropout=0.5):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.Sigmoid(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.MaxPool2d(2))
        self.fc = nn.Sequential(nn.Linear(16 * 4 * 4, 120), nn.Sigmoid(),
                                nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))

    def forward(self, x):
        return self.fc(torch.flatten(self.conv(x), 1))


class Fc2Mnist(nn.Module):
    """Two hidden layers of eight units; returns log-probabilities."""

    def __init__(self, dropout=0.5):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(),
                                     nn.Linear(8, 10), nn.LogSoftmax(dim=1))

    def forward(self, x):
        return self.network(torch.flatten(x, 1))


class CnnMnist(nn.Module):
    """Two convolutions of six maps, as many parameters as Fc2Mnist; returns log-probabilities."""

    def __init__(self, dropout=0.5):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 6, 5)
        self.fc1 = nn.Linear(6 * 4 * 4, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(x), dim=1)


_NETS = {
    "lenet_bn": LeNetBn,
    "lenet5": LeNet5,
    "lenet_fashion": LeNetFashion,
    "fc2_mnist": Fc2Mnist,
    "cnn_mnist": CnnMnist,
}
_LOG_PROBABILITIES = {"fc2_mnist", "cnn_mnist"}

NAMES = tuple(_NETS)


def build(name, dropout=0.5):
    """The module of a net; `dropout` replaces the probability of every dropout in it."""
    if name not in _NETS:
        raise SystemExit(f"no PyTorch module for the net '{name}'; use one of {', '.join(NAMES)}.")
    return _NETS[name](dropout=dropout)


def loss_of(name):
    """The loss the net is trained with: a function of (output, labels), mean over the batch."""
    return F.nll_loss if name in _LOG_PROBABILITIES else F.cross_entropy


def input_shape(name):
    """Channels, height and width of one input image."""
    return (1, 28, 28)
