# What `cmake --install` leaves: the library with its headers, CMake package and .pc file, and the program with its
# completions and man page.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fieldprint)
install(TARGETS fieldprint EXPORT fieldprint-targets)
install(DIRECTORY include/fieldprint DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT fieldprint-targets NAMESPACE fieldprint:: DESTINATION ${package_dir})
configure_package_config_file(cmake/fieldprint-config.cmake.in fieldprint-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(fieldprint-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fieldprint-config.cmake ${PROJECT_BINARY_DIR}/fieldprint-config-version.cmake
        DESTINATION ${package_dir})

# Relative to where the file lies, so that `cmake --install --prefix` may put the tree anywhere.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix /${pc_dir} /)
string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
configure_file(cmake/fieldprint.pc.in fieldprint.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/fieldprint.pc DESTINATION ${pc_dir})

if(NOT FIELDPRINT_CLI)
  return()
endif()
install(TARGETS fieldprint_cli fieldprint_verify)

# The program tells its flags itself, so these are made by it, when they are installed.
set(share ${PROJECT_BINARY_DIR}/share)
file(MAKE_DIRECTORY ${share})
install(CODE "
  foreach(shell bash zsh fish)
    execute_process(COMMAND $<TARGET_FILE:fieldprint_cli> completion \${shell} OUTPUT_FILE ${share}/fieldprint.\${shell}
                    COMMAND_ERROR_IS_FATAL ANY)
  endforeach()")
install(FILES ${share}/fieldprint.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME fieldprint)
install(FILES ${share}/fieldprint.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _fieldprint)
install(FILES ${share}/fieldprint.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

find_program(PYTHON3 python3)
if(PYTHON3)
  install(CODE "
    execute_process(COMMAND ${PYTHON3} ${PROJECT_SOURCE_DIR}/tools/man_page $<TARGET_FILE:fieldprint_cli>
                    OUTPUT_FILE ${share}/fieldprint.1 COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES ${share}/fieldprint.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
