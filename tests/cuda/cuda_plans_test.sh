#!/bin/sh
# Every convolution of the nets here has a plan on the cards we care about; a card that cannot do
# bf16 is told apart from one that can.
#   cuda_plans_test.sh CUDA_PLANS DEVICES     (the program, the folder of device descriptions)
# SPDX-License-Identifier: Apache-2.0
set -eu
plans=$1
devices=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

"$plans" --device "$devices/h100.json" --device "$devices/a100.json" \
  lenet_bn lenet5 lenet_fashion fc2_mnist cnn_mnist >"$out/cards"
tail -1 "$out/cards"
grep -q '^138 plans for 54 layers, 0 layers without,' "$out/cards"
grep -q "^h100 *cnn_mnist .* bf16 *forward+bias+relu eng" "$out/cards"

sed 's/"deviceVer":800/"deviceVer":750/' "$devices/a100.json" >"$out/turing.json"
status=0
"$plans" --device "$out/turing.json" --dtype f32,bf16 lenet_bn >"$out/turing" || status=$?
[ "$status" -eq 1 ] || { echo "a card without bf16: exit code $status, not 1"; exit 1; }
grep -q "^turing *lenet_bn .* f32 *backward_data eng" "$out/turing"
grep -q '^5 plans for 4 layers, 2 layers without,' "$out/turing"
# Without a GPU there is nothing to describe, and cuDNN's refusal is passed on.
if ! nvidia-smi >/dev/null 2>&1; then
  status=0
  "$plans" --this-device 2>"$out/none" || status=$?
  [ "$status" -eq 2 ] || { echo "--this-device without a GPU: exit code $status, not 2"; exit 1; }
  grep -q 'cuDNN' "$out/none"
fi
echo "cuda_plans: all as expected"
