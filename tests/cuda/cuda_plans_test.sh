#!/bin/sh
# What cuda_plans prints, of a few nets in every type; a card that cannot do bf16 is told apart from
# one that can. CMake's test cuda_plans_every_net asks for the rest.
#   cuda_plans_test.sh CUDA_PLANS DEVICES     (the program, the folder of device descriptions)
# SPDX-License-Identifier: Apache-2.0
set -eu
plans=$1
devices=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

"$plans" --device "$devices/h100.json" --device "$devices/a100.json" \
  --nets lenet_bn,lenet5,lenet_fashion,fc2_mnist,cnn_mnist >"$out/cards"
tail -1 "$out/cards"
grep -q '^138 plans for 9 layers of 5 nets, on 2 cards in f32, bf16, f16; 0 without,' "$out/cards"
grep -q "^  h100 bf16 forward+bias+relu eng" "$out/cards"

# Layers alike are asked for once; depthwise ones run on our own kernels, cuDNN's stand behind them.
"$plans" --device "$devices/a100.json" --dtype bf16 --nets mobilenet_v2 >"$out/depthwise"
grep -q "^\[64, 384, 14, 14\] 64 filters 1x1: mobilenet_v2 features.8.conv.2 and 2 more" "$out/depthwise"
grep -q "^  a100 bf16 depthwise 3x3; else forward eng.*; dw eng" "$out/depthwise"

sed 's/"deviceVer":800/"deviceVer":750/' "$devices/a100.json" >"$out/turing.json"
status=0
"$plans" --device "$out/turing.json" --dtype f32,bf16 --nets lenet_bn >"$out/turing" || status=$?
[ "$status" -eq 1 ] || { echo "a card without bf16: exit code $status, not 1"; exit 1; }
grep -q "^  turing f32 forward+bias eng.*; dx eng" "$out/turing"
grep -q "^  turing bf16 FAILED: .*no engine for forward" "$out/turing"
grep -q '^5 plans for 2 layers of 1 nets, .*; 2 without,' "$out/turing"
# Without a GPU there is nothing to describe, and cuDNN's refusal is passed on.
if ! nvidia-smi >/dev/null 2>&1; then
  status=0
  "$plans" --this-device 2>"$out/none" || status=$?
  [ "$status" -eq 2 ] || { echo "--this-device without a GPU: exit code $status, not 2"; exit 1; }
  grep -q 'cuDNN' "$out/none"
fi
echo "cuda_plans: all as expected"
