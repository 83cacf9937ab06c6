// SPDX-License-Identifier: MIT
// one_answer_check DIRECTORY NAME...: runs saved int8 models with every engine and instruction set of this
// CPU; the outputs must be the saved ones, bit for bit.
#include <midtread/io/int8_model.hpp>
#include <midtread/io/state_dict.hpp>
#include <midtread/runtime.hpp>
#include <midtread/tensor/compare.hpp>

#include <cstdio>
#include <string>

namespace mt = midtread;

namespace {

mt::Tensors tensors(const mt::nn::StateDict& state, const std::string& prefix) {
  mt::Tensors out;
  for (int i = 0;; ++i) {
    const mt::AnyTensor* tensor = state.find(prefix + std::to_string(i));
    if (tensor == nullptr) return out;
    out.push_back(mt::get_tensor<float>(*tensor, prefix));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  int cases = 0, different = 0;
  for (int i = 2; i < argc; ++i) {
    const std::string path = std::string(argv[1]) + "/" + argv[i];
    const mt::nn::StateDict state = mt::io::load_state_dict(path + ".tensors");
    const mt::Tensors inputs = tensors(state, "input_"), expected = tensors(state, "output_");
    for (const auto engine : {mt::Engine::kReference, mt::Engine::kFbgemm, mt::Engine::kQnnpack})
      for (const std::string& isa : mt::available_isas(engine)) {
        mt::set_engine(mt::kernels::to_string(engine));
        mt::set_isa(isa);
        const mt::Tensors got = mt::io::load_int8_model(path + ".int8")(inputs);
        bool same = got.size() == expected.size();
        for (std::size_t k = 0; same && k < got.size(); ++k) same = mt::identical(got[k], expected[k]);
        if (!same)
          std::printf("FAILED: %s differs with %s, %s\n", argv[i], mt::kernels::to_string(engine),
                      isa.c_str());
        different += same ? 0 : 1;
        ++cases;
      }
  }
  std::printf("cases=%d\n", cases);
  return different != 0 || cases == 0;
} catch (const mt::Error& error) {
  std::fprintf(stderr, "FAILED: %s\n", error.what());
  return 1;
}
