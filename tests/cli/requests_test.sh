#!/usr/bin/env bash
# Every command does its work, and every wrong request is refused in one sentence with exit code 2.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"

expect 0 'Usage' --help
expect 0 '^[0-9]' --version
# Half a gigabyte of code that only a GPU needs: kernels/cuda/cublaslt.h.
links_cublaslt() { ldd "$LAMINA" | grep -q libcublasLt; }
check 'cuBLASLt is loaded when it is needed, not at the start' eval '! links_cublaslt'
expect 0 'lenet_bn .* 61750 ' nets
expect 0 '"id": "lenet5"' nets --json
expect 0 'mnist-000/lenet_bn' recipes
expect 0 '"weight_decay": "0.001"' recipes --json
expect 0 '"early_stop": 3' recipes mnist-000/lenet_bn-30
expect 0 '^cpu *yes' devices
expect 0 '"device": "ref"' devices --json
expect 0 'Total params: 61,750' summary lenet_bn
expect 0 'Total mult-adds (M): 27.08' summary lenet_bn --batch 64
expect 0 '"forward_backward_bytes": 6564864' summary lenet_bn --json

expect 0 'bn1 takes in relu' summary resnet18 --batch 1 --plan
expect 0 'Pass fuse_sums .*: nothing to do, or off' summary resnet18 --batch 1 --plan --no-pass fuse_sums
expect 0 '"did": "layer1.0.bn2 takes in layer1.0.add"' summary resnet18 --batch 1 --plan --json
expect 2 'there is no pass .nothing.; the passes are fuse_sums, ' summary lenet_bn --no-pass nothing
expect 2 'there is no pass .nothing.' train --net lenet5 --data synthetic-digits --no-pass nothing
expect 0 'conv1.0 backward weights' profile lenet_bn --batch 8 --steps 2 --warmup 1 --trace trace.json
expect 0 '"ms_of_floors"' profile lenet5 --data synthetic-digits --batch 8 --steps 2 --json

expect 2 'subcommand is required'
expect 2 "Did you mean 'train'" trian
expect 2 "Did you mean '--epochs'" train --net lenet5 --epocs 3
expect 2 "Did you mean 'lenet_bn'" train --net lenet_nb --data synthetic-digits
expect 2 "Did you mean 'mnist-000/lenet_bn'" train --recipe mnist-000/lenet_nb
expect 2 "Did you mean 'synthetic-digits'" train --net lenet5 --data synthetic-digit
expect 2 "Did you mean 'lenet5'" summary lenet6
expect 2 "Did you mean 'lr'" train --net lenet5 --data synthetic-digits lrr=3
expect 2 'KEY=VALUE' train --net lenet5 --data synthetic-digits whatever
expect 2 'give --net' train --data synthetic-digits
expect 2 'give --data' train --net lenet5
expect 2 'batch_size is 0' train --net lenet5 --data synthetic-digits --batch-size 0
expect 2 "lr takes a number, not 'x'" train --net lenet5 --data synthetic-digits --lr x
expect 2 'val-split' train --net lenet5 --data synthetic-digits --early-stop 3
expect 2 'precision is fp16' train --net lenet5 --data synthetic-digits --precision fp16 --device cpu
expect 2 'precision is bf17' train --net lenet5 --data synthetic-digits --precision bf17
expect 2 'CUDA' train --net lenet5 --data synthetic-digits --device cuda
expect 2 "unknown device 'gpu'" train --net lenet5 --data synthetic-digits --device gpu
expect 2 'no run to resume' train --resume nowhere
expect 2 'leave the other settings' train --resume nowhere --epochs 3
expect 2 'nothing to sweep over' sweep --net fc2_mnist --data synthetic-digits
expect 2 "Did you mean 'lr'" sweep --net fc2_mnist --data synthetic-digits lrr=1,2
expect 2 'must be one of' train --net fc2_mnist --data synthetic-digits --schedule cosinus
expect 2 'needs its epochs' train --net fc2_mnist --data synthetic-digits --schedule multi_step
expect 2 'needs --labels' run lenet5 --weights w --input x --output y --grads g
expect 2 'add --train' run lenet5 --weights w --input x --output y --weights-out z
expect 2 'Did you mean' eval --net lenet --weights w --data synthetic-digits

