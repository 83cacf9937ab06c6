#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: a score for every ARM kernel without ARM hardware. First the inner loops, cut from the object code, by llvm-mca:
# multiply-accumulates per cycle beside the multiply peak of the core and XNNPACK's kernel. Then whole operations under
# qemu: instructions per multiply-accumulate, padding, copies and requantization included.
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

# loop SYMBOL PEAK_N1 PEAK_N2 XNNPACK_NAME XNNPACK_PER_INSTRUCTION XNNPACK_N1 XNNPACK_N2
loop() {
  awk -v symbol="$1" -f "$here/inner_loop.awk" code > loop.s
  read -r _ instructions macs < loop.s
  awk -v name="$1" -v i="$instructions" -v m="$macs" -v a55="$(cycles cortex-a55)" -v n1="$(cycles neoverse-n1)" \
    -v n2="$(cycles neoverse-n2)" -v p1="$2" -v p2="$3" -v peer="$4" -v x="$5" -v x1="$6" -v x2="$7" 'BEGIN {
      printf "%-26s %6.2f %6.2f %7.2f /%3d %7.2f /%3d   %-22s %5s %6s %6s\n", name, m / i, m / a55, m / n1, p1, m / n2, p2, peer, x, x1, x2
    }'
}
printf '%-26s %6s %6s %12s %12s   %-22s %5s %6s %6s\n' 'inner loop, MACs per' instr. A55 'N1 / peak' 'N2 / peak' XNNPACK instr. N1 N2
loop 'neon::gemm_4x4c16<true>' 8 10.6 '2x8c8 mlal asm' 4.2 8.0 10.6
loop 'neon::gemm_4x4c16<false>' 8 10.6 '4x16 mlal_lane asm' 3.2 4.0 4.0
loop 'dotprod::gemm_4x16c4' 32 32 '4x16c4 ld128 asm' 13.0 31.9 31.9
loop 'dotprod::gemm_1x16c4' 32 32 - - - -
loop 'i8mm::gemm_8x8c8' 64 64 '4x16c8 C' 15.3 37.1 40.0
loop 'i8mm::gemm_2x8c8' 64 64 - - - -
loop 'neon::depthwise_pixels<4, true>' 8 10.6 'dwconv 9p16c mla8 C' 1.43 3.5 4.0

# instructions ISA SHAPE...: of one run, from the difference of two programs.
count() { qemu-aarch64 -cpu max -plugin ./libcount.so "$@" 2>&1 > macs | tail -n 1; }
instructions() {
  isa=$1
  shift
  once=$(count ./operation "$isa" 1 "$@")
  thrice=$(count ./operation "$isa" 3 "$@")
  awk -v a="$once" -v b="$thrice" -v m="$(cat macs)" 'BEGIN { printf " %7.2f", m / ((b - a) / 2) }'
}
# operation NAME BATCH IN SIZE OUT KERNEL STRIDE GROUPS
operation() {
  printf '%-40s' "$1"
  shift
  for isa in neon neon_dotprod neon_i8mm portable; do instructions $isa "$@"; done
  echo
}
printf '\n%-40s %7s %7s %7s %7s\n' 'whole operation, MACs per instruction' neon dotprod i8mm portable
operation '1x1024x1024' 1 1024 1 1024 1 1 1
operation '16x256x256' 16 256 1 256 1 1 1
operation '256x256x256' 256 256 1 256 1 1 1
operation '28x28 1->16 3x3' 1 1 28 16 3 1 1
operation '32x32 3->16 3x3' 1 3 32 16 3 1 1
operation '32x32 16->16 3x3' 1 16 32 16 3 1 1
operation '16x16 32->32 3x3' 1 32 16 32 3 1 1
operation '14x14 128->128 3x3' 1 128 14 128 3 1 1
operation '7x7 128->256 3x3 stride 2' 1 128 7 256 3 2 1
operation '28x28 32->64 1x1' 1 32 28 64 1 1 1
operation '14x14 256->256 1x1' 1 256 14 256 1 1 1
operation '28x28 64 depthwise 3x3' 1 64 28 64 3 1 64
operation '28x28 64 depthwise 3x3 stride 2' 1 64 28 64 3 2 64
operation '14x14 128 depthwise 5x5' 1 128 14 128 5 1 128
