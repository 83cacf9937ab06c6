# SPDX-License-Identifier: MIT
# objdump -d -C --no-show-raw-insn | awk -v symbol=TEXT -f inner_loop.awk: of the first function whose name holds TEXT,
# the innermost loop with most multiply-accumulates as assembly; its first line is "// INSTRUCTIONS MACS".

function macs(text,    word) {
  word = text
  sub(/[ \t].*/, "", word)
  if (word ~ /^[us]*dot$/) return 16
  if (word ~ /^[us]*mmla$/) return 32
  if (word ~ /^[su]ml(al|sl)2?$/ || word ~ /^[su]mull2?$/) return text ~ /\.8h/ ? 8 : 4
  return 0
}

function loops(    i, j, target, sum, inner, best, first, last) {
  for (i = 1; i <= n; ++i) {
    if (text[i] !~ /^(b\.|cbn?z|tbn?z)/) continue
    target = text[i]
    sub(/ <.*/, "", target)
    sub(/.*[ \t,]/, "", target)
    if (!(target in at) || at[target] > i) continue
    sum = inner = 0
    for (j = at[target]; j <= i; ++j) {
      sum += macs(text[j])
      if (j < i && text[j] ~ /^(b\.|cbn?z|tbn?z)/) inner = 1
    }
    if (!inner && sum > best) { best = sum; first = at[target]; last = i }
  }
  if (best == 0) return
  print "// " last - first + 1, best
  print "loop:"
  for (j = first; j <= last; ++j) {
    sub(/[0-9a-f]+ <.*/, "loop", text[j])
    print text[j]
  }
}

/^[0-9a-f]+ <.*>:$/ {
  if (found) exit
  found = index($0, symbol) > 0
  next
}
found && /^ *[0-9a-f]+:\t/ {
  line = $0
  address = line
  sub(/:.*/, "", address)
  gsub(/ /, "", address)
  sub(/^[^\t]*\t/, "", line)
  sub(/[ \t]*\/\/.*/, "", line)
  text[++n] = line
  at[address] = n
}
END { if (found) loops() }