# A small run, and what can be done with it.
small=(--net fc2_mnist --data synthetic-digits --limit 300 --epochs 1 --batch 50)
expect 0 'test accuracy' train "${small[@]}" --out run
check 'a run leaves its files' test -s run/weights.safetensors -a -s run/report.html -a -s run/log.csv -a -s run/config.json
expect 2 'holds a run already' train "${small[@]}" --out run
expect 0 'test accuracy' train "${small[@]}" --out run --overwrite
expect 0 'test accuracy' train --resume run
expect 0 'accuracy .* (300 images)' eval --net fc2_mnist --weights run/weights.safetensors --data synthetic-digits --limit 300
expect 0 '"confusion"' eval --net fc2_mnist --weights run/weights.safetensors --data synthetic-digits --limit 300 --json
trained=(--net fc2_mnist --weights run/weights.safetensors --data synthetic-digits --limit 300)
expect 0 'pixels reach the net from -1 to 1' eval "${trained[@]}" --mean 127.5 --std 127.5 --scale 1
expect 2 'leave one out' eval "${trained[@]}" --mean 0.5 --normalize standard
expect 2 'is no class' eval "${trained[@]}" --class-order 0,1,2,3,4,5,6,7,8,ten
expect 0 'images\? of' data show synthetic-digits --count 1 --out digit.png
expect 0 '^ .* %  [0-9]$' predict --run run digit.png
expect 0 '"probability"' predict --net fc2_mnist --weights run/weights.safetensors digit.png --invert --json
expect 2 'say which net' predict digit.png
expect 1 'no usable image' predict --run run run/config.json
expect 2 'has 1 names' predict --run run --classes-file <(echo one) digit.png
expect 0 'network.0  *8 of 1x1' features --run run digit.png --layers network.0,network.3 --out features.png
expect 0 'network.3  *8 of 1x1' features --run run --index 7 --layers network.3 --maps 4 --out index.png
check 'features leaves a PNG' grep -q PNG features.png
expect 0 'network.1  *ReLU' features --net fc2_mnist --list
expect 0 'conv2.0  *Conv2d' features --net lenet_bn --list
expect 2 "Did you mean 'network.0', 'network.1'" features --run run digit.png --layers network.0,Network
expect 2 "Did you mean 'conv1.0', 'conv1.1'" features --net lenet_bn --weights w digit.png --layers conv9
expect 2 'has no convolution' features --run run digit.png
expect 2 'say which image' features --run run --layers network.0
expect 2 'is not among' features --run run --index 999999 --layers network.0
expect 2 'say which net' features digit.png
expect 2 'debug is' train "${small[@]}" --out other --debug inf
expect 0 'ms a step' bench fc2_mnist --batch 8 --steps 5 --warmup 1
expect 0 '"ms_per_step"' bench fc2_mnist --batch 8 --steps 5 --warmup 1 --json
expect 0 '"weights_ms"' bench fc2_mnist --batch 8 --steps 5 --warmup 1 --json
expect 0 '^layer .* data ms .* of floor' bench lenet_bn --batch 8 --steps 5 --warmup 1
two_steps() { "$LAMINA" bench fc2_mnist --batch 8 --serve 2>/dev/null <<<2 | grep -q '^\[[0-9.]*,[0-9.]*\]$'; }
check 'bench --serve runs the steps asked for' two_steps
expect 2 'serve takes one net' bench fc2_mnist lenet5 --serve
expect 0 'test accuracy' train "${small[@]}" --out run lr=0.01 seed=3 --overwrite
check 'KEY=VALUE reaches the saved settings' grep -q '"lr": 0.01' run/config.json
expect 0 '^lr=0.1  *2 ' sweep "${small[@]}" --out sweep lr=0.1,0.01 seed=1,2
expect 0 '^lr=0.01  *2 ' sweep "${small[@]}" --out sweep lr=0.1,0.01 seed=1,2
expect 2 'holds a run with flip = false' sweep "${small[@]}" --flip --out sweep lr=0.1,0.01 seed=1,2

# Runs beside each other, and a report drawn again: the same bytes from the run's files and weights.
cp run/report.html drawn.html
expect 0 'test accuracy  ' report run
check 'a report drawn again is the same' cmp -s run/report.html drawn.html
expect 0 '^sweep/lr=0.1,seed=2 .* to ' report run sweep
check 'runs compared leave a page' grep -q 'sweep/<wbr/>lr=0.1' comparison.html
expect 0 '"parameters": 6442' report --json run sweep --out compared.html
check '--out names the page' test -s compared.html
rm run/weights.safetensors
expect 1 'without it: --files-only' report run
check 'a report that cannot be drawn again stays' cmp -s run/report.html drawn.html
expect 0 'fc2_mnist' report run --files-only --out poor.html
check 'what needs the weights is left out' test -s poor.html -a "$(grep -c 'id="classes"' poor.html)" = 0
rm run/result.json
expect 0 'unfinished' report run sweep
expect 2 'holds no run' report nowhere
finish
