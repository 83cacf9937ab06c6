# SPDX-License-Identifier: MIT
# Writes each ```cpp block of a page that has a main to `out`/readme_<n>.cpp and prints that file's name.
/^```cpp$/ { inside = 1; block = ""; next }
/^```$/ && inside {
  inside = 0
  if (block ~ /int main\(/) {
    file = out "/readme_" ++count ".cpp"
    printf "%s", block > file
    close(file)
    print file
  }
}
inside { block = block $0 "\n" }
