# SPDX-License-Identifier: MIT
# For midtread's own tests, examples and benchmarks; nothing here reaches a user of the library.
option(MIDTREAD_WERROR "Treat warnings in midtread's own programs as errors" ON)
set(MIDTREAD_SANITIZE "" CACHE STRING "Sanitizers of midtread's own programs, as in -fsanitize=")

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

add_library(midtread_development INTERFACE)
target_link_libraries(midtread_development INTERFACE midtread::midtread)
target_compile_options(midtread_development INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
if(MIDTREAD_WERROR)
  # GCC 12 at -O3 sees array bounds broken inside std::vector, where they are not.
  target_compile_options(midtread_development INTERFACE -Werror
    "$<$<CXX_COMPILER_ID:GNU>:-Wno-error=array-bounds;-Wno-error=stringop-overflow;-Wno-error=stringop-overread>")
endif()
if(MIDTREAD_SANITIZE)
  set(sanitize -fsanitize=${MIDTREAD_SANITIZE})
  target_compile_options(midtread_development INTERFACE ${sanitize} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(midtread_development INTERFACE ${sanitize})
endif()
