// SPDX-License-Identifier: MIT
// The steps of an int8 model as JSON text:
//   {"inputs": [[1, 1, 28, 28]], "outputs": [9], "steps": [{"name", "kind", "inputs", "numbers", "tensors"},
//   ...]}
#pragma once

#include <midtread/quantized/record.hpp>

#include <nlohmann/json.hpp>

#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(io)

struct Int8Program {
  struct Step {
    std::string name;
    std::string kind;
    std::vector<int> inputs;  ///< values: 0.. are the model's inputs, then one per step
    OrderedDict<std::vector<double>> numbers;
    std::vector<std::string> tensors;
  };
  std::vector<Shape> inputs;
  std::vector<int> outputs;
  std::vector<Step> steps;
};

inline constexpr std::size_t kMaxSteps = 16384, kMaxStepInputs = 1024;

inline std::string program_text(const Int8Program& program) {
  using nlohmann::json;
  const auto number =
      [](double value) -> json {  // integers without a fraction, the rest so that it reads back the same
    const bool whole =
        value == std::floor(value) && std::abs(value) < 0x1p53 && !(value == 0 && std::signbit(value));
    return whole ? json(static_cast<std::int64_t>(value)) : json(value);
  };
  json text{{"inputs", json::array()}, {"outputs", program.outputs}, {"steps", json::array()}};
  for (const Shape& shape : program.inputs)
    text["inputs"].push_back(std::vector<std::int64_t>(shape.begin(), shape.end()));
  for (const Int8Program::Step& step : program.steps) {
    json numbers = json::object();
    for (const auto& item : step.numbers) {
      numbers[item.first] = json::array();
      for (double value : item.second) numbers[item.first].push_back(number(value));
    }
    text["steps"].push_back({{"name", step.name},
                             {"kind", step.kind},
                             {"inputs", step.inputs},
                             {"numbers", numbers},
                             {"tensors", step.tensors}});
  }
  try {
    return text.dump();
  } catch (const nlohmann::json::exception&) {
    throw ConfigError("int8 model", "a step's name is not UTF-8");
  }
}

/// Reads the text; whatever is not as written above is a FormatError at `where`.
class Int8ProgramReader {
 public:
  explicit Int8ProgramReader(std::string where) : where_(std::move(where)) {}

  Int8Program read(const std::string& text) const {
    const nlohmann::json root = parse(text);
    check_keys(root, {"inputs", "outputs", "steps"}, "the program");
    Int8Program program;
    for (const auto& item : list(root["inputs"], "inputs", kMaxStepInputs)) {
      Shape shape;
      for (const auto& dim : list(item, "inputs", Shape::kMaxRank))
        shape.push_back(integer(dim, "inputs", std::int64_t{1} << 40));
      program.inputs.push_back(shape);
    }
    program.outputs = indices(root["outputs"], "outputs");
    for (const auto& item : list(root["steps"], "steps", kMaxSteps))
      program.steps.push_back(step(item, program.steps.size()));
    return program;
  }

 private:
  FormatError fail(const std::string& text) const { return FormatError(where_, "the program: " + text); }

  // Duplicate keys, of which the parser would keep the last, and deep nesting are refused on the way.
  nlohmann::json parse(const std::string& text) const {
    using nlohmann::json;
    std::vector<std::set<std::string>> keys;
    const json::parser_callback_t watch = [&](int depth, json::parse_event_t event, json& parsed) {
      if (depth > 6) throw fail("nested too deeply");
      if (event == json::parse_event_t::object_start) keys.emplace_back();
      if (event == json::parse_event_t::object_end) keys.pop_back();
      if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
        throw fail("the key '" + printable(parsed.get<std::string>()) + "' appears twice");
      return true;
    };
    try {
      return json::parse(text, watch);
    } catch (const json::exception& error) {
      throw fail("not JSON: " + printable(error.what()));
    }
  }
  void check_keys(const nlohmann::json& object, const std::set<std::string>& wanted,
                  const std::string& what) const {
    if (!object.is_object()) throw fail(what + " is not an object");
    for (const auto& item : object.items())
      if (!wanted.count(item.key()))
        throw fail(what + " has the unknown key '" + printable(item.key()) + "'");
    for (const std::string& key : wanted)
      if (!object.contains(key)) throw fail(what + " misses '" + key + "'");
  }
  const nlohmann::json& list(const nlohmann::json& value, const std::string& what, std::size_t most) const {
    if (!value.is_array() || value.size() > most)
      throw fail(concat("'", what, "' is not a list of at most ", most));
    return value;
  }
  std::int64_t integer(const nlohmann::json& value, const std::string& what, std::int64_t most) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(most))
      throw fail(concat("'", what, "' holds ", printable(value.dump()), ", allowed integers 0..", most));
    return value.get<std::int64_t>();
  }
  std::vector<int> indices(const nlohmann::json& value, const std::string& what) const {
    std::vector<int> out;
    for (const auto& item : list(value, what, kMaxStepInputs))
      out.push_back(static_cast<int>(integer(item, what, std::numeric_limits<int>::max())));
    return out;
  }
  std::string string(const nlohmann::json& value, const std::string& what) const {
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
      throw fail("'" + what + "' is not a name");
    return value.get<std::string>();
  }
  Int8Program::Step step(const nlohmann::json& item, std::size_t index) const {
    const std::string what = concat("step ", index);
    check_keys(item, {"name", "kind", "inputs", "numbers", "tensors"}, what);
    Int8Program::Step out;
    out.name = string(item["name"], what + ", name");
    out.kind = string(item["kind"], what + ", kind");
    out.inputs = indices(item["inputs"], what + ", inputs");
    if (!item["numbers"].is_object() || item["numbers"].size() > 64)
      throw fail(what + ", numbers is not an object of at most 64");
    for (const auto& entry : item["numbers"].items()) {
      std::vector<double> values;
      for (const auto& value : list(entry.value(), what + ", numbers", 64)) {
        if (!value.is_number())
          throw fail(what + ", '" + printable(entry.key()) + "' holds something that is not a number");
        values.push_back(value.get<double>());
      }
      out.numbers.insert(entry.key(), std::move(values));
    }
    for (const auto& name : list(item["tensors"], what + ", tensors", 64))
      out.tensors.push_back(string(name, what + ", tensors"));
    return out;
  }

  std::string where_;
};

MIDTREAD_NAMESPACE_END
