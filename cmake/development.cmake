# SPDX-License-Identifier: MIT
# For midtread's own tests, examples and benchmarks; nothing here reaches a user of the library.
option(MIDTREAD_WERROR "Treat warnings in midtread's own programs as errors" ON)
set(MIDTREAD_SANITIZE "" CACHE STRING "Sanitizers of midtread's own programs, as in -fsanitize=")

add_library(midtread_development INTERFACE)
target_link_libraries(midtread_development INTERFACE midtread::midtread)
target_compile_options(midtread_development INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
if(MIDTREAD_WERROR)
  target_compile_options(midtread_development INTERFACE -Werror)
endif()
if(MIDTREAD_SANITIZE)
  set(sanitize -fsanitize=${MIDTREAD_SANITIZE})
  target_compile_options(midtread_development INTERFACE ${sanitize} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(midtread_development INTERFACE ${sanitize})
endif()
