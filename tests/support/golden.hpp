// SPDX-License-Identifier: MIT
// Golden vectors: cases made by executing PyTorch (tests/golden/make_goldens.py), read from
// $MIDTREAD_GOLDEN_DIR or, if that is not set, from where the sources are.
#pragma once

#include <midtread/tensor/factory.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#ifndef MIDTREAD_GOLDEN_DIR_DEFAULT
#define MIDTREAD_GOLDEN_DIR_DEFAULT "tests/golden"
#endif

namespace golden {

using Json = nlohmann::json;

/// |a - b| <= abs + rel * |b|; integers within `integer`. All 0: equal (0 equals -0, NaN equals NaN).
struct Tolerance {
  double abs = 0;
  double rel = 0;
  int integer = 0;
};

struct Case {
  std::string id;
  std::string op;
  std::string source;
  int seed = 0;
  Json attrs;
  Json inputs;
  Json expected;
  Tolerance tolerance;
};

inline std::string directory() {
  const char* set = std::getenv("MIDTREAD_GOLDEN_DIR");
  return set ? set : MIDTREAD_GOLDEN_DIR_DEFAULT;
}

/// The cases of <directory>/<name>.json with references to other cases' inputs resolved. Throws where there
/// are none.
inline std::vector<Case> load(const std::string& name) {
  const std::string path = directory() + "/" + name + ".json";
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path + "; set MIDTREAD_GOLDEN_DIR");
  const Json root = Json::parse(file);
  std::vector<Case> cases;
  for (const Json& item : root.at("cases")) {
    Case c;
    c.id = item.at("id");
    c.op = item.at("op");
    c.source = item.at("source");
    c.seed = item.at("seed");
    c.attrs = item.at("attrs");
    c.inputs = item.at("inputs");
    c.expected = item.at("expected");
    const Json& tolerance = item.at("tol");
    c.tolerance = {tolerance.value("abs", 0.0), tolerance.value("rel", 0.0), tolerance.value("int", 0)};
    if (c.inputs.contains("same_as_previous")) c.inputs = cases.at(cases.size() - 1).inputs;
    cases.push_back(std::move(c));
  }
  if (cases.empty()) throw std::runtime_error(path + " holds no cases");
  const std::vector<Case> all = cases;
  for (Case& c : cases) {
    if (!c.inputs.contains("same_batches_as")) continue;
    const Json wanted = c.inputs.at("same_batches_as");
    for (const Case& other : all)
      if (other.inputs.contains("batches") && other.seed == wanted.at("seed") &&
          other.attrs.value("kind", Json()) == wanted.at("kind"))
        c.inputs = other.inputs;
    if (!c.inputs.contains("batches")) throw std::runtime_error(c.id + ": no case has these batches");
  }
  return cases;
}

/// A number, or one of the strings "nan", "inf", "-inf".
template <class Scalar>
Scalar number(const Json& value) {
  if (!value.is_string()) return static_cast<Scalar>(value.get<double>());
  if constexpr (std::is_floating_point_v<Scalar>) {
    const std::string text = value;
    if (text == "nan") return std::nanf("");
    if (text == "inf") return static_cast<Scalar>(HUGE_VAL);
    if (text == "-inf") return static_cast<Scalar>(-HUGE_VAL);
  }
  throw std::runtime_error("not a number: " + value.dump());
}

/// Row-major. Integers convert to any scalar type that holds them; a quantized tensor gives its codes.
template <class Scalar = float>
midtread::BasicTensor<Scalar> tensor(const Json& value) {
  std::vector<Scalar> data;
  for (const Json& each : value.at("data")) data.push_back(number<Scalar>(each));
  return midtread::from_vector(data, midtread::Shape(value.at("shape").get<std::vector<std::int64_t>>()));
}

/// Empty where all is as expected, else the first element that is not: "element 3: got 1, expected 2".
template <class Scalar>
std::string difference(const midtread::BasicTensor<Scalar>& got,
                       const midtread::BasicTensor<Scalar>& expected, const Tolerance& tolerance) {
  if (got.shape() != expected.shape())
    return midtread::concat("shape ", got.shape(), ", expected ", expected.shape());
  const std::vector<Scalar> a = got.to_vector(), b = expected.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    bool same = x == y || (std::isnan(x) && std::isnan(y));
    if (!same && std::is_integral_v<Scalar>) same = std::abs(x - y) <= tolerance.integer;
    if (!same && !std::is_integral_v<Scalar> && tolerance.abs + tolerance.rel > 0)
      same = std::abs(x - y) <= tolerance.abs + tolerance.rel * std::abs(y);
    if (!same) {
      std::ostringstream out;
      out.precision(9);
      out << "element " << i << ": got " << x << ", expected " << y;
      return out.str();
    }
  }
  return {};
}

}  // namespace golden
