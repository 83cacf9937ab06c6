# SPDX-License-Identifier: MIT
# Tests of the package as a whole, label `package`: shell scripts that need nothing but the compiler, CMake and binutils.

# midtread_add_script(name script argument...): ctest entry package/<name>.
function(midtread_add_script name script)
  set(entry ${MIDTREAD_TEST_PREFIX}package/${name})
  add_test(NAME ${entry} COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${ARGN})
  set_tests_properties(${entry} PROPERTIES LABELS package TIMEOUT 1200)
endfunction()

get_target_property(eigen_include Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
set(include ${PROJECT_SOURCE_DIR}/include)
set(scratch ${CMAKE_CURRENT_BINARY_DIR}/package)
set(environment "CXX=${CMAKE_CXX_COMPILER};MIDTREAD_INCLUDE=${include};EIGEN_INCLUDE=${eigen_include}")

midtread_add_script(structure structure/check.sh ${include})
midtread_add_script(structure_check_bites structure/check_bites.sh)

foreach(way find_package add_subdirectory fetch_content include_path)
  midtread_add_script(consumer_${way} install/run.sh ${way} ${scratch}/${way} ${PROJECT_BINARY_DIR})
endforeach()

midtread_add_script(mixed_flags odr/run.sh ${scratch}/odr)
midtread_add_script(no_fused_arithmetic contract/run.sh ${scratch}/contract)
midtread_add_script(tile_instructions contract/tiles.sh ${scratch}/tiles)
midtread_add_script(misuse_does_not_compile misuse/run.sh ${scratch}/misuse)

if(MIDTREAD_HEADER_TESTS)
  midtread_add_script(headers_alone structure/headers_alone.sh ${scratch}/headers)
  set_tests_properties(${MIDTREAD_TEST_PREFIX}package/headers_alone PROPERTIES RUN_SERIAL ON)
endif()

# The kernels as ARM programs under qemu: tests/arm/run.sh.
find_program(MIDTREAD_ARM_COMPILER aarch64-linux-gnu-g++)
find_program(MIDTREAD_ARM_EMULATOR qemu-aarch64)
set(arm no)
if(MIDTREAD_ARM_COMPILER AND MIDTREAD_ARM_EMULATOR AND EXISTS /usr/src/googletest)
  set(arm quick)
endif()
set(MIDTREAD_ARM_TESTS ${arm} CACHE STRING "Kernel tests under qemu: full, quick or no")
if(MIDTREAD_ARM_TESTS)
  midtread_add_script(arm arm/run.sh ${MIDTREAD_ARM_TESTS} ${scratch}/arm)
  set_property(TEST ${MIDTREAD_TEST_PREFIX}package/arm APPEND PROPERTY LABELS arm)
  set_tests_properties(${MIDTREAD_TEST_PREFIX}package/arm PROPERTIES RUN_SERIAL ON TIMEOUT 2400)
endif()

get_property(entries DIRECTORY PROPERTY TESTS)
foreach(entry IN LISTS entries)
  if(entry MATCHES "package/")
    set_property(TEST ${entry} APPEND PROPERTY ENVIRONMENT "${environment}" "CMAKE=${CMAKE_COMMAND}")
  endif()
endforeach()
