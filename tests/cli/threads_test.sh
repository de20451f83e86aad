#!/usr/bin/env bash
# Training on the CPU ends with the same weights and losses, bit for bit, whatever the number of threads.
# SPDX-License-Identifier: Apache-2.0
# Usage: threads_test.sh LAMINA
source "$(dirname "$0")/lib.sh"

# Plain, batch-normalised and depthwise convolutions; batches that no number of threads divides evenly.
while read -r net limit batch; do
  for threads in 1 2 3; do
    expect 0 '' train --net "$net" --data synthetic-digits --limit "$limit" --val-split 0.2 --epochs 1 \
      --batch "$batch" --device cpu --threads $threads --out "$net-$threads"
  done
  for threads in 2 3; do
    check "$net: $threads threads give the weights of one" \
      cmp -s "$net-$threads/weights.safetensors" "$net-1/weights.safetensors"
    check "$net: $threads threads give the losses of one" \
      cmp -s <(cut -d, -f1-7 "$net-$threads/log.csv") <(cut -d, -f1-7 "$net-1/log.csv")
  done
done <<'NETS'
lenet_bn 500 50
resnet_mini 320 32
googlenet_mini 200 25
mobilenet_mnist 20 4
NETS
finish
