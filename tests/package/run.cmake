# Installs a build into an empty prefix, builds the consumer against that prefix and runs it.
# cmake -DBUILD=... -DCONSUMER=... -DMODEL=... -DWORK=... -P run.cmake
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -G Ninja -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer ${MODEL})
run(${WORK}/prefix/bin/fast-dllm inspect ${MODEL})
# The installed program finds the installed default model.
run(${WORK}/prefix/bin/fast-dllm generate --prompt "Compute 4 + 5." --gen-length 32)
