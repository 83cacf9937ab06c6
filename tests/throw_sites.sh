#!/bin/sh
# SPDX-License-Identifier: MIT
# Lists the throw sites of include/ whose message no test quotes: neither two words that follow each other in it nor,
# where it has no two, one of four letters. Sites that pass on a message made elsewhere have no words to quote and are
# counted apart. A list to work on, not a failure.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
{
  find tests -name '*_test.cpp' | LC_ALL=C sort
  find include -name '*.hpp' | LC_ALL=C sort
} | xargs awk '
  # words(text): the words of the string literals in text, literals set apart by "|".
  function words(text,    out) {
    out = ""
    gsub(/\\[nt"]/, " ", text)
    while (match(text, /"[^"]*"/)) {
      out = out " | " tolower(substr(text, RSTART + 1, RLENGTH - 2))
      text = substr(text, RSTART + RLENGTH)
    }
    gsub(/[^a-z|]+/, " ", out)
    return out
  }
  function finish(    text, n, word, i, pairs, hit) {
    text = statement
    sub(/^[^(]*\([^,]*,/, "", text)  # without the place
    n = split(words(text), word, " ")
    pairs = long = hit = 0
    for (i = 1; i < n; ++i)
      if (word[i] != "|" && word[i + 1] != "|" && length(word[i] word[i + 1]) > 6) {
        ++pairs
        if ((word[i] " " word[i + 1]) in quoted) hit = 1
      }
    if (!pairs) for (i = 1; i <= n; ++i) if (length(word[i]) >= 4) {
      ++long
      if (word[i] in quoted) hit = 1
    }
    ++sites
    if (!pairs && !long) ++passed_on
    else if (hit) ++tested
    else { gsub(/[ \t]+/, " ", statement); print place ": " substr(statement, 1, 140) }
    statement = ""
  }
  FILENAME ~ /^tests\// {
    n = split(words($0), word, " ")
    for (i = 1; i <= n; ++i) { quoted[word[i]] = 1; if (i < n) quoted[word[i] " " word[i + 1]] = 1 }
    next
  }
  statement != "" { statement = statement $0 }
  statement == "" && match($0, /throw [A-Za-z]+Error\(/) { place = FILENAME ":" FNR; statement = substr($0, RSTART) }
  statement != "" && /;[ \t}]*(\/\/.*)?$/ { finish() }
  END { print "throw sites=" sites + 0 " quoted by a test=" tested + 0 " passed on=" passed_on + 0, \
    "not quoted=" sites - tested - passed_on }'
