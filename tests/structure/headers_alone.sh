#!/bin/sh
# SPDX-License-Identifier: MIT
# headers_alone.sh SCRATCH: each header as the only line of a program, then all of them in both orders.
# Environment: CXX, MIDTREAD_INCLUDE, EIGEN_INCLUDE.
set -eu
scratch=$1
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$MIDTREAD_INCLUDE"
find midtread -name '*.hpp' | LC_ALL=C sort > "$scratch/headers"

cat > "$scratch/compile" << 'E'
# compile HEADER: prints the header's name and the compiler's words when they do not agree.
out=$(printf '#include <%s>\n' "$1" |
  $CXX -std=c++17 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only \
    -I "$MIDTREAD_INCLUDE" -isystem "$EIGEN_INCLUDE" -x c++ - 2>&1) && exit 0
printf '%s does not compile alone\n%s\n' "$1" "$out"
exit 1
E
jobs=$(nproc 2>/dev/null || echo 1)
status=0
xargs -n 1 -P "$jobs" sh "$scratch/compile" < "$scratch/headers" || status=1

sed 's/.*/#include <&>/' "$scratch/headers" > "$scratch/forward.cpp"
LC_ALL=C sort -r "$scratch/headers" | sed 's/.*/#include <&>/' > "$scratch/backward.cpp"
echo 'int main() {}' >> "$scratch/backward.cpp"
for order in forward backward; do
  $CXX -std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I "$MIDTREAD_INCLUDE" \
    -isystem "$EIGEN_INCLUDE" -c "$scratch/$order.cpp" -o "$scratch/$order.o" || status=1
done
$CXX "$scratch/forward.o" "$scratch/backward.o" -pthread -o "$scratch/both" && "$scratch/both" || status=1
echo "cases=$(($(wc -l < "$scratch/headers") + 2))"
exit $status
