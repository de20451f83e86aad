# Files that the PyTorch of this machine writes here and now, converted and compared bit for bit.
# Usage: torch_live_test.py LAMINA      (exit code 77: there is no PyTorch)
# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tools"))

import torch_python  # noqa: E402  (finds an interpreter that has PyTorch)

torch_python.require()

import torch  # noqa: E402

import torch_nets  # noqa: E402

SEED = 1
DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16",
          torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8"}


def random_tensor(draw):
    """A view with random extents, strides and offset of a storage of random bits."""
    dtype = draw.choice(list(DTYPES))
    shape = [draw.choice([0, 1, 1, 2, 3, 5, 8]) for _ in range(draw.randrange(5))]
    whole = [extent + draw.randrange(3) for extent in shape]
    values = torch.randint(0, 256, (*whole, 8), dtype=torch.uint8).view(dtype)[..., 0]
    view = values if draw.random() < 0.3 else values.clone()
    for dim, extent in enumerate(shape):
        view = view.narrow(dim, draw.randrange(whole[dim] - extent + 1), extent)
    return view.permute(draw.sample(range(len(shape)), len(shape)))


def random_state(draw):
    state = {}
    for number in range(draw.randrange(1, 12)):
        tensor = random_tensor(draw)
        if tensor.is_floating_point() and draw.random() < 0.3:
            tensor = torch.nn.Parameter(tensor, requires_grad=draw.random() < 0.5)
        state[f"layer{number}.é"] = tensor
        if draw.random() < 0.3:
            state[f"tied{number}"] = tensor
    return state


def bits(tensor):
    dense = torch.empty(tensor.numel(), dtype=tensor.dtype)
    dense.copy_(tensor.detach().reshape(-1))
    return dense.view(torch.uint8).numpy().tobytes()


def converted(lamina, source):
    """{name: (dtype, shape, bytes)} of the file that lamina makes of `source`."""
    target = source + ".safetensors"
    subprocess.run([lamina, "convert", source, target], check=True, stdout=subprocess.DEVNULL)
    with open(target, "rb") as file:
        data = file.read()
    start = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {name: (e["dtype"], e["shape"],
                   data[start + e["data_offsets"][0]:start + e["data_offsets"][1]])
            for name, e in header.items()}


def main():
    lamina = os.path.abspath(sys.argv[1])
    draw = random.Random(SEED)
    torch.manual_seed(SEED)
    states = [torch_nets.build(name).state_dict() for name in torch_nets.NAMES]
    states += [random_state(draw) for _ in range(60)]
    failures, tensors = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for number, state in enumerate(states):
            path = os.path.join(folder, f"{number}.pth")
            torch.save({"epoch": number, "model": state} if number % 3 == 2 else state, path)
            found = converted(lamina, path)
            expected = {name: (DTYPES[value.dtype], list(value.shape), bits(value))
                        for name, value in state.items()}
            tensors += len(expected)
            for name in sorted(set(expected) | set(found)):
                if expected.get(name) != found.get(name):
                    failures += 1
                    print(f"FAILED: file {number}, tensor {name}: "
                          f"{expected.get(name, 'none')} became {found.get(name, 'none')}"[:300])
    print(f"seed {SEED}: {len(states)} files of PyTorch {torch.__version__}, {tensors} tensors, "
          f"{failures} of them differ")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
