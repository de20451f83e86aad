# Finds a Python that has PyTorch: the scripts that need it call require() before `import torch`.
#
# PyTorch often belongs to another interpreter than the first `python3` on the PATH (a
# distribution's package serves only the system's); then the script starts again with that one.
# SPDX-License-Identifier: Apache-2.0
import importlib.util
import os
import shutil
import subprocess
import sys

SKIPPED = 77  # what CTest is told to count as skipped
_CANDIDATES = ("python3", "/usr/bin/python3", "python")


def require():
    """Returns when this interpreter has PyTorch, else continues in one that has; none: exits 77."""
    if _has_torch():
        return
    for candidate in _CANDIDATES:
        path = shutil.which(candidate)
        if path and _imports(path):
            os.execv(path, [path, *sys.argv])
    print("SKIP: no python3 here can import torch and numpy; "
          "install them (Debian, Ubuntu: apt install python3-torch) to compare with PyTorch.")
    sys.exit(SKIPPED)


def _imports(python):
    done = subprocess.run([python, "-c", "import numpy, torch"], capture_output=True, check=False)
    return done.returncode == 0


def _has_torch():
    return all(importlib.util.find_spec(name) for name in ("numpy", "torch"))
