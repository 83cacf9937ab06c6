# SPDX-License-Identifier: MIT
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(midtread_cmake_dir ${CMAKE_INSTALL_DATADIR}/cmake/midtread)
configure_package_config_file(cmake/midtread-config.cmake.in midtread-config.cmake
  INSTALL_DESTINATION ${midtread_cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/midtread-config-version.cmake
  COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)

install(TARGETS midtread EXPORT midtread-targets)
install(EXPORT midtread-targets NAMESPACE midtread:: DESTINATION ${midtread_cmake_dir})
install(DIRECTORY include/midtread DESTINATION include FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inc")
install(FILES
  ${PROJECT_BINARY_DIR}/midtread-config.cmake
  ${PROJECT_BINARY_DIR}/midtread-config-version.cmake
  cmake/dependencies.cmake
  DESTINATION ${midtread_cmake_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/midtread)
