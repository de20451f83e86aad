# The images of Lamina's data sets as arrays, and a net's training on them in PyTorch, for the
# scripts and tests that hold trained nets of both programs together.
# SPDX-License-Identifier: Apache-2.0
import gzip
import pathlib
import pickle
import subprocess
import sys

import numpy
import torch

import torch_python

_IDX = {"train": "train", "test": "t10k"}
_CIFAR = {"train": [f"data_batch_{part}" for part in range(1, 6)], "test": ["test_batch"]}


def locate(lamina, name):
    """The folder in which lamina finds a data set; None where it is not on this machine."""
    done = subprocess.run([lamina, "data", "check", name], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        return None
    line = done.stdout.splitlines()[1]
    return pathlib.Path(line[:line.index(", images of")])


def _bytes_of(folder, name):
    path = folder / name
    if path.exists():
        return path.read_bytes()
    return gzip.decompress((folder / f"{name}.gz").read_bytes())


def _cifar_part(folder, name):
    """Rows of a label and 3072 pixels, of the binary files or of those for Python."""
    if (folder / f"{name}.bin").exists():
        rows = numpy.frombuffer((folder / f"{name}.bin").read_bytes(), numpy.uint8)
        return rows.reshape(-1, 3073)
    with open(folder / name, "rb") as file:
        part = pickle.load(file, encoding="bytes")
    labels = numpy.array(part[b"labels"], numpy.uint8)[:, None]
    return numpy.concatenate([labels, part[b"data"]], axis=1)


def read(lamina, name, count, part="train"):
    """The first images of a part, uint8 [N, C, H, W], and their labels; exits with 77 where the
    data set is not on this machine."""
    folder = locate(lamina, name)
    if folder is None:
        print(f"SKIP: {name} is not on this machine; get it with: lamina data get {name}")
        sys.exit(torch_python.SKIPPED)
    if name == "cifar-10":
        rows = numpy.concatenate([_cifar_part(folder, file) for file in _CIFAR[part]])[:count]
        return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].astype(numpy.int64)
    images = numpy.frombuffer(_bytes_of(folder, f"{_IDX[part]}-images-idx3-ubyte"), numpy.uint8,
                              offset=16)
    labels = numpy.frombuffer(_bytes_of(folder, f"{_IDX[part]}-labels-idx1-ubyte"), numpy.uint8,
                              offset=8)
    return images.reshape(-1, 1, 28, 28)[:count], labels[:count].astype(numpy.int64)


def prepared(images, mean, stddev, scale=1 / 255, dtype=torch.float32):
    """What reaches the net: (pixel * scale - mean) / stddev, a number a channel or one for all."""
    mean, stddev = (torch.tensor(values, dtype=dtype).reshape(-1, 1, 1)
                    for values in (mean, stddev))
    return (torch.tensor(images).to(dtype) * scale - mean) / stddev


def train(net, loss_of, optimizer, batches, seen=None):
    """A step for each (images, labels) of `batches`; `seen` is told its output and labels."""
    net.train()
    for images, labels in batches:
        output = net(images)
        loss = loss_of(output, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if seen is not None:
            seen(output, labels)
