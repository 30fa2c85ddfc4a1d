# What the GPU backends share: their sources, the compilers that may be missing, and how kernels are compiled.
file(GLOB TALARIA_GPU_KERNELS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/gpu/*.cu)

# Clang makes code objects for AMD GPUs, and PTX for NVIDIA GPUs that nvcc has given up. From 18 on its square root is
# rounded correctly on AMD. ROCm brings one, as do most systems.
function(talaria_find_clang)
  if(DEFINED CACHE{TALARIA_CLANG_VERSION} AND EXISTS "${TALARIA_CLANG}")
    return()
  endif()
  set(names clang++)
  foreach(version RANGE 18 24)
    list(PREPEND names clang++-${version})
  endforeach()
  find_program(TALARIA_CLANG NAMES ${names} amdclang++ HINTS $ENV{ROCM_PATH}/llvm/bin PATHS /opt/rocm/llvm/bin
    DOC "clang 18 or later, for AMD's GPUs")
  set(version "")
  if(TALARIA_CLANG)
    execute_process(COMMAND ${TALARIA_CLANG} --version OUTPUT_VARIABLE text ERROR_QUIET)
    if(text MATCHES "version ([0-9]+\\.[0-9]+\\.[0-9]+)")
      set(version ${CMAKE_MATCH_1})
    endif()
  endif()
  set(TALARIA_CLANG_VERSION "${version}" CACHE INTERNAL "")
endfunction()

# talaria_kernel(OUTPUT LOG SOURCE COMMAND...): compiles a file of kernels; what the compiler says goes to LOG, and is
# shown if it fails. The command names the output itself and writes OUTPUT.d.
function(talaria_kernel output log source)
  add_custom_command(OUTPUT ${output}
    COMMAND sh -c "log=$1; shift; \"$@\" > \"$log\" 2>&1 || { cat \"$log\"; exit 1; }" sh ${log} ${ARGN}
    DEPENDS ${source} DEPFILE ${output}.d VERBATIM
    COMMENT "Building kernels ${output}")
endfunction()

# libtalaria_NAME, with the host code that all GPU backends share.
function(talaria_gpu_backend name)
  talaria_backend(${name} ${TALARIA_GPU_SOURCES} ${ARGN})
endfunction()
