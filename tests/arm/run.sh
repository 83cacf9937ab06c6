#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh quick|full SCRATCH: the kernel tests as AArch64 programs under qemu: on a CPU with NEON, on one with dotprod, on
# one with i8mm. quick leaves out the large cubes and the first two CPUs; full adds int8 models saved on this machine,
# Clang's code, every header of kernels/ alone, and a consumer built with the toolchain file.
# Environment: CXX, CMAKE, MIDTREAD_INCLUDE, EIGEN_INCLUDE.
set -eu
mode=$1 scratch=$2
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tests=$(dirname "$here")
source=$(dirname "$MIDTREAD_INCLUDE")
gtest=/usr/src/googletest/googletest
jobs=$(nproc 2> /dev/null || echo 1)
for program in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v $program > /dev/null || { echo "$program is missing: apt-get install g++-aarch64-linux-gnu qemu-user"; exit 1; }
done
[ -d $gtest ] || { echo "$gtest is missing: apt-get install libgtest-dev"; exit 1; }
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
status=0
fail() { echo "FAILED: $*"; status=1; }

# One line per compilation or run, `jobs` of them at a time; a line that fails makes the whole fail.
in_parallel() { xargs -P "$jobs" -I '{}' sh -c '{}'; }

warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
gcc="aarch64-linux-gnu-g++ -std=c++17"
clang="clang++ --target=aarch64-linux-gnu -std=c++17"
own="$warnings -I $MIDTREAD_INCLUDE -I $tests -isystem $EIGEN_INCLUDE -isystem $gtest/include"

# The tests are two units, one namespace per test: the matrix products, and the rest.
echo "#include \"$tests/kernels/gemm_test.cpp\"" > gemm.cpp
find "$tests/kernels" -name '*_test.cpp' ! -path "$tests/kernels/gemm_test.cpp" | LC_ALL=C sort |
  sed 's/.*/#include "&"/' > rest.cpp
{
  if [ "$mode" = full ]; then
    echo "$CXX -std=c++17 -O1 $own $here/one_answer_write.cpp -pthread -o one-answer-write"
    echo "$gcc -O2 $own $here/one_answer_check.cpp -pthread -o one-answer-check"
  fi
  echo "$gcc -O1 -I $gtest -isystem $gtest/include -c $gtest/src/gtest-all.cc -o gtest-all.o"
  echo "$gcc -O1 -I $gtest -isystem $gtest/include -c $gtest/src/gtest_main.cc -o gtest_main.o"
  for unit in gemm rest; do
    echo "$gcc -O2 $own -c $unit.cpp -o gcc-$unit.o"
    [ "$mode" = quick ] || echo "$clang -O2 $own -c $unit.cpp -o clang-$unit.o"
  done
} | in_parallel || { echo 'the tests do not compile'; exit 1; }
for compiler in gcc clang; do
  [ -f $compiler-rest.o ] || continue
  $gcc $compiler-gemm.o $compiler-rest.o gtest-all.o gtest_main.o -pthread -o $compiler-tests
done

# test COMPILER CPU ISAS SHARD SHARDS FILTER: prints a line that runs one part of the tests.
test() {
  echo "MIDTREAD_REQUIRE_ISAS=$3 GTEST_SHARD_INDEX=$4 GTEST_TOTAL_SHARDS=$5 qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $2" \
    "./$1-tests --gtest_filter=$6 > $1-$2-$4.log 2>&1 || echo \"FAILED: $1-tests on $2\" >> $1-$2-$4.log"
}
all=neon,neon_dotprod,neon_i8mm small='*:-Gemm.EveryShape*:Gemm.LargeRandom*'
{
  if [ "$mode" = quick ]; then
    for shard in 0 1; do test gcc max $all $shard 2 "$small"; done
  else
    for shard in 0 1 2 3 4; do
      test gcc max $all $shard 5 '*'
      test gcc cortex-a76 neon,neon_dotprod $shard 5 '*'
      test gcc cortex-a53 neon $shard 5 '*'
    done
    test clang max $all 0 1 "$small"
  fi
} | in_parallel
cat ./*.log | grep -E 'FAILED|differ|Failure|uncaught' && status=1
passed=$(cat ./*.log | grep -c '^\[       OK \]' || true)
programs=$(grep -l '^\[  PASSED  \]' ./*.log | wc -l)
[ "$programs" = "$(ls ./*.log | wc -l)" ] || fail 'not every run of the tests came to its end'
echo "tests passed under qemu: $passed in $programs runs"

if [ "$mode" = full ]; then
  # What this machine trained, converted and saved gives the same outputs there, bit for bit; layers left in float are no
  # part of that promise.
  mkdir models
  ./one-answer-write models > networks
  for cpu in cortex-a53 cortex-a76 max; do
    qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $cpu ./one-answer-check models $(awk '$2 == "int8" { print $1 }' networks) ||
      fail "int8 models on $cpu"
  done

  (cd "$MIDTREAD_INCLUDE" && find midtread/kernels -name '*.hpp' | LC_ALL=C sort) > headers
  while read -r header; do
    echo "#include <$header>" > "$(echo "$header" | tr / _).cpp"
    for compiler in "$gcc" "$clang"; do
      echo "$compiler -O2 $own -fsyntax-only $(echo "$header" | tr / _).cpp || { echo FAILED: $header alone; exit 1; }"
    done
  done < headers | in_parallel || status=1
  echo "headers alone, two compilers: $(wc -l < headers)"

  "$CMAKE" -S "$tests/install" -B consumer -DWAY=add_subdirectory -DMIDTREAD_SOURCE="$source" \
    -DCMAKE_TOOLCHAIN_FILE="$source/cmake/aarch64-linux-gnu.cmake" > consumer.txt 2>&1 &&
    "$CMAKE" --build consumer >> consumer.txt 2>&1 &&
    qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu cortex-a53 consumer/consumer >> consumer.txt 2>&1 ||
    { tail -n 20 consumer.txt; fail 'the consumer of the toolchain file'; }
fi
echo "cases=$passed"
exit $status
