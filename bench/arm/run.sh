#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: a score for every ARM kernel without ARM hardware. First the inner loops, cut from the object code, by llvm-mca:
# multiply-accumulates per cycle beside the multiply peak of the core and XNNPACK's kernel. Then whole operations under
# qemu: instructions per multiply-accumulate or code, padding, copies, checks and requantization included, beside those of
# Debian 12's XNNPACK (2022-02) on a Cortex-A53 and A76, int8 by int8 per channel, counted in the same way.
# Neoverse N1 is the core of the Cortex-A76; it has no i8mm, so its figure there is the model's only.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
. "$root/cmake/debian.sh"
need gcc g++-aarch64-linux-gnu qemu-user llvm-19
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
aarch64-linux-gnu-g++ -std=c++17 -O2 -I "$root/include" "$here/operation.cpp" -static -pthread -o operation
gcc -O2 -shared -fPIC "$here/count.c" -o libcount.so
aarch64-linux-gnu-objdump -d -C --no-show-raw-insn operation > code

cycles() { llvm-mca-19 -mtriple=aarch64 -mcpu="$1" -mattr=+dotprod,+i8mm -iterations=1000 -noalias loop.s | awk '/^Total Cycles/ { print $3 / 1000 }'; }

status=0
# loop SYMBOL CORE AT_LEAST PEAK_N1 PEAK_N2 XNNPACK_NAME XNNPACK_PER_INSTRUCTION XNNPACK_N1 XNNPACK_N2: fails where CORE
# gets fewer multiply-accumulates per cycle than AT_LEAST.
loop() {
  awk -v symbol="$1" -f "$here/inner_loop.awk" code > loop.s
  read -r _ instructions macs < loop.s
  awk -v name="$1" -v i="$instructions" -v m="$macs" -v a55="$(cycles cortex-a55)" -v n1="$(cycles neoverse-n1)" \
    -v n2="$(cycles neoverse-n2)" -v core="$2" -v least="$3" -v p1="$4" -v p2="$5" -v peer="$6" -v x="$7" -v x1="$8" \
    -v x2="$9" 'BEGIN {
      printf "%-26s %6.2f %6.2f %7.2f /%3d %7.2f /%3d   %-22s %5s %6s %6s\n", name, m / i, m / a55, m / n1, p1, m / n2, p2, peer, x, x1, x2
      if (m / (core == "n1" ? n1 : n2) < least) { print "FAILED: " name " below " least " on " core; exit 1 }
    }' || status=1
}
printf '%-26s %6s %6s %12s %12s   %-22s %5s %6s %6s\n' 'inner loop, MACs per' instr. A55 'N1 / peak' 'N2 / peak' XNNPACK instr. N1 N2
loop 'neon::gemm_4x4c16<true>' n1 7.99 8 10.6 '2x8c8 mlal asm' 4.2 8.0 10.6
loop 'neon::gemm_4x4c16<false>' n1 7.99 8 10.6 '4x16 mlal_lane asm' 3.2 4.0 4.0
loop 'dotprod::gemm_4x16c4' n1 31 32 32 '4x16c4 ld128 asm' 13.0 31.9 31.9
loop 'dotprod::gemm_1x16c4' n1 30 32 32 - - - -
loop 'i8mm::gemm_8x8c8' n2 60 64 64 '4x16c8 C' 15.3 37.1 40.0
loop 'i8mm::gemm_2x8c8' n2 60 64 64 - - - -
loop 'neon::depthwise_pixels<4, true' n1 5.25 8 10.6 'dwconv 9p16c mla8 C' 1.43 3.5 4.0

