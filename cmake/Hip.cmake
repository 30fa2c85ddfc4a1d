# The HIP backend: kernels/gpu compiled by clang into one code object per file and architecture. Neither ROCm's headers
# nor its device libraries are needed, and ROCm itself only at run time.
set(TALARIA_HIP AUTO CACHE STRING "the HIP backend: AUTO (if there are clang 18 and lld), ON or OFF")
# Further ones that clang 19 knows and that kernels are built for on demand: gfx942 gfx1102 gfx1151 gfx1200 gfx1201.
set(TALARIA_HIP_ARCHS "gfx906;gfx908;gfx90a;gfx1030;gfx1100;gfx1101" CACHE STRING "architectures to build kernels for")

set(TALARIA_HIP_FLAGS -x hip --cuda-device-only --no-gpu-bundle-output -nogpuinc -nogpulib -mcode-object-version=5
  -std=c++17 -O3 -ffp-contract=off -Wall -Wno-pass-failed)

# Sets the result to why clang cannot compile kernels for an architecture; to nothing if it can. Those of processors'
# graphics often have no dot product of int8, and must not keep a build from GPUs that have.
function(talaria_hip_obstacle arch result)
  set(trial ${CMAKE_BINARY_DIR}/hip/trial)
  file(WRITE ${trial}.hip
"extern \"C\" __attribute__((global)) void trial(int* a) {
#if defined(__GFX11__) || defined(__GFX12__)
  *a = __builtin_amdgcn_sudot4(true, a[1], true, a[2], *a, false);
#else
  *a = __builtin_amdgcn_sdot4(a[1], a[2], *a, false);
#endif
}
")
  execute_process(COMMAND ${TALARIA_CLANG} ${TALARIA_HIP_FLAGS} --offload-arch=${arch} -o ${trial}.co ${trial}.hip
    RESULT_VARIABLE failed ERROR_VARIABLE text OUTPUT_QUIET)
  string(REGEX MATCH "error: [^\n]*" error "${text}")
  string(REGEX REPLACE "\n.*" "" text "${text}")
  if(error)
    string(REPLACE "error: " "" text "${error}")
  endif()
  if(failed STREQUAL 0)
    set(text "")
  endif()
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

function(talaria_hip_backend archs)
  set(folder ${CMAKE_BINARY_DIR}/hip)
  file(MAKE_DIRECTORY ${folder})
  set(entries "")
  foreach(source ${TALARIA_GPU_KERNELS})
    get_filename_component(name ${source} NAME_WE)
    foreach(arch ${archs})
      # Files for one kind of matrix unit: *_mma, *_hmma and *_sm90 are NVIDIA's.
      if(name MATCHES "_(mma|hmma|sm90)$" OR (name MATCHES "_mfma$" AND NOT arch MATCHES "^gfx9(08|0a)$")
          OR (name MATCHES "_wmma$" AND NOT arch MATCHES "^gfx11"))
        continue()
      endif()
      set(flags ${TALARIA_HIP_FLAGS})
      if(name MATCHES "^(product|gate_up|attention_input)$")  # pairing floats takes three times the registers on gfx90a
        list(APPEND flags -fno-slp-vectorize)
      endif()
      set(output ${folder}/${name}.${arch}.co)
      talaria_kernel(${output} ${folder}/${name}.${arch}.txt ${source}
        ${TALARIA_CLANG} ${flags} --offload-arch=${arch} -MD -MF ${output}.d -o ${output} ${source})
      list(APPEND entries "${name}|${arch}|${output}")
    endforeach()
  endforeach()
  talaria_embed_images(${folder}/images.cpp "clang ${TALARIA_CLANG_VERSION}" ${entries})
  talaria_gpu_backend(hip native/gpu/runtime_hip.cpp native/gpu/driver_api.cpp ${folder}/images.cpp)
  string(REPLACE ";" " " text "${archs}")
  message(STATUS "Talaria: HIP kernels for ${text}, by clang ${TALARIA_CLANG_VERSION}")
endfunction()

if(NOT TALARIA_HIP STREQUAL OFF)
  talaria_find_clang()
  set(obstacle "")
  set(archs "")
  if(NOT TALARIA_CLANG_VERSION)
    set(obstacle "there is no clang++ 18 or later")
  elseif(TALARIA_CLANG_VERSION VERSION_LESS 18)
    set(obstacle "${TALARIA_CLANG} is version ${TALARIA_CLANG_VERSION}, and 18 is needed")
  else()
    foreach(arch ${TALARIA_HIP_ARCHS})
      talaria_hip_obstacle(${arch} text)
      if(text STREQUAL "")
        list(APPEND archs ${arch})
      else()
        message(STATUS "Talaria: no HIP kernels for ${arch}: ${text}")
        set(obstacle "${TALARIA_CLANG} (with lld) cannot compile for ${arch}: ${text}")
      endif()
    endforeach()
  endif()
  if(archs)
    talaria_hip_backend("${archs}")
  elseif(TALARIA_HIP STREQUAL ON)
    message(FATAL_ERROR "TALARIA_HIP is ON, but ${obstacle}")
  else()
    message(STATUS "Talaria: no HIP backend: ${obstacle}")
  endif()
endif()
