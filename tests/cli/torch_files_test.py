# Weights in PyTorch's format, as a user meets them: converted, evaluated, and trained on with another
# number of classes. The files are written here, by Python alone, in the way of torch.save.
# Usage: torch_files_test.py LAMINA
# SPDX-License-Identifier: Apache-2.0
import collections
import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import types
import zipfile

LAMINA = os.path.abspath(sys.argv[1])
DATA = ["--data", "synthetic-digits", "--limit", "300"]
# A step too small to change any number: what comes out is what the run started from.
STILL = ["--epochs", "1", "--batch", "100", "--opt", "sgd", "--lr", "1e-30", "--threads", "1"]
STORAGES = {"F32": "FloatStorage", "I64": "LongStorage"}
ITEM_BYTES = {"F32": 4, "I64": 8}

Tensor = collections.namedtuple("Tensor", "dtype shape data")
failures = []


def check(good, text):
    if not good:
        failures.append(text)
        print("FAILED:", text)


def lamina(code, words, *arguments):
    """Runs the program; its exit code and some words of its output must be as expected."""
    done = subprocess.run([LAMINA, *arguments], capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    check(done.returncode == code and words in output,
          f"lamina {' '.join(arguments)}: exit {done.returncode}, expected {code} and '{words}':\n{output}")
    return done.stdout


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {name: Tensor(entry["dtype"], tuple(entry["shape"]),
                         data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]])
            for name, entry in header.items()}