# instructions OP ISA SHAPE...: per multiply-accumulate or code, from the difference of two programs.
count() { qemu-aarch64 -cpu max -plugin ./libcount.so ./operation "$@" 2>&1 > work | tail -n 1; }
instructions() {
  op=$1 isa=$2
  shift 2
  once=$(count "$op" "$isa" 1 "$@")
  thrice=$(count "$op" "$isa" 3 "$@")
  awk -v a="$once" -v b="$thrice" -v work="$(cat work)" 'BEGIN { print (b - a) / 2 / work }'
}
# operation NAME OP BATCH IN SIZE OUT KERNEL STRIDE GROUPS XNNPACK_NEON XNNPACK_DOTPROD
operation() {
  name=$1 op=$2
  shift 2
  shape="$1 $2 $3 $4 $5 $6 $7"
  echo "$name|$(instructions $op neon $shape)|$8|$(instructions $op neon_dotprod $shape)|$9|$(instructions $op neon_i8mm $shape)" |
    awk -F '|' '{
      printf "%-34s %8.3f %8.3f %5.2f  %8.3f %8.3f %5.2f  %8.3f\n", $1, $2, $3, $2 / $3, $4, $5, $4 / $5, $6
    }'
}
printf '\n%-34s %8s %8s %5s  %8s %8s %5s  %8s\n' 'whole operation, instructions per' neon XNNPACK ratio dotprod XNNPACK ratio i8mm
operation '1x1024x1024' conv 1 1024 1 1024 1 1 1 0.2859 0.1595
operation '1x10x256' conv 1 256 1 10 1 1 1 0.5437 0.3418
operation '1x64x64' conv 1 64 1 64 1 1 1 0.3936 0.2493
operation '2x256x256' conv 2 256 1 256 1 1 1 0.2552 0.1845
operation '3x256x256' conv 3 256 1 256 1 1 1 0.3398 0.123
operation '4x64x64' conv 4 64 1 64 1 1 1 0.3155 0.1251
operation '16x256x256' conv 16 256 1 256 1 1 1 0.2545 0.09191
operation '256x256x256' conv 256 256 1 256 1 1 1 0.2544 0.09181
operation '256x8x256' conv 256 256 1 8 1 1 1 0.27 0.1919
operation '256x16x16' conv 256 16 1 16 1 1 1 0.6091 0.2722
operation '196x8x32' conv 196 32 1 8 1 1 1 0.4924 0.3596
operation '196x8x8' conv 196 8 1 8 1 1 1 1.306 0.9346
operation '256x4x64' conv 256 64 1 4 1 1 1 0.7322 0.5271
operation '64x256x2304' conv 64 2304 1 256 1 1 1 0.2401 0.08486
operation '49x64x4608' conv 49 4608 1 64 1 1 1 0.2442 0.08964
operation '256x20x256' conv 256 256 1 20 1 1 1 0.3112 0.15
operation '28x28 1->16 3x3' conv 1 1 28 16 3 1 1 3.8 0.9715
operation '32x32 3->16 3x3' conv 1 3 32 16 3 1 1 1.266 0.3237
operation '64x64 3->32 3x3 stride 2' conv 1 3 64 32 3 2 1 1.225 0.3039
operation '32x32 8->8 3x3' conv 1 8 32 8 3 1 1 0.5063 0.327
operation '32x32 16->16 3x3' conv 1 16 32 16 3 1 1 0.3269 0.1231
operation '32x32 16->8 3x3' conv 1 16 32 8 3 1 1 0.3425 0.2475
operation '16x16 32->32 3x3' conv 1 32 16 32 3 1 1 0.2826 0.1017
operation '8x8 64->64 3x3' conv 1 64 8 64 3 1 1 0.2595 0.09241
operation '14x14 128->128 3x3' conv 1 128 14 128 3 1 1 0.2486 0.08806
operation '7x7 128->256 3x3 stride 2' conv 1 128 7 256 3 2 1 0.2485 0.08803
operation '28x28 32->64 1x1' conv 1 32 28 64 1 1 1 0.3792 0.1528
operation '28x28 64->128 1x1 stride 2' conv 1 64 28 128 1 2 1 0.315 0.1203
operation '14x14 256->256 1x1' conv 1 256 14 256 1 1 1 0.2544 0.09182
operation '7x7 512->512 3x3' conv 1 512 7 512 3 1 1 0.2457 0.09019
operation '16x16 32->32 3x3 groups 4' conv 1 32 16 32 3 1 4 0.5141 0.331
operation '28x28 64 depthwise 3x3' conv 1 64 28 64 3 1 64 0.8503 0.8503
operation '28x28 64 depthwise 3x3 stride 2' conv 1 64 28 64 3 2 64 0.8555 0.8555
operation '32x32 16 depthwise 3x3' conv 1 16 32 16 3 1 16 1.253 1.253
operation '32x32 8 depthwise 3x3' conv 1 8 32 8 3 1 8 1.658 1.658
operation '14x14 128 depthwise 5x5' conv 1 128 14 128 5 1 128 0.67 0.67
operation 'add 28x28 64' add 1 64 28 64 1 1 1 2.817 2.817
operation 'add 1x1 10' add 1 10 1 10 1 1 1 27.4 27.4
operation 'mul 28x28 64' mul 1 64 28 64 1 1 1 2.317 2.317
operation 'average 7x7 512 global' average 1 512 7 512 7 1 1 0.4318 0.4318
operation 'average 8x8 64 global' average 1 64 8 64 8 1 1 0.5459 0.5459
operation 'average 7x7 10 global' average 1 10 7 10 7 1 1 1.357 1.357
operation 'average 28x28 64 3x3 stride 2' average 1 64 28 64 3 2 1 0.9602 0.9602
operation 'average 28x28 8 3x3 stride 2' average 1 8 28 8 3 2 1 2.14 2.14
operation 'max 28x28 64 3x3 stride 2' max 1 64 28 64 3 2 1 0.2861 0.2861
operation 'max 24x24 16 3x3 stride 2' max 1 16 24 16 3 2 1 0.6726 0.6726
operation 'max 28x28 8 3x3 stride 2' max 1 8 28 8 3 2 1 1.08 1.08
operation 'max 28x28 3 3x3 stride 2' max 1 3 28 3 3 2 1 2.955 2.955
operation 'lookup 28x28 64' lookup 1 64 28 64 1 1 1 1.274 1.274
operation 'lookup 1x1 10' lookup 1 10 1 10 1 1 1 20.1 20.1
operation 'quantize 32x32 3' quantize 1 3 32 3 1 1 1 1.829 1.829
operation 'quantize 28x28 64' quantize 1 64 28 64 1 1 1 1.784 1.784
operation 'dequantize 28x28 64' dequantize 1 64 28 64 1 1 1 1.222 1.222
operation 'dequantize 1x1 10' dequantize 1 10 1 10 1 1 1 16.6 16.6
exit $status
