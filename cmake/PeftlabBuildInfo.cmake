# Run at every build: writes generated/build_info.h, touching it only when something changed.
cmake_minimum_required(VERSION 3.23)
execute_process(COMMAND git rev-parse HEAD WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE commit ERROR_QUIET
                OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND git status --porcelain WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE changes ERROR_QUIET)
if(NOT commit)
  set(commit "unknown")
endif()
set(dirty false)
if(changes)
  set(dirty true)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "/* Made by the build. */
#include <stdbool.h>
#define BUILD_VERSION \"@VERSION@\"
#define BUILD_COMMIT \"@commit@\"
#define BUILD_DIRTY @dirty@
#define BUILD_COMPILER \"@COMPILER@\"
#define BUILD_FLAGS \"@FLAGS@\"
" @ONLY)
