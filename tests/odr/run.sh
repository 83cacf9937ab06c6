#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh SCRATCH: two translation units with different flags in one program, linked in both orders.
# Environment: CXX, MIDTREAD_INCLUDE, EIGEN_INCLUDE.
set -eu
scratch=$1
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
cases=0 status=0
fail() { echo "FAILED: $*"; status=1; }
compile() { $CXX -std=c++17 -Wall -Wextra -Werror -I "$MIDTREAD_INCLUDE" -isystem "$EIGEN_INCLUDE" "$@"; }

# Names of midtread that the linker may merge with another unit's, midtread_state apart.
mergeable() { nm "$1" | awk '$(NF - 1) ~ /^[WVu]$/ && $NF ~ /midtread/ && $NF !~ /midtread_state/ { print $NF }' | LC_ALL=C sort -u; }

case $(uname -m) in
  x86_64) flag_sets='-O2 -mavx2 -mfma|-O2 -march=native|-O0' ;;
  aarch64) flag_sets='-O2 -march=armv8.2-a+dotprod|-O2 -march=native|-O0' ;;
  *) flag_sets='-O0' ;;
esac
qemu=
[ "$(uname -m)" = x86_64 ] && qemu=$(command -v qemu-x86_64 || true)

# -fno-inline stands for functions too big to be inlined: all of them become names the linker merges, those of std
# included, which no library can keep apart; so the CPU without AVX is asked only with inlining.
for inlining in '' -fno-inline; do
  compile -O2 $inlining -c "$here/baseline.cpp" -o baseline.o
  old_ifs=$IFS
  IFS='|'
  for flags in $flag_sets; do
    IFS=$old_ifs
    [ "$flags$inlining" != -O0-fno-inline ] || continue
    compile $flags $inlining -c "$here/special.cpp" -o special.o
    if [ "$flags" != -O0 ]; then
      mergeable baseline.o > baseline.names
      mergeable special.o > special.names
      [ -s baseline.names ] && [ -s special.names ] || fail "no names to compare with $flags"
      shared=$(LC_ALL=C comm -12 baseline.names special.names)
      [ -z "$shared" ] || fail "names shared between the baseline and $flags:
$shared"
      cases=$((cases + 1))
    fi
    for order in 'baseline.o special.o' 'special.o baseline.o'; do
      $CXX $order -pthread -o program
      ./program > codes || fail "$flags $inlining, linked as $order: $(cat codes)"
      cases=$((cases + 1))
      if [ -n "$qemu" ] && [ -z "$inlining" ]; then
        $qemu -cpu Nehalem ./program baseline > codes-without-avx || fail "$flags, linked as $order, on a CPU without AVX"
        cmp -s codes codes-without-avx || fail "$flags, linked as $order: other codes on a CPU without AVX"
        cases=$((cases + 1))
      fi
    done
  done
  IFS=$old_ifs
done
[ -n "$qemu" ] || echo 'without qemu-x86_64: not run on a CPU without AVX'
echo "cases=$cases"
exit $status
