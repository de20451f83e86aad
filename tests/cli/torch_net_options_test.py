# torchvision's options, in torchvision and here: the same state_dict and, in evaluation, the same
# logits.  Usage: torch_net_options_test.py LAMINA      (exit code 77: there is no torchvision)
# SPDX-License-Identifier: Apache-2.0
import pathlib
import subprocess
import sys
import tempfile
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tools"))

import torch_python  # noqa: E402  (finds an interpreter that has PyTorch)

torch_python.require()

import numpy  # noqa: E402
import torch  # noqa: E402

import safetensors_io  # noqa: E402

try:
    from torchvision import models
except ImportError:
    print("SKIP: no torchvision here (Debian, Ubuntu: apt install python3-torchvision).")
    sys.exit(torch_python.SKIPPED)

CLASSES = 7
# net, size, torchvision's arguments, lamina's options
CASES = (
    ("resnet50", 64, {"replace_stride_with_dilation": [False, True, True]},
     ["replace_stride_with_dilation=0,1,1"]),
    ("resnet50", 64, {"replace_stride_with_dilation": [True, False, False]},
     ["replace_stride_with_dilation=1,0,0"]),
    ("resnet50", 32, {"groups": 4, "width_per_group": 24}, ["groups=4", "width_per_group=24"]),
    ("resnet18", 32, {"zero_init_residual": True}, ["zero_init_residual=true"]),
    ("googlenet", 64, {"aux_logits": False, "transform_input": True, "init_weights": False},
     ["aux_logits=false", "transform_input=true"]),
    ("inception_v3", 96, {"aux_logits": False, "transform_input": True, "init_weights": False},
     ["aux_logits=false", "transform_input=true"]),
    ("mobilenet_v2", 32, {"width_mult": 0.35}, ["width=0.35"]),
)


def main():
    lamina = sys.argv[1]
    generator = torch.Generator().manual_seed(1)
    failures = 0
    for name, size, arguments, options in CASES:
        torch.manual_seed(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net = getattr(models, name)(num_classes=CLASSES, **arguments).double().eval()
        images = torch.randn((3, 3, size, size), generator=generator)
        with torch.no_grad():
            want = net(images.double()).numpy()
        with tempfile.TemporaryDirectory() as folder:
            path = {key: str(pathlib.Path(folder) / f"{key}.safetensors")
                    for key in ("weights", "input", "output")}
            safetensors_io.write(path["weights"], {key: value.float().numpy()
                                                   if value.is_floating_point() else value.numpy()
                                                   for key, value in net.state_dict().items()})
            safetensors_io.write(path["input"], {"input": images.numpy()})
            command = [lamina, "run", name, "--device", "cpu", "--classes", str(CLASSES),
                       "--size", str(size)]
            for key, file in path.items():
                command += [f"--{key}", file]
            for option in options:
                command += ["--net-option", option]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                print(f"FAIL {name} {options}: {done.stderr.strip()}")
                failures += 1
                continue
            got = safetensors_io.read(path["output"])[0]["output"]
        # float32 through at most 100 layers; a wrong window or channel is off by a tenth and more.
        error = numpy.linalg.norm(got - want) / numpy.linalg.norm(want)
        print(f"{'ok  ' if error < 1e-4 else 'FAIL'} {name} {' '.join(options)}: {error:.1e}")
        failures += not error < 1e-4
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
