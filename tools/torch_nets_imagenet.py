# The networks for ImageNet as PyTorch modules. torchvision's are its own; ZFNet, Inception-ResNet
# and the residual nets for CIFAR-10 are written down here. See tools/torch_nets.py.
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
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels_in, channels_out, kernel=1, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels_out, eps=1e-3)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


def _same(channels, *kernel):
    """Arguments of a BasicConv2d that keeps the size of the map."""
    return channels, kernel, 1, tuple(extent // 2 for extent in kernel)


def _row_of(channels, *convs):
    """BasicConv2ds behind one another, each (channels out, kernel, stride, padding) or the channels
    out of a 1x1; one alone stands for itself."""
    layers = []
    for conv in convs:
        conv = conv if isinstance(conv, tuple) else (conv,)
        layers.append(BasicConv2d(channels, *conv))
        channels = conv[0]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


class Branches(nn.Module):
    """branch0, branch1, ... of one input, their channels side by side."""

    def __init__(self, *branches):
        super().__init__()
        self.count = len(branches)
        for number, branch in enumerate(branches):
            setattr(self, f"branch{number}", branch)

    def forward(self, x):
        return torch.cat([getattr(self, f"branch{i}")(x) for i in range(self.count)], 1)


class InceptionResidual(Branches):
    """x plus a share of what the branches make of it, brought back to the channels of x."""

    def __init__(self, channels, scale, branches, relu=True):
        super().__init__(*(_row_of(channels, *convs) for convs in branches))
        self.scale = scale
        joined = sum(convs[-1][0] if isinstance(convs[-1], tuple) else convs[-1]
                     for convs in branches)
        self.conv2d = nn.Conv2d(joined, channels, 1)
        self.relu = nn.ReLU() if relu else None

    def forward(self, x):
        y = x + self.scale * self.conv2d(super().forward(x))
        return y if self.relu is None else self.relu(y)


class InceptionResNetV2(nn.Module):
    """Inception-ResNet-v2 of Szegedy et al. 2016 under the names that timm gives its parts."""

    def __init__(self, classes=1000):
        super().__init__()
        halving = (3, 2)
        self.conv2d_1a = BasicConv2d(3, 32, *halving)
        self.conv2d_2a = BasicConv2d(32, 32, 3)
        self.conv2d_2b = BasicConv2d(32, *_same(64, 3, 3))
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = BasicConv2d(64, 80)
        self.conv2d_4a = BasicConv2d(80, 192, 3)
        self.maxpool_5a = nn.MaxPool2d(3, 2)
        self.mixed_5b = Branches(
            _row_of(192, 96), _row_of(192, 48, _same(64, 5, 5)),
            _row_of(192, 64, _same(96, 3, 3), _same(96, 3, 3)),
            nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), BasicConv2d(192, 64)))
        self.repeat = nn.Sequential(*(InceptionResidual(320, 0.17, (
            (32,), (32, _same(32, 3, 3)), (32, _same(48, 3, 3), _same(64, 3, 3))))
            for _ in range(10)))
        self.mixed_6a = Branches(
            _row_of(320, (384, *halving)), _row_of(320, 256, _same(256, 3, 3), (384, *halving)),
            nn.MaxPool2d(3, 2))
        self.repeat_1 = nn.Sequential(*(InceptionResidual(1088, 0.1, (
            (192,), (128, _same(160, 1, 7), _same(192, 7, 1)))) for _ in range(20)))
        self.mixed_7a = Branches(
            _row_of(1088, 256, (384, *halving)), _row_of(1088, 256, (288, *halving)),
            _row_of(1088, 256, _same(288, 3, 3), (320, *halving)), nn.MaxPool2d(3, 2))
        last = ((192,), (192, _same(224, 1, 3), _same(256, 3, 1)))
        self.repeat_2 = nn.Sequential(*(InceptionResidual(2080, 0.2, last) for _ in range(9)))
        self.block8 = InceptionResidual(2080, 1.0, last, relu=False)
        self.conv2d_7b = BasicConv2d(2080, 1536)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.head_drop = nn.Dropout(0.2)
        self.classif = nn.Linear(1536, classes)

    def forward(self, x):
        x = self.maxpool_3a(self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x))))
        x = self.maxpool_5a(self.conv2d_4a(self.conv2d_3b(x)))
        x = self.repeat(self.mixed_5b(x))
        x = self.repeat_1(self.mixed_6a(x))
        x = self.block8(self.repeat_2(self.mixed_7a(x)))
        x = torch.flatten(self.global_pool(self.conv2d_7b(x)), 1)
        return self.classif(self.head_drop(x))


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
