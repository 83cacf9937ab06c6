#!/bin/sh
# SPDX-License-Identifier: MIT
# Every rule of check.awk turns red on a header that breaks it, and the correct header passes.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cases=0

# attempt WANTED FILE: checks a tree that holds only the header on standard input.
attempt() {
  rm -rf "$work/midtread"
  mkdir -p "$work/midtread/$(dirname "$2")"
  cat > "$work/midtread/$2"
  if sh "$here/check.sh" "$work" > "$work/out"; then got=pass; else got=breach; fi
  cases=$((cases + 1))
  [ "$got" = "$1" ] && return 0
  echo "case $cases: wanted $1, got $got for $2:"
  cat "$work/midtread/$2"
  exit 1
}

head='// SPDX-License-Identifier: MIT
// What it is.
#pragma once'
attempt pass kernels/a.hpp << E
$head
#include <midtread/core/b.hpp>
#include <immintrin.h>
#include <vector>
MIDTREAD_NAMESPACE_BEGIN(kernels::reference)
MIDTREAD_NAMESPACE_END
namespace midtread_state {
}
E
while read -r line; do
  printf '%s\n%s\n' "$head" "$line" > "$work/case"
  attempt breach kernels/a.hpp < "$work/case"
done << 'E'
#include <midtread/tensor/tensor.hpp>
#include <Eigen/Core>
#include <nlohmann/json.hpp>
#include <boost/any.hpp>
#include "b.hpp"
#include <midtread/midtread.hpp>
#include <midtread/kernels/a.hpp>
#include <midtread/unknown/b.hpp>
namespace midtread {
namespace {
namespace detail {
inline namespace v1 {
using namespace std;
assert(x > 0);
MIDTREAD_EXACT_BEGIN
#pragma GCC push_options
E
attempt breach kernels/a.hpp << E
$head
MIDTREAD_EXACT_BEGIN
#include <vector>
MIDTREAD_EXACT_END
E
attempt breach kernels/a.hpp << E
// What it is.
// SPDX-License-Identifier: MIT
#pragma once
E
printf '// SPDX-License-Identifier: MIT\n// What it is.\n' > "$work/case"
attempt breach core/a.hpp < "$work/case"
printf '// SPDX-License-Identifier: MIT\n#pragma once\n' > "$work/case"
attempt breach core/a.hpp < "$work/case"
awk -v head="$head" 'BEGIN { print head; for (i = 4; i <= 501; ++i) print "//" }' > "$work/case"
attempt breach core/a.hpp < "$work/case"
sed '$d' "$work/case" > "$work/case500"
attempt pass core/a.hpp < "$work/case500"
attempt breach misc/a.hpp << E
$head
E
attempt breach fwd.hpp << E
$head
#include <midtread/nn/module.hpp>
E
attempt pass midtread.hpp << E
$head
#include <midtread/nn/module.hpp>
E
echo "cases=$cases"
