#!/usr/bin/env bash
# Runs whose loss is no longer finite: they end and say where, and a sweep goes on without them.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"

small=(--net fc2_mnist --data synthetic-digits --limit 300 --batch 50 --opt sgd --threads 1)

# At once: there is nothing to keep.
expect 1 '^lamina: fc2_mnist has diverged: the loss of step 3 is nan, in epoch 1, at the learning rate 9e+05; .*lower --lr.*--warmup.*--clip-norm.*--debug nan' \
  train "${small[@]}" --lr 9e5 --epochs 3 --out ill
check 'no weights of a run without a finite epoch' test ! -e ill/weights.safetensors -a ! -e ill/state.safetensors
check 'its log has no rows' test "$(wc -l <ill/log.csv)" -eq 1

# Later: weights that grow about ninefold with every update.
growing=("${small[@]}" --lr 10 --weight-decay 1 --epochs 40)
expect 1 'has diverged: .* in epoch [2-9],.* The checkpoint of step [0-9]*[02468] stays' train "${growing[@]}" --out late
epochs=$(($(wc -l <late/log.csv) - 1))
check 'the rows of the finite epochs stay' test "$epochs" -ge 1
check 'and have finite numbers' test "$(grep -c 'nan\|inf' late/log.csv)" -eq 0
check 'the run says what became of it' grep -q 'has diverged' late/diverged.txt
check 'the last checkpoint stays' test -s late/state.safetensors
before=$(cat late/diverged.txt)
expect 1 'has diverged' train --resume late
check 'resumed, it ends at the same step' test "$before" = "$(cat late/diverged.txt)"
expect 0 'test accuracy' train "${small[@]}" --epochs 1 --out late --overwrite
check 'a new run in its place has not diverged' test ! -e late/diverged.txt -a -s late/weights.safetensors

# A sweep counts such a run and goes on; its means are over the others.
sweep=(sweep "${small[@]}" --out sweep --epochs 2 'lr=0.1,10' 'weight_decay=0,1' 'seed=1,2')
for time in first again; do
  expect 0 '^lr=10,weight_decay=1  *2  2 of 2 diverged$' "${sweep[@]}"
  expect 0 '^lr=0.1,weight_decay=0  *2  *[0-9.]* %' "${sweep[@]}"
  check "$time: the runs that diverged are in the list" test "$(grep -c '",,,,,,1$' sweep/sweep.csv)" -eq 2
  check "$time: and the others too" test "$(grep -c ',0$' sweep/sweep.csv)" -eq 6
  check "$time: without a number that is none" test "$(grep -c 'nan\|inf' sweep/sweep.csv)" -eq 0
done
check 'no run is trained twice' test "$("$LAMINA" "${sweep[@]}" 2>&1 | grep -c 'training images')" -eq 0
finish
