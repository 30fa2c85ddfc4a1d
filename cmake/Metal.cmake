# The Metal backend of Apple's GPUs, from kernels/metal: on macOS the real one, elsewhere for tests its kernels on the
# emulator, behind the same launch logic.
set(TALARIA_METAL AUTO CACHE STRING "the Metal backend: AUTO (on macOS), ON or OFF")
option(TALARIA_METAL_LIBRARY "compile its kernels now, by Xcode's metal, and not when a device is opened" OFF)
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

# The sources that the library compiles at run time: each kernel's file with its headers in it, in TALARIA_METAL_FLAT.
function(talaria_metal_flatten)
  set(folder ${CMAKE_BINARY_DIR}/metal/flat)
  file(MAKE_DIRECTORY ${folder})
  file(GLOB headers CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/kernels/metal/*.h ${CMAKE_SOURCE_DIR}/kernels/gpu/*.h ${CMAKE_SOURCE_DIR}/kernels/common/*.h)
  set(flat "")
  foreach(source ${TALARIA_METAL_KERNELS})
    get_filename_component(name ${source} NAME)
    set(output ${folder}/${name})
    add_custom_command(OUTPUT ${output}
      COMMAND awk -f ${CMAKE_SOURCE_DIR}/cmake/flatten.awk ${source} > ${output}
      DEPENDS ${source} ${headers} ${CMAKE_SOURCE_DIR}/cmake/flatten.awk VERBATIM)
    list(APPEND flat ${output})
  endforeach()
  set(TALARIA_METAL_FLAT ${flat} PARENT_SCOPE)
endfunction()

function(talaria_metal_backend)
  talaria_metal_flatten()
  set(folder ${CMAKE_BINARY_DIR}/metal)
  set(entries "")
  if(TALARIA_METAL_LIBRARY)
    set(airs "")
    foreach(source ${TALARIA_METAL_FLAT})
      get_filename_component(name ${source} NAME_WE)
      add_custom_command(OUTPUT ${folder}/${name}.air
        COMMAND xcrun -sdk macosx metal -std=metal3.0 -O2 -fno-fast-math -c ${source} -o ${folder}/${name}.air
        DEPENDS ${source} VERBATIM)
      list(APPEND airs ${folder}/${name}.air)
    endforeach()
    add_custom_command(OUTPUT ${folder}/kernels.metallib
      COMMAND xcrun -sdk macosx metallib ${airs} -o ${folder}/kernels.metallib DEPENDS ${airs} VERBATIM)
    list(APPEND entries "kernels|metallib|${folder}/kernels.metallib")
  else()
    foreach(source ${TALARIA_METAL_FLAT})
      get_filename_component(name ${source} NAME_WE)
      list(APPEND entries "${name}|source|${source}")
    endforeach()
  endif()
  talaria_embed_images(${folder}/images.cpp "Metal" ${entries})
  talaria_gpu_backend(metal native/metal/runtime_metal.mm ${folder}/images.cpp)
  target_compile_options(talaria_metal_objects PRIVATE -mmacosx-version-min=13.0)
  set_source_files_properties(native/metal/runtime_metal.mm PROPERTIES COMPILE_OPTIONS -fobjc-arc)
  target_link_libraries(talaria_metal PRIVATE "-framework Metal" "-framework Foundation")
  message(STATUS "Talaria: Metal backend, for macOS 13 and later")
endfunction()

if(APPLE AND NOT TALARIA_METAL STREQUAL OFF)
  talaria_metal_backend()
elseif(TALARIA_METAL STREQUAL ON)
  message(FATAL_ERROR "TALARIA_METAL is ON, but the Metal backend needs macOS")
endif()
if(TALARIA_METAL_EMULATED)
  talaria_find_clang()
  if(NOT TALARIA_CLANG_VERSION)
    message(FATAL_ERROR "TALARIA_METAL_EMULATED is ON, but there is no clang++ 18 or later")
  endif()
  talaria_metal_emulated()
  if(NOT APPLE)
    talaria_metal_flatten()
    add_custom_target(talaria_metal_flat DEPENDS ${TALARIA_METAL_FLAT})
  endif()
endif()
