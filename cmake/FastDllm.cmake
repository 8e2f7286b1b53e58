# Project-wide compile settings and the two functions that every folder uses.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3")

find_program(FASTDLLM_CCACHE ccache)
if(FASTDLLM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FASTDLLM_CCACHE})
endif()

add_library(fdllm_settings INTERFACE)
target_include_directories(fdllm_settings INTERFACE ${PROJECT_SOURCE_DIR}/src
                                                    ${PROJECT_SOURCE_DIR}/include)
target_compile_options(fdllm_settings INTERFACE -Wall -Wextra -Wshadow -Wconversion
                                                -Wno-sign-conversion -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns wrongly about std::string's operator+ (GCC bug 105651).
  target_compile_options(fdllm_settings INTERFACE -Wno-restrict)
endif()
if(FASTDLLM_WERROR)
  target_compile_options(fdllm_settings INTERFACE -Werror)
endif()
if(FASTDLLM_SANITIZE)
  target_compile_options(fdllm_settings INTERFACE -fsanitize=${FASTDLLM_SANITIZE}
                                                  -fno-sanitize-recover=all
                                                  -fno-omit-frame-pointer -g)
  target_link_options(fdllm_settings INTERFACE -fsanitize=${FASTDLLM_SANITIZE})
endif()

# fdllm_library(NAME SOURCES a.cpp ... [DEPS base ...] [LIBS fmt::fmt ...])
# makes the static library fdllm_NAME of one folder; DEPS are other folders' names.
function(fdllm_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(fdllm_${name} STATIC ${arg_SOURCES})
  target_link_libraries(fdllm_${name} PRIVATE fdllm_settings fmt::fmt ${arg_LIBS})
  foreach(dep ${arg_DEPS})
    target_link_libraries(fdllm_${name} PRIVATE fdllm_${dep})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY FASTDLLM_LIBRARIES fdllm_${name})
endfunction()

# fdllm_test(NAME SOURCES a_test.cpp ... [DEPS ...] [LIBS ...]) makes the GoogleTest program
# NAME_test and registers each of its cases with CTest. FASTDLLM_SOURCE_DIR is defined in it.
function(fdllm_test name)
  if(NOT FASTDLLM_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(${name}_test ${arg_SOURCES})
  target_compile_definitions(${name}_test
                             PRIVATE FASTDLLM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name}_test PRIVATE fdllm_settings GTest::gtest_main fmt::fmt ${arg_LIBS})
  foreach(dep ${arg_DEPS})
    target_link_libraries(${name}_test PRIVATE fdllm_${dep})
  endforeach()
  gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
                       PROPERTIES TIMEOUT 600)
endfunction()

# fdllm_test_python(VARIABLE): the Python that has the packages of tools/requirements.txt.
set(FASTDLLM_PYTHON "" CACHE STRING
    "Python with the packages of tools/requirements.txt, for tests; default: .venv's")
function(fdllm_test_python variable)
  # Looked for at each configuration, since test.sh may make .venv after the first one.
  set(python ${FASTDLLM_PYTHON})
  if(NOT python)
    set(python python3)
    if(EXISTS ${PROJECT_SOURCE_DIR}/.venv/bin/python)
      set(python ${PROJECT_SOURCE_DIR}/.venv/bin/python)
    endif()
  endif()
  set(${variable} ${python} PARENT_SCOPE)
endfunction()

# fdllm_fuzz(NAME SOURCES a_fuzz.cpp ... [DEPS ...]) makes the libFuzzer program fuzz_NAME, whose
# corpus is tests/fuzz/corpus/NAME. Built only with FASTDLLM_FUZZ, by the target fuzz_targets; run
# by a build with tests when FASTDLLM_FUZZ_SECONDS is set.
if(FASTDLLM_FUZZ)
  add_custom_target(fuzz_targets)
endif()
function(fdllm_fuzz name)
  set_property(GLOBAL APPEND PROPERTY FASTDLLM_FUZZ_TARGETS ${name})
  if(NOT FASTDLLM_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(fuzz_${name} ${arg_SOURCES})
  target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_targets fuzz_${name})
  target_link_libraries(fuzz_${name} PRIVATE fdllm_settings fmt::fmt ${arg_LIBS})
  foreach(dep ${arg_DEPS})
    target_link_libraries(fuzz_${name} PRIVATE fdllm_${dep})
  endforeach()
endfunction()

# fdllm_benchmark(NAME SOURCES a_bench.cpp ... [DEPS ...]): a Google Benchmark program.
function(fdllm_benchmark name)
  if(NOT FASTDLLM_BENCHMARKS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(${name}_bench ${arg_SOURCES})
  target_link_libraries(${name}_bench PRIVATE fdllm_settings fmt::fmt benchmark::benchmark_main
                                              ${arg_LIBS})
  foreach(dep ${arg_DEPS})
    target_link_libraries(${name}_bench PRIVATE fdllm_${dep})
  endforeach()
endfunction()
