# SPDX-License-Identifier: Apache-2.0
cmake_minimum_required(VERSION 3.25)
# Runs `rulec check`, which may find nothing to warn of, and `rulec test` over every rule file that is
# shipped, each by itself: a file must be right without the help of its neighbours. RULEC is the command, ROOT the source tree.
file(GLOB_RECURSE files ${ROOT}/rules/*.rules ${ROOT}/examples/*.rules)
if(NOT files)
  message(FATAL_ERROR "no rule files under ${ROOT}/rules")
endif()
set(ENV{RULEC_PATH} ${ROOT}/rules)
# And all are laid out as `rulec fmt` lays them out.
execute_process(COMMAND ${RULEC} fmt --check ${files}
  OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(SEND_ERROR "rulec fmt --check: ${status}\n${out}${err}")
endif()

foreach(file IN LISTS files)
  foreach(command check test)
    execute_process(COMMAND ${RULEC} ${command} ${file}
      OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE status)
    if(NOT status EQUAL 0 OR (command STREQUAL check AND err MATCHES "warning: "))
      message(SEND_ERROR "rulec ${command} ${file}: ${status}\n${out}${err}")
    else()
      string(REGEX MATCH "[0-9]+ passed, [0-9]+ failed|[0-9]+ rules? in [^\n]*" last "${out}${err}")
      message(STATUS "rulec ${command} ${file}: ${last}")
    endif()
  endforeach()
endforeach()

# Files of one folder are one package, and meet one another's rules.
file(GLOB folders ${ROOT}/rules/*)
foreach(folder IN LISTS folders)
  file(GLOB files ${folder}/*.rules)
  if(files)
    execute_process(COMMAND ${RULEC} check ${files}
      OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE status)
    if(NOT status EQUAL 0 OR err MATCHES "warning: ")
      message(SEND_ERROR "rulec check ${folder}/*.rules: ${status}\n${out}${err}")
    endif()
  endif()
endforeach()
