#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh SCRATCH: no function of kernels/ (but those of kernels/float, which are not under the numerics contract) holds
# a fused multiply-add, even where the user's flags allow it; but the one that is written as an instruction, which
# computes an exact difference. Environment: CXX, MIDTREAD_INCLUDE.
set -eu
scratch=$1
rm -rf "$scratch"
mkdir -p "$scratch"
cp -R "$MIDTREAD_INCLUDE" "$scratch/include"
cd "$scratch"
status=0 cases=0

# Every inline function is emitted, whether called or not.
find include/midtread/kernels -name '*.hpp' ! -path '*/float/*' | LC_ALL=C sort > headers
while read -r header; do
  sed -e '/^inline namespace/!s/^inline /__attribute__((used)) inline /' \
    -e 's/^MIDTREAD_NOINLINE inline /__attribute__((used)) MIDTREAD_NOINLINE inline /' "$header" > emitted
  mv emitted "$header"
done < headers

# What stays is the compiler's.
vectors=include/midtread/kernels/fbgemm/vnni/vector.inc
sed 's/asm("vfmadd213ps /asm("vaddps /' "$vectors" > emitted
if cmp -s emitted "$vectors"; then
  echo "$vectors holds no fused instruction: nothing needs to be left out"
  exit 1
fi
mv emitted "$vectors"

# program FOLDER: all headers but those of the engine whose instruction sets the other architecture has.
program() {
  grep -v "/$1/" headers | sed 's|^include/\(.*\)|#include <\1>|'
  echo 'float control(float a, float b, float c) { return a * b + c; }'
}
program qnnpack > x86.cpp
program fbgemm > arm.cpp

# look OBJDUMP LABEL COMPILER ARGUMENT...
look() {
  objdump=$1 label=$2
  shift 2
  "$@" -std=c++17 -I include -c -o contract.o
  "$objdump" -d -C contract.o | awk -v label="$label" '
    /^[0-9a-f]+ <.*>:$/ { name = $0; sub(/^[0-9a-f]+ </, "", name); sub(/>:$/, "", name) }
    /^[0-9a-f]+ <.*midtread::/ { ++functions }
    $0 ~ /\t(vfn?m(add|sub)|fn?m(add|sub)[ \t]|fml[as][ \t]|vfn?m[as]\.f)/ {
      if (name ~ /^control\(/) control = 1
      else if (name ~ /midtread::/ && !(name in seen)) { seen[name] = 1; ++bad; print label ": fused arithmetic in " name }
    }
    END {
      if (!control) { print label ": these flags fuse nothing, the test would see nothing"; exit 1 }
      if (functions < 10) { print label ": only " functions + 0 " functions"; exit 1 }
      print label ": functions=" functions " fused=" bad + 0
      exit bad > 0
    }' || status=1
  cases=$((cases + 1))
}

# Clang by itself fuses only within an expression; this has it fuse wherever MIDTREAD_EXACT was forgotten.
clang=no eager=
case $($CXX --version | head -n 1) in *clang*) clang=yes eager="-Xclang -ffp-contract=fast-honor-pragmas" ;; esac
case $(uname -m) in
  x86_64)
    for level in -O2 -O3; do look objdump "x86-64 $level" "$CXX" $level -mavx2 -mfma $eager x86.cpp; done
    look objdump 'x86-64 AVX-512' "$CXX" -O2 -march=x86-64-v4 $eager x86.cpp
    ;;
  aarch64) look objdump AArch64 "$CXX" -O2 $eager arm.cpp ;;
esac
if [ "$(uname -m)" != aarch64 ] && command -v aarch64-linux-gnu-g++ > /dev/null; then
  if [ $clang = yes ]; then cross="$CXX --target=aarch64-linux-gnu"; else cross=aarch64-linux-gnu-g++; fi
  look aarch64-linux-gnu-objdump AArch64 $cross -O2 $eager arm.cpp
fi
if [ $clang = no ] && command -v arm-linux-gnueabihf-g++ > /dev/null; then
  look arm-linux-gnueabihf-objdump ARMv7 arm-linux-gnueabihf-g++ -Wno-psabi -mcpu=cortex-a15 -mfpu=neon-vfpv4 -O2 arm.cpp
fi
echo "cases=$cases"
exit $status