def write_images(path, count):
    """'input' with this many images of different grey."""
    pixels = 28 * 28
    data = struct.pack(f"<{count * pixels}f", *(i / (count * pixels) for i in range(count * pixels)))
    header = json.dumps({"input": {"dtype": "F32", "shape": [count, 1, 28, 28],
                                   "data_offsets": [0, len(data)]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


# --- torch.save without PyTorch ---
Storage = collections.namedtuple("Storage", "dtype entry elements")
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
for type_name in STORAGES.values():
    setattr(torch, type_name, type(type_name, (), {"__module__": "torch"}))


def _rebuild_tensor_v2():
    """Named in the files and never called."""


_rebuild_tensor_v2.__module__ = "torch._utils"
utils._rebuild_tensor_v2 = _rebuild_tensor_v2


class Saved:
    """Pickled the way a tensor is."""

    def __init__(self, tensor, entry):
        elements = len(tensor.data) // ITEM_BYTES[tensor.dtype]
        strides, step = [], 1
        for extent in reversed(tensor.shape):
            strides.insert(0, step)
            step *= extent
        self.arguments = (Storage(tensor.dtype, entry, elements), 0, tensor.shape, tuple(strides),
                          False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        return ("storage", getattr(torch, STORAGES[obj.dtype]), obj.entry, "cpu", obj.elements)


def write_torch(path, tensors):
    state = collections.OrderedDict()
    for number, (name, tensor) in enumerate(tensors.items()):
        state[name] = Saved(tensor, str(number))
    text = io.BytesIO()
    Pickler(text, protocol=2).dump(state)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", text.getvalue())
        for number, tensor in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{number}", tensor.data)
        archive.writestr("archive/version", "3\n")


def with_rows(tensor, rows):
    """The tensor with this many rows, the first ones again where there are too few."""
    row = len(tensor.data) // tensor.shape[0]
    data = (tensor.data * rows)[:rows * row]
    return Tensor(tensor.dtype, (rows, *tensor.shape[1:]), data)


def main():
    lamina(0, "test accuracy", "train", "--net", "lenet_bn", *DATA, "--epochs", "1", "--out", "first")
    weights = read_safetensors("first/weights.safetensors")
    write_torch("same.pth", weights)

    # The format changes nothing, and no name decides which it is.
    lamina(0, f"{len(weights)} tensors, {sum(len(t.data) for t in weights.values())} bytes",
           "convert", "same.pth", "back.safetensors")
    check(read_safetensors("back.safetensors") == weights, "convert keeps every bit")
    lamina(0, "back.safetensors", "convert", "first/weights.safetensors", "back.safetensors")
    check(read_safetensors("back.safetensors") == weights, "convert reads safetensors too")
    listed = lamina(0, "", "convert", "same.pth", "--list").splitlines()
    check([line.split()[0] for line in listed] == list(weights), "--list names every tensor")
    check(any(line.split(None, 2) == ["fc1.weight", "f32", "[120, 400]"] for line in listed),
          f"--list gives types and shapes: {listed}")
    os.rename("same.pth", "same.safetensors")
    results = [lamina(0, "confusion", "eval", "--net", "lenet_bn", "--weights", path, *DATA, "--json")
               for path in ("first/weights.safetensors", "same.safetensors")]
    check(results[0] == results[1], "both files evaluate to the same bits")
    write_images("images.safetensors", 3)
    outputs = []
    for path in ("first/weights.safetensors", "same.safetensors"):
        lamina(0, "", "run", "lenet_bn", "--weights", path, "--input", "images.safetensors",
               "--output", "output.safetensors")
        outputs.append(read_safetensors("output.safetensors"))
    check(outputs[0] == outputs[1] and "output" in outputs[0], "and give the same outputs")

    # All of the weights, and all but the last layer.
    train = ["train", "--net", "lenet_bn", *DATA, *STILL]
    lamina(0, "test accuracy", *train, "--weights", "same.safetensors", "--out", "all")
    kept = [name for name in weights if "running" not in name and "num_batches" not in name]
    after = read_safetensors("all/weights.safetensors")
    check(all(after[name] == weights[name] for name in kept), "a run starts from all the weights")

    last = ["fc3.weight", "fc3.bias"]
    seven = dict(weights)
    for name in last:
        seven[name] = with_rows(weights[name], 7)
    write_torch("seven.pth", seven)
    lamina(0, "fc3.weight and fc3.bias are new: the file has 7 classes, the run 10",
           *train, "--weights", "seven.pth", "--out", "tuned")
    lamina(0, "test accuracy", *train, "--out", "drawn")
    after, drawn = (read_safetensors(f"{run}/weights.safetensors") for run in ("tuned", "drawn"))
    check(all(after[name] == weights[name] for name in kept if name not in last),
          "all but the last layer comes from the file")
    check(all(after[name] == drawn[name] for name in last), "the last layer is drawn from the seed")
    with open("seven.pth", "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    with open("tuned/config.json", encoding="utf-8") as file:
        config = json.load(file)
    check(config["weights"] == os.path.abspath("seven.pth") and config["weights_sha256"] == digest,
          f"the config names the file: {config}")

    # What does not fit is refused, and an older run survives it.
    wrong = dict(weights)
    wrong["fc2.bias"] = with_rows(weights["fc2.bias"], 7)
    write_torch("wrong.pth", wrong)
    lamina(1, "tensor 'fc2.bias' has shape [7]", *train, "--weights", "wrong.pth", "--out", "all",
           "--overwrite")
    check(os.path.exists("all/weights.safetensors"), "a refused file leaves the older run")
    del wrong["fc2.bias"]
    write_torch("wrong.pth", wrong)
    lamina(1, "tensors of net LeNet are missing", *train, "--weights", "wrong.pth", "--out", "none")
    lamina(1, "none.pth': No such file", *train, "--weights", "none.pth", "--out", "none")
    lamina(1, "has the SHA-256", *train, "--weights", "seven.pth", "weights_sha256=0", "--out", "none")
    lamina(2, "give --weights too", *train, "weights_sha256=0", "--out", "none")
    lamina(2, "give either the file to write", "convert", "seven.pth")
    check(not os.path.exists("none/config.json"), "a refused request leaves no run")

    # A run resumes from its own state, and reads the file only where it has none.
    os.rename("seven.pth", "away.pth")
    lamina(0, "test accuracy", "train", "--resume", "tuned")
    os.remove("tuned/state.safetensors")
    lamina(1, "seven.pth': No such file", "train", "--resume", "tuned")
    write_torch("seven.pth", weights)
    lamina(1, "the run starts from " + digest, "train", "--resume", "tuned")
    os.rename("away.pth", "seven.pth")
    lamina(0, "test accuracy", "train", "--resume", "tuned")
    check(read_safetensors("tuned/weights.safetensors") == after, "and repeats bit for bit")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main()
        os.chdir("/")
    print(f"{len(failures)} checks failed")
    sys.exit(1 if failures else 0)
