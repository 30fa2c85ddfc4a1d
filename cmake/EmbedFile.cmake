# Kernels' machine code in a library: writes the C++ source that defines what native/gpu/images.hpp declares. After the
# compiler's name come entries of the form FILE|ARCHITECTURE|PATH.
function(talaria_embed_images source compiler)
  set(section .rodata)
  set(prefix "")  # of C's names in assembly
  set(hidden .hidden)
  if(APPLE)
    set(section __TEXT,__const)
    set(prefix _)
    set(hidden .private_extern)
  endif()
  set(assembly "")
  set(symbols "")
  set(table "")
  set(paths "")
  set(index 0)
  foreach(entry ${ARGN})
    string(REPLACE "|" ";" parts "${entry}")
    list(GET parts 0 file)
    list(GET parts 1 architecture)
    list(GET parts 2 path)
    list(APPEND paths ${path})
    set(symbol talaria_image_${index})
    set(label ${prefix}${symbol})
    string(APPEND assembly
      "    \".balign 4096\\n${label}: .incbin \\\"${path}\\\"\\n${label}_end: .byte 0\\n\"\n"
      "    \"${hidden} ${label}\\n${hidden} ${label}_end\\n.globl ${label}\\n.globl ${label}_end\\n\"\n")
    string(APPEND symbols "extern \"C\" const unsigned char ${symbol}[], ${symbol}_end[];\n")
    string(APPEND table
      "    {\"${file}\", \"${architecture}\", ${symbol}, static_cast<size_t>(${symbol}_end - ${symbol})},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"// Written by cmake/EmbedFile.cmake.
#include \"images.hpp\"

asm(\".pushsection ${section}\\n\"
${assembly}    \".popsection\");

#pragma GCC visibility push(hidden)
${symbols}#pragma GCC visibility pop

namespace talaria::gpu {

static const Image all[] = {
${table}};
const Image* const images = all;
const size_t image_count = sizeof all / sizeof *all;
const char* const images_compiler = \"${compiler}\";

}  // namespace talaria::gpu
")
  set_source_files_properties(${source} PROPERTIES
    OBJECT_DEPENDS "${paths}" INCLUDE_DIRECTORIES ${CMAKE_SOURCE_DIR}/native/gpu)
endfunction()
