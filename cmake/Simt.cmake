# The emulator's backends: libtalaria_simt with hardware warps of 32 lanes, libtalaria_simt64 with 64. Without
# TALARIA_SIMT they are built when asked for by name.

# The emulator alone, as objects. Behind the lanes come further definitions.
function(talaria_emulator name lanes)
  add_library(${name} OBJECT EXCLUDE_FROM_ALL
    ${CMAKE_SOURCE_DIR}/tests/simt/fiber.cpp ${CMAKE_SOURCE_DIR}/tests/simt/block.cpp
    ${CMAKE_SOURCE_DIR}/tests/simt/simt.cpp)
  talaria_target(${name})
  target_compile_definitions(${name} PRIVATE TALARIA_SIMT_LANES=${lanes} ${ARGN})
  target_compile_options(${name} PRIVATE -O2)
endfunction()

# How kernels are compiled as C++: the same bits as on a GPU, and at a speed that tests can bear.
set(TALARIA_SIMT_KERNEL_OPTIONS -O2 -ffp-contract=off -Wno-unused-function -Wno-unknown-pragmas)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # which does not see that a thread of matmul.h stores only what it has loaded
  list(APPEND TALARIA_SIMT_KERNEL_OPTIONS -Wno-maybe-uninitialized)
endif()
if(TALARIA_SANITIZE)
  list(APPEND TALARIA_SIMT_KERNEL_OPTIONS -O1)  # checks in every unrolled loop would otherwise take minutes to compile
endif()

function(talaria_simt name lanes)
  talaria_emulator(talaria_${name}_emulator ${lanes})
  file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/gpu/*.cu)
  set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "${TALARIA_SIMT_KERNEL_OPTIONS}")
  talaria_backend(${name} native/gpu/runtime_simt.cpp ${TALARIA_GPU_SOURCES} ${kernels})
  target_compile_definitions(talaria_${name}_objects PRIVATE TALARIA_SIMT TALARIA_SIMT_LANES=${lanes})
  target_sources(talaria_${name} PRIVATE $<TARGET_OBJECTS:talaria_${name}_emulator>)
  if(NOT APPLE)
    target_link_options(talaria_${name} PRIVATE -Wl,-z,nodelete)  # its threads live as long as the process
  endif()
  if(NOT TALARIA_SIMT OR (TALARIA_SIMT STREQUAL 32 AND NOT lanes EQUAL 32))
    set_target_properties(talaria_${name} talaria_${name}_objects PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
endfunction()
