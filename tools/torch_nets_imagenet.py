# The networks for ImageNet as PyTorch modules. torchvision's are its own; ZFNet and the residual
# nets for CIFAR-10 are written down here. See tools/torch_nets.py.
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
