# The CUDA back end's build: with nvcc (FASTDLLM_CUDA), or, for tests without it, as fibres on the
# host (FASTDLLM_CUDA_EMULATION, set here).
set(FASTDLLM_CUDA_EMULATION OFF)
if(FASTDLLM_CUDA)
  if(FASTDLLM_CUDA_ARCHITECTURES STREQUAL "every")
    set(CMAKE_CUDA_ARCHITECTURES 80 86 89 90a 100 120)
  else()
    set(CMAKE_CUDA_ARCHITECTURES ${FASTDLLM_CUDA_ARCHITECTURES})
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  find_package(CUDAToolkit REQUIRED)

  # Settings of a target whose sources are kernels. Multiplications and additions are fused where
  # the code says so, as in the emulation.
  function(fdllm_cuda_target target)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src
                                                 ${PROJECT_SOURCE_DIR}/include)
    target_compile_options(${target} PRIVATE --expt-relaxed-constexpr -fmad=false -lineinfo
                                             -Xptxas=-v)
    target_link_libraries(${target} PRIVATE fmt::fmt)
  endfunction()
elseif(FASTDLLM_TESTS AND NOT FASTDLLM_SANITIZE MATCHES "thread")
  find_package(Boost 1.71 QUIET COMPONENTS context)
  if(Boost_CONTEXT_FOUND)
    set(FASTDLLM_CUDA_EMULATION ON)
  else()
    message(STATUS "No Boost.Context: the CUDA back end is not tested on the emulated device")
  endif()
endif()
