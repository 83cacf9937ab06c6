# SPDX-License-Identifier: MIT
# Rules for include/: the layers and what they may include, the head of a file, its size, how namespaces are opened.

BEGIN {
  # A layer may include its own files, the layers and libraries listed, and what those may include.
  allow["core"] = ""
  allow["kernels"] = "core"
  allow["tensor"] = "kernels eigen"
  allow["autograd"] = "tensor"
  allow["ops"] = "autograd"
  allow["nn"] = "ops"
  allow["optim"] = "autograd"
  allow["data"] = "tensor zlib"
  allow["quant"] = "nn"
  allow["graph"] = "nn"
  allow["quantized"] = "quant graph"
  allow["qat"] = "quantized"
  allow["passes"] = "graph qat eigen"
  allow["io"] = "passes optim data json"
  allow["train"] = "io"
  allow["onnx"] = "passes"
  allow["tflite"] = "passes"
  for (layer in allow) close_over(layer, layer)
  max_lines = 500
}

function close_over(layer, from,    parts, n, i) {
  may[layer, from] = 1
  n = split(allow[from], parts, " ")
  for (i = 1; i <= n; ++i) close_over(layer, parts[i])
}

function breach(rule, text) {
  print FILENAME ":" FNR ": " rule ": " text
  ++breaches
}

function end_of_file() {
  if (file == "") return
  if (!once) { print file ": #pragma once is missing"; ++breaches }
  if (lines > max_lines) { print file ": " lines " lines, allowed " max_lines; ++breaches }
  if (depth != 0) { print file ": a MIDTREAD_..._BEGIN or a pragma push without its end, or the reverse"; ++breaches }
}

FNR == 1 {
  end_of_file()
  ++files
  file = FILENAME
  once = depth = 0
  split(FILENAME, path, "/")
  layer = path[3] == "" ? "" : path[2]  # "" for midtread/*.hpp
  if (layer != "" && !(layer in allow)) breach("layer", "folder " layer " is not a layer")
  if ($0 != "// SPDX-License-Identifier: MIT") breach("head", "the first line must be // SPDX-License-Identifier: MIT")
}
FNR == 2 && !/^\/\/ / { breach("head", "the second line must say what the file is") }
{ lines = FNR }
/^#pragma once$/ { once = 1 }

/^[ \t]*#[ \t]*include/ {
  if (depth > 0) breach("region", "#include inside a namespace, an exact region or a target region")
  if ($0 !~ /<[^>]+>/) { breach("include", "write #include <...>"); next }
  name = $0; sub(/^[^<]*</, "", name); sub(/>.*/, "", name)
  if (name ~ /^midtread\//) {
    edges[FILENAME] = edges[FILENAME] " " name
    split(name, target, "/")
    if (target[3] == "") {  # a file of the top folder
      if (name ~ /\/(version|fwd)\.hpp$/) next
      if (layer != "") breach("layer", layer " may not include " name)
    } else if (layer != "" && !((layer, target[2]) in may)) {
      breach("layer", layer " may not include " target[2] " (" name ")")
    } else if (FILENAME ~ /^midtread\/(version|fwd)\.hpp$/ && target[2] != "core") {
      breach("layer", FILENAME " may include only core")
    }
    next
  }
  library = name ~ /^(Eigen|unsupported\/Eigen)\// ? "eigen" : name ~ /^nlohmann\// ? "json" : name == "zlib.h" ? "zlib" : ""
  if (library != "") {
    if (!((layer, library) in may)) breach("layer", (layer == "" ? FILENAME : layer) " may not include " library)
  } else if (name !~ /^[a-z_0-9]+$/ && name !~ /intrin\.h$/ &&
             name !~ /^(arm_neon|arm_acle|cpuid|unistd|fcntl|dirent|windows|malloc|pthread|sched)\.h$/ && name !~ /^(sys|asm|linux)\/[a-z]+\.h$/) {
    breach("include", name " is neither the standard library nor a known dependency")
  }
}

# Code without comments, literals and macro definitions.
{
  code = $0
  gsub(/\\"/, "", code); gsub(/"[^"]*"/, "\"\"", code); sub(/\/\/.*/, "", code)
  is_macro = continued || code ~ /^[ \t]*#[ \t]*define/
  continued = is_macro && code ~ /\\$/
}
!is_macro && code ~ /^[ \t]*(inline[ \t]+)?namespace([ \t{]|$)/ {
  if (code !~ /^namespace midtread_state([ \t{]|$)/ && code !~ /^[ \t]+namespace [a-z_]+ = /)
    breach("namespace", "end the open one and write MIDTREAD_NAMESPACE_BEGIN(outer::inner) for: " code)
}
!is_macro && code ~ /using[ \t]+namespace/ { breach("namespace", "using namespace") }
!is_macro && code ~ /(^|[^a-z_])assert[ \t]*\(/ && code !~ /static_assert/ { breach("assert", "throw a midtread::Error") }
!is_macro && (code ~ /^[ \t]*MIDTREAD_[A-Z0-9_]*BEGIN($|[^A-Z0-9_])/ || code ~ /pragma GCC push_options|pragma clang attribute push/) { ++depth }
!is_macro && (code ~ /^[ \t]*MIDTREAD_[A-Z0-9_]*END($|[^A-Z0-9_])/ || code ~ /pragma GCC pop_options|pragma clang attribute pop/) { --depth }

# #pragma once would hide a cycle until somebody includes the other file first.
function visit(node, trail,    parts, n, i) {
  if (state[node] == 2) return
  if (state[node] == 1) { print "include cycle:" trail " " node; ++breaches; return }
  state[node] = 1
  n = split(edges[node], parts, " ")
  for (i = 1; i <= n; ++i) visit(parts[i], trail " " node)
  state[node] = 2
}

END {
  end_of_file()
  for (node in edges) visit(node, "")
  print "headers=" files " breaches=" breaches + 0
  exit breaches > 0 || files == 0
}
