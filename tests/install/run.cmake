# SPDX-License-Identifier: Apache-2.0
# cmake -DBUILD=… -DSOURCE=… -DWORK=… -P run.cmake: installs the build and consumes it.
foreach(command IN ITEMS
    "${CMAKE_COMMAND};--install;${BUILD};--prefix;${WORK}/prefix"
    "${CMAKE_COMMAND};-S;${SOURCE};-B;${WORK}/build;-G;Ninja;-DCMAKE_PREFIX_PATH=${WORK}/prefix"
    "${CMAKE_COMMAND};--build;${WORK}/build"
    "${WORK}/build/consumer;${WORK}/prefix/share/rulec/rules"
    "${WORK}/build/runner"
    "${WORK}/prefix/bin/rulec;version")
  execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${command} failed (${status}):\n${out}")
  endif()
endforeach()

if(NOT LIBRARY)
  return()
endif()
# librulec: small, exporting its C interface and needing the C library only; the example in C builds
# with it and nothing else, and runs an engine that the installed command made.
set(example ${SOURCE}/../../examples)
file(COPY ${LIBRARY} DESTINATION ${WORK} FOLLOW_SYMLINK_CHAIN)
get_filename_component(stripped ${LIBRARY} REALPATH)
get_filename_component(stripped ${stripped} NAME)
foreach(command IN ITEMS
    "strip;${WORK}/${stripped}"
    "readelf;-dW;${WORK}/${stripped}"
    "nm;-D;--defined-only;${WORK}/${stripped}"
    "${CMAKE_COMMAND};-S;${example}/c;-B;${WORK}/c;-G;Ninja;-DCMAKE_PREFIX_PATH=${WORK}/prefix"
    "${CMAKE_COMMAND};--build;${WORK}/c"
    "${WORK}/prefix/bin/rulec;build;${example}/shapes/shapes.onnx;-o;${WORK}/shapes.engine"
    "${WORK}/c/run;${WORK}/shapes.engine")
  execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${command} failed (${status}):\n${out}${err}")
  endif()
  list(GET command 0 program)
  if(program STREQUAL "readelf")
    string(REGEX MATCHALL "Shared library: \\[[^]]*" needed "${out}")
    list(FILTER needed EXCLUDE REGEX "\\[(libc|libm|ld-linux-x86-64|ld-linux-aarch64)\\.so")
    if(needed)
      message(FATAL_ERROR "librulec needs ${needed}")
    endif()
  elseif(program STREQUAL "nm")
    string(REGEX REPLACE "[0-9a-f]+ T rulec_[a-z_]+\n" "" others "${out}")
    if(others)
      message(FATAL_ERROR "librulec exports more than its interface:\n${others}")
    endif()
  endif()
endforeach()
message(STATUS "${out}")
file(SIZE ${WORK}/${stripped} size)
message(STATUS "librulec: ${size} bytes, stripped")
if(size GREATER 6000000)
  message(FATAL_ERROR "librulec has ${size} bytes; 6 MB are allowed")
endif()
