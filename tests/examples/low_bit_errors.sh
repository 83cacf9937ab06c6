#!/bin/sh
# SPDX-License-Identifier: MIT
# low_bit_errors.sh PROGRAM
set -u
. "$(dirname "$0")/expect_error.sh"
program=$1
small='--data synthetic --train-limit 64 --test-limit 10 --epochs 0 --qat-epochs 0'
printf 'not a model' > "$directory/text"
mkdir "$directory/no data"

expect 2 bts --bts W4A4
expect 2 W4B4 $small --bits W4A4,W4B4
expect 2 W1A4 $small --bits W1A4
expect 2 'allowed W2A2' $small --bits W16A8
expect 2 'allowed fake_quant, lsq' $small --method lqs
expect 2 'allowed cnn, resnet8' $small --model resnet
expect 2 '64 training images' $small --batch-size 65
expect 2 'qat-lr' $small --qat-lr -1
expect 2 'one model, got 2 seeds' $small --seeds 0,1 --float-model "$directory/new"
expect 3 text $small --float-model "$directory/text"
expect 5 'no data' --data "$directory/no data"
expect 5 none $small --json "$directory/none/results.json"
report
