#!/usr/bin/env bash
# From a bare machine to a trained network: packages, build, images, lenet_bn, report.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools/compiler.sh
source tools/compiler.sh

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
  cat <<'TEXT'
usage: tools/quickstart.sh [option of lamina train]...
Trains lenet_bn on MNIST (or what images there are) and leaves runs/quickstart/report.html.
Options go to `lamina train`, such as --epochs 2 or --seed 7.
TEXT
  exit 0
fi

out=runs/quickstart
lamina=build/release/bin/lamina

step() {
  printf '\n[%s/4] %s\n' "$1" "$2"
}

step 1 "Packages"
tools/bootstrap.sh
choose_compiler

step 2 "Build"
log=build/release/build.log
mkdir -p build/release
if ! { cmake --preset release && cmake --build --preset release --target lamina_cli; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "quickstart: the build failed; all of its output is in $log" >&2
  exit 1
fi
echo "$lamina is built."

step 3 "Images"
# found NAME: the files are on this machine and whole.
found() {
  "$lamina" data check "$1" >build/release/data.log 2>&1
}
if found mnist; then
  data=mnist
  echo "MNIST, found on this machine."
elif echo "MNIST is not on this machine; downloading it." &&
  timeout 120 "$lamina" data get mnist </dev/null && found mnist; then
  data=mnist
elif echo "MNIST cannot be had here; looking for Fashion-MNIST, from the package of Debian." &&
  { found fashion-mnist || { tools/bootstrap.sh --with-fashion && found fashion-mnist; }; }; then
  data=fashion-mnist
else
  data=synthetic-digits
  echo "Neither can be had here. Training on digits that Lamina draws itself."
fi
echo "Data set: $data"

step 4 "Training lenet_bn"
"$lamina" train --recipe mnist-000/lenet_bn --data "$data" --out "$out" --overwrite "$@"

echo
echo "Open the report: $PWD/$out/report.html"
echo "More: $lamina nets; $lamina recipes; $lamina train --help"
