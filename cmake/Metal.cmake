# The Metal backend of Apple's GPUs, from kernels/metal: on macOS the real one, elsewhere for tests its kernels on the
# emulator, behind the same launch logic.
set(TALARIA_METAL AUTO CACHE STRING "the Metal backend: AUTO (on macOS), ON or OFF")
option(TALARIA_METAL_EMULATED "build the emulator of the Metal backend, libtalaria_metal_emulated, for tests" OFF)
file(GLOB TALARIA_METAL_KERNELS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/metal/*.metal)

# How clang sees .metal files: as C++14, with the shim in place of Metal's library.
set(TALARIA_METAL_SHIM_FLAGS -x c++ -std=c++14 -D__METAL_VERSION__=310 -I${CMAKE_SOURCE_DIR}/tests/metal/shim
  -ffp-contract=off -fno-exceptions -fno-rtti -fPIC -fvisibility=hidden -Wall -Wextra -Werror -Wvla -Wno-c++17-extensions
  -Wno-unused-function)

function(talaria_metal_emulated)
  set(folder ${CMAKE_BINARY_DIR}/metal)
  file(MAKE_DIRECTORY ${folder})
  set(objects "")
  foreach(source ${TALARIA_METAL_KERNELS})
    get_filename_component(name ${source} NAME_WE)
    set(output ${folder}/${name}.o)
    talaria_kernel(${output} ${folder}/${name}.txt ${source}
      ${TALARIA_CLANG} ${TALARIA_METAL_SHIM_FLAGS} -O2 -MD -MF ${output}.d -c -o ${output} ${source})
    set_source_files_properties(${output} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    list(APPEND objects ${output})
  endforeach()
  set(definitions TALARIA_METAL_EMULATED TALARIA_SIMT_SHARED_BYTES=32768)
  talaria_emulator(talaria_metal_emulator 32 ${definitions})
  talaria_backend(metal_emulated native/gpu/runtime_simt.cpp tests/metal/emulated.cpp ${TALARIA_GPU_SOURCES})
  target_compile_definitions(talaria_metal_emulated_objects PRIVATE TALARIA_SIMT TALARIA_SIMT_LANES=32 ${definitions})
  target_sources(talaria_metal_emulated PRIVATE $<TARGET_OBJECTS:talaria_metal_emulator> ${objects})
  if(NOT APPLE)
    target_link_options(talaria_metal_emulated PRIVATE -Wl,-z,nodelete)  # its threads live as long as the process
  endif()
endfunction()

if(TALARIA_METAL_EMULATED)
  talaria_find_clang()
  if(NOT TALARIA_CLANG_VERSION)
    message(FATAL_ERROR "TALARIA_METAL_EMULATED is ON, but there is no clang++ 18 or later")
  endif()
  talaria_metal_emulated()
endif()
