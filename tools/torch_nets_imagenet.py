# The networks for ImageNet as PyTorch modules. torchvision's are its own; ZFNet and the residual
# Inception are written down here. See tools/torch_nets.py.
# SPDX-License-Identifier: Apache-2.0
import torch
from torch import nn
from torch.nn import functional as F


def torchvision_net(name, classes):
    """torchvision's own module, in the form without pretrained weights."""
    try:
        import torchvision  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        raise SystemExit(f"the net '{name}' is torchvision's, and this Python has none; install it "
                         "(Debian, Ubuntu: apt install python3-torchvision).") from error
    options = {"num_classes": classes}
    if name in ("googlenet", "inception_v3"):
        # The weights are replaced anyway, and drawing them takes most of the time.
        options.update(aux_logits=True, transform_input=False, init_weights=False)
    return getattr(torchvision.models, name)(weights=None, **options)


class ZfNet(nn.Module):
    """AlexNet with a finer first convolution and wider third, fourth and fifth ones."""

    def __init__(self, size=224, classes=1000):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 7, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(96, 256, 5, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(256, 512, 3, 1, 1), nn.ReLU(), nn.Conv2d(512, 512, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(512, 1024, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2))
        with torch.no_grad():
            side = size
            for layer in self.features:
                if not isinstance(layer, nn.ReLU):
                    kernel, stride, padding = (
                        value[0] if isinstance(value, tuple) else value
                        for value in (layer.kernel_size, layer.stride, layer.padding))
                    side = (side + 2 * padding - kernel) // stride + 1
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(1024 * side * side, 4096), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, classes))

    def forward(self, x):
        return self.classifier(self.flatten(self.features(x)))


class BasicConv2d(nn.Module):
    """A convolution without bias, batch norm and ReLU."""

    def __init__(self, channels_in, channels_out, kernel_size, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel_size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels_out, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


def chain(*convolutions):
    """One convolution is itself, several are a Sequential."""
    layers = [BasicConv2d(*arguments) for arguments in convolutions]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


class Branches(nn.Module):
    """branch0, branch1, ... over the same input, joined along the channels."""

    def __init__(self, *branches):
        super().__init__()
        for number, branch in enumerate(branches):
            setattr(self, f"branch{number}", branch)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.children()], 1)


class ResidualInception(nn.Module):
    """x + scale * (a 1x1 convolution over the joined branches), then perhaps ReLU."""

    def __init__(self, channels, width, scale, *branches, activate=True):
        super().__init__()
        self.scale, self.branches = scale, len(branches)
        for number, branch in enumerate(branches):
            setattr(self, f"branch{number}", branch)
        self.conv2d = nn.Conv2d(width, channels, 1)
        self.relu = nn.ReLU() if activate else None

    def forward(self, x):
        joined = torch.cat([getattr(self, f"branch{n}")(x) for n in range(self.branches)], 1)
        y = x + self.scale * self.conv2d(joined)
        return self.relu(y) if self.relu else y


def block35(scale=0.17):
    return ResidualInception(320, 128, scale, chain((320, 32, 1)),
                             chain((320, 32, 1), (32, 32, 3, 1, 1)),
                             chain((320, 32, 1), (32, 48, 3, 1, 1), (48, 64, 3, 1, 1)))


def block17(scale=0.10):
    return ResidualInception(1088, 384, scale, chain((1088, 192, 1)),
                             chain((1088, 128, 1), (128, 160, (1, 7), 1, (0, 3)),
                                   (160, 192, (7, 1), 1, (3, 0))))


def block8(scale=0.20, activate=True):
    return ResidualInception(2080, 448, scale, chain((2080, 192, 1)),
                             chain((2080, 192, 1), (192, 224, (1, 3), 1, (0, 1)),
                                   (224, 256, (3, 1), 1, (1, 0))), activate=activate)


class InceptionResNetV2(nn.Module):
    """Inception-ResNet-v2 (Szegedy et al. 2016): Inception blocks that add to their input."""

    def __init__(self, classes=1000):
        super().__init__()
        self.conv2d_1a = BasicConv2d(3, 32, 3, 2)
        self.conv2d_2a = BasicConv2d(32, 32, 3)
        self.conv2d_2b = BasicConv2d(32, 64, 3, 1, 1)
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = BasicConv2d(64, 80, 1)
        self.conv2d_4a = BasicConv2d(80, 192, 3)
        self.maxpool_5a = nn.MaxPool2d(3, 2)
        self.mixed_5b = Branches(
            chain((192, 96, 1)), chain((192, 48, 1), (48, 64, 5, 1, 2)),
            chain((192, 64, 1), (64, 96, 3, 1, 1), (96, 96, 3, 1, 1)),
            nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), BasicConv2d(192, 64, 1)))
        self.repeat = nn.Sequential(*(block35() for _ in range(10)))
        self.mixed_6a = Branches(
            chain((320, 384, 3, 2)), chain((320, 256, 1), (256, 256, 3, 1, 1), (256, 384, 3, 2)),
            nn.MaxPool2d(3, 2))
        self.repeat_1 = nn.Sequential(*(block17() for _ in range(20)))
        self.mixed_7a = Branches(
            chain((1088, 256, 1), (256, 384, 3, 2)), chain((1088, 256, 1), (256, 288, 3, 2)),
            chain((1088, 256, 1), (256, 288, 3, 1, 1), (288, 320, 3, 2)), nn.MaxPool2d(3, 2))
        self.repeat_2 = nn.Sequential(*(block8() for _ in range(9)))
        self.block8 = block8(scale=1.0, activate=False)
        self.conv2d_7b = BasicConv2d(2080, 1536, 1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classif = nn.Linear(1536, classes)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


class CifarBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut without parameters: where the shape changes it takes
    every second pixel, and zeros for the new channels, half of them before and half behind."""

    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.stride = 1 if channels_in == channels_out else 2
        self.new_channels = channels_out - channels_in
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            front = self.new_channels // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, front, self.new_channels - front))
        return F.relu(y + x)


class CifarResNet(nn.Module):
    """The residual nets for CIFAR-10 of He et al. 2015, section 4.2: 6 * blocks + 2 layers."""

    def __init__(self, depth, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for number, width in enumerate((16, 32, 64), 1):
            layers = []
            for _ in range((depth - 2) // 6):
                layers.append(CifarBlock(channels, width))
                channels = width
            setattr(self, f"layer{number}", nn.Sequential(*layers))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))
