// SPDX-License-Identifier: MIT
// The frame of an example program: arguments in, results as JSON out, errors in one line with the status of
// their kind.
#pragma once

#include <midtread/core/error.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <string>

namespace examples {

/// Parses, calls run() -> JSON, and writes what it gives to the file `json` names after parsing, if any.
template <class Run>
int run_program(CLI::App& app, int argc, char** argv, const std::string& json, Run&& run) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "error: %s; --help lists the options\n", error.what());
    return 2;
  }
  try {
    std::ofstream file;  // opened first: training for a file that cannot be written is lost time
    if (!json.empty()) {
      file.open(json);
      if (!file) throw midtread::IoError(json, "cannot be written; check the directory and its permissions");
    }
    const nlohmann::ordered_json results = run();
    if (!file.is_open()) return 0;
    file << results.dump(2) << '\n';
    if (!file.flush()) throw midtread::IoError(json, "writing failed; is the disk full?");
    return 0;
  } catch (const midtread::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return midtread::exit_status(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

}  // namespace examples
