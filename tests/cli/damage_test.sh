#!/usr/bin/env bash
# Damaged files, missing files, folders that cannot be written, a full disk: one sentence that names the
# thing, exit code 1 (2 where the request itself is wrong), nothing half-written.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"

small=(--net fc2_mnist --data synthetic-digits --limit 300 --epochs 1 --batch 50)
expect 0 'test accuracy' train "${small[@]}" --out run
good=run/weights.safetensors
eval_with() { expect 1 "$2" eval --net fc2_mnist --weights "$1" --data synthetic-digits --limit 100; }

# Weights.
eval_with missing.safetensors 'missing.safetensors'
head -c 5 "$good" >short.safetensors
eval_with short.safetensors 'short.safetensors'
head -c 3000 "$good" >cut.safetensors
eval_with cut.safetensors 'cut.safetensors'
printf '\377\377\377\377\377\377\377\177{}' >huge.safetensors
eval_with huge.safetensors 'huge.safetensors'
printf '\010\000\000\000\000\000\000\000not json' >text.safetensors
eval_with text.safetensors 'text.safetensors'
expect 1 'conv1.weight' eval --net cnn_mnist --weights "$good" --data synthetic-digits --limit 100
: >empty.safetensors
eval_with empty.safetensors 'empty.safetensors'

# A run whose state or settings were damaged.
cp -r run broken
head -c 2000 run/state.safetensors >broken/state.safetensors
expect 1 'state.safetensors' train --resume broken
cp run/state.safetensors broken/
echo '{"lr": ' >broken/config.json
expect 1 'config.json' train --resume broken

# Data folders.
mkdir idx
expect 1 'idx' train --net fc2_mnist --data ./idx
printf 'hello' >idx/train-images-idx3-ubyte
printf 'hello' >idx/train-labels-idx1-ubyte
printf 'hello' >idx/t10k-images-idx3-ubyte
printf 'hello' >idx/t10k-labels-idx1-ubyte
expect 1 'idx[13]-ubyte' train --net fc2_mnist --data ./idx

# Output that cannot be written: below a file, and on a full disk.
echo x >file
expect 1 'file' train "${small[@]}" --out file/run
check 'nothing was written below a file' test "$(cat file)" = x
if mkdir full && mount -t tmpfs -o size=64k tmpfs full 2>/dev/null; then
  expect 1 'full' train "${small[@]}" --out full/run
  check 'a full disk leaves no temporary' test -z "$(find full -name '*tmp*')"
  umount full
else
  # Without the right to mount: no file may grow beyond 64 KB.
  output=$( (ulimit -f 64; "$LAMINA" train "${small[@]}" --out limited) 2>&1 )
  check 'a run that cannot write fails' test $? -eq 1
  check 'and names the file' grep -q 'limited/' <<<"$output"
  check 'and leaves no temporary' test -z "$(find limited -name '*tmp*')"
fi
finish
