#!/usr/bin/env bash
# Gets the headers of cudnn-frontend, which the CUDA backend is written against, from NVIDIA's package
# on PyPI, checked by hash, into the cache folder where third_party.cmake looks. Does nothing where
# there is no CUDA toolkit or where the headers are.
# SPDX-License-Identifier: Apache-2.0
# Usage: tools/cudnn_frontend.sh [--check]     --check: exit code 1 when they are wanted and missing
set -euo pipefail

release=1.32.0
declare -A hashes=(
  [x86_64]=c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0
  [aarch64]=15736b7f9eb12ea04bd78ebcc64ae654891ae496d8cb3788e721330ac7b07b9b)

folder=${XDG_CACHE_HOME:-$HOME/.cache}/lamina/cudnn-frontend
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
[ -n "$nvcc" ] || exit 0
home=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
for root in "$folder" "${CUDNN_FRONTEND_ROOT:-$folder}" "$home" /usr/local /usr; do
  if [ -e "$root/include/cudnn_frontend.h" ]; then exit 0; fi
done
if [ "${1:-}" = --check ]; then
  echo "cudnn_frontend: the headers of cudnn-frontend are missing; the CUDA backend needs them."
  exit 1
fi

machine=$(uname -m)
hash=${hashes[$machine]:-}
if [ -z "$hash" ]; then
  echo "cudnn_frontend: no package for $machine is known; put the headers below $folder/include."
  exit 0
fi
for python in python3 /usr/bin/python3; do
  if "$python" -m pip --version >/dev/null 2>&1; then break; fi
  python=
done
if [ -z "$python" ]; then
  echo "cudnn_frontend: no python3 with pip; install python3-pip to build the CUDA backend."
  exit 0
fi
echo "cudnn_frontend: fetching the headers of nvidia-cudnn-frontend $release (PyPI) into $folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "nvidia-cudnn-frontend==$release --hash=sha256:$hash" >"$work/requirements.txt"
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
  --python-version 3.11 --implementation cp --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" \
  --require-hashes -r "$work/requirements.txt" -d "$work" </dev/null; then
  echo "cudnn_frontend: the package could not be fetched; the build goes on without the CUDA backend."
  exit 0
fi
"$python" -m zipfile -e "$work"/*.whl "$work/unpacked"
mkdir -p "$folder"
cp -R "$work/unpacked/include" "$folder/"
