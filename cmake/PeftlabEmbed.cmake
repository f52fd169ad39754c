# peftlab_embed(<target> <table> <directory> <pattern>...): compiles files into a target as the table
# `const struct embed <table>[]`, named by their path below the directory.
function(peftlab_embed target table directory)
  set(source ${CMAKE_BINARY_DIR}/generated/${table}.c)
  set(text "/* Made by the build from the files in ${directory}. */\n#include \"base/embed.h\"\n")
  set(rows "")
  set(files "")
  foreach(pattern ${ARGN})
    file(GLOB_RECURSE found CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/${directory}
         ${CMAKE_SOURCE_DIR}/${directory}/${pattern})
    list(APPEND files ${found})
  endforeach()
  set(n 0)
  foreach(name ${files})
    set(path ${CMAKE_SOURCE_DIR}/${directory}/${name})
    list(APPEND paths ${path})
    string(APPEND text "__asm__(\".section .rodata\\n.balign 64\\n${table}_${n}:\\n.incbin \\\"${path}\\\"\\n"
           "${table}_${n}_end:\\n.byte 0\\n.previous\\n\");\n"
           "extern const unsigned char ${table}_${n}[], ${table}_${n}_end[];\n")
    file(SIZE ${path} size)
    string(APPEND rows "    {\"${name}\", ${table}_${n}, ${size}},\n")
    math(EXPR n "${n} + 1")
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${paths})
  string(APPEND text "extern const struct embed ${table}[];\nconst struct embed ${table}[] = {\n${rows}    {0}};\n")
  file(CONFIGURE OUTPUT ${source} CONTENT "${text}" @ONLY)
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${paths}")
  target_sources(${target} PRIVATE ${source})
endfunction()
