# What `cmake --install` installs: the program, one shared library made of the folder libraries, the
# public headers and the package that find_package(fastdllm) finds.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(fastdllm_objects "")
foreach(folder base quant formats text backend model decode engine)
  if(TARGET fdllm_${folder})
    get_target_property(type fdllm_${folder} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
      list(APPEND fastdllm_objects $<TARGET_OBJECTS:fdllm_${folder}>)
    endif()
  endif()
endforeach()

if(FASTDLLM_CUDA)
  list(APPEND fastdllm_objects $<TARGET_OBJECTS:fdllm_cuda_kernels>)
  set(fastdllm_device_libraries CUDA::cudart_static)
endif()

add_library(fastdllm SHARED ${fastdllm_objects})
add_library(fastdllm::fastdllm ALIAS fastdllm)
set_target_properties(fastdllm PROPERTIES
                      LINKER_LANGUAGE CXX
                      VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_compile_features(fastdllm INTERFACE cxx_std_20)
target_include_directories(fastdllm INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(fastdllm PRIVATE fmt::fmt PkgConfig::PCRE2 PkgConfig::UTF8PROC
                                       Threads::Threads ${fastdllm_device_libraries})
if(FASTDLLM_SANITIZE)
  target_link_options(fastdllm PRIVATE -fsanitize=${FASTDLLM_SANITIZE})
endif()

if(TARGET fast-dllm)
  set_target_properties(fast-dllm PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS fast-dllm RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS fastdllm EXPORT fastdllm
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/fastdllm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
# The program finds its default model there.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fastdllm/models)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fastdllm)
install(EXPORT fastdllm NAMESPACE fastdllm:: FILE fastdllmTargets.cmake
        DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/fastdllmConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/fastdllmConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fastdllmConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fastdllmConfig.cmake
              ${PROJECT_BINARY_DIR}/fastdllmConfigVersion.cmake
        DESTINATION ${package_dir})
