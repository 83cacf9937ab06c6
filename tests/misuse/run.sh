#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh SCRATCH: quantizers that contradict themselves do not compile, and the compiler says why in a sentence.
# Environment: CXX, MIDTREAD_INCLUDE, EIGEN_INCLUDE.
set -eu
scratch=$1
mkdir -p "$scratch"
cases=0 status=0

# try NAME SENTENCE: compiles the statement on standard input; without a SENTENCE it must compile.
try() {
  {
    printf '#include <midtread/quant/default_qconfig.hpp>\n#include <midtread/quant/registry.hpp>\n'
    printf 'using namespace midtread::quant;\nint main() {\n'
    cat
    printf '}\n'
  } > "$scratch/$1.cpp"
  cases=$((cases + 1))
  if "$CXX" -std=c++17 -fsyntax-only -I "$MIDTREAD_INCLUDE" -isystem "$EIGEN_INCLUDE" "$scratch/$1.cpp" > "$scratch/$1.log" 2>&1; then
    if [ -n "$2" ]; then echo "$1: compiles, must not"; status=1; fi
  elif [ -z "$2" ]; then
    echo "$1: does not compile"; status=1
  elif ! grep -F -q "$2" "$scratch/$1.log"; then
    echo "$1: its messages do not say: $2"; status=1
  fi
}

activation='FakeQuantize<MovingAverageMinMaxObserver<UInt8Affine>>'
weight='FakeQuantize<MinMaxObserver<Int8PerChannel>>'
try allowed '' << EOF
  erase(QConfig<$activation, $weight>{});
EOF
try per_channel_activation 'an activation has one scale' << EOF
  erase(QConfig<FakeQuantize<MinMaxObserver<UInt8PerChannelAffine>>, $weight>{});
EOF
try affine_weight 'a weight has no zero point' << EOF
  erase(QConfig<$activation, FakeQuantize<MinMaxObserver<Int8PerChannelAffine>>>{});
EOF
try unsigned_weight 'weights are int8' << EOF
  erase(QConfig<$activation, FakeQuantize<MinMaxObserver<UInt8Symmetric>>>{});
EOF
try bare_observer 'wrap the observer' << EOF
  erase(QConfig<MovingAverageMinMaxObserver<UInt8Affine>, $weight>{});
EOF
try per_tensor_per_channel_observer 'PerChannelMinMaxObserver keeps one range per channel' << EOF
  PerChannelMinMaxObserver<Int8Symmetric> observer;
EOF
try fixed_per_channel 'FixedQParamsObserver holds one scale' << EOF
  FixedQParamsObserver<Int8PerChannel> observer;
EOF
try affine_diffs 'DiffsObserver finds power-of-two scales, which have no zero point' << EOF
  DiffsObserver<UInt8Affine> observer;
EOF
try affine_tqt 'Tqt: a power-of-two scale is a shift and has no zero point' << EOF
  Tqt<MovingAverageMinMaxObserver<UInt8Affine>> quantizer;
EOF
try affine_dorefa 'DoReFaWeight: its codes are as many below zero as above' << EOF
  DoReFaWeight<Int8Affine> quantizer;
EOF
for method in Histogram Percentile Mse Entropy; do
  try "per_channel_$method" "${method}Observer keeps one histogram" << EOF
  ${method}Observer<Int8PerChannel> observer;
EOF
done

echo "cases=$cases"
exit $status
