# What all our targets share, and the shape of a backend.
function(talaria_target name)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/native/include ${CMAKE_SOURCE_DIR}/kernels/common)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Werror)
  if(NOT APPLE)
    target_link_options(${name} PRIVATE -Wl,-z,noexecstack)
  endif()
  target_link_libraries(${name} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
endfunction()

# libtalaria_NAME: a shared library that exports the one function talaria_backend. Its objects, for tests of what lies
# behind that function, are talaria_NAME_objects.
function(talaria_backend name)
  add_library(talaria_${name}_objects OBJECT ${ARGN})
  talaria_target(talaria_${name}_objects)
  add_library(talaria_${name} SHARED $<TARGET_OBJECTS:talaria_${name}_objects>)
  talaria_target(talaria_${name})
  if(NOT APPLE AND NOT TALARIA_SANITIZE)
    target_link_options(talaria_${name} PRIVATE -Wl,-z,defs)  # what is missing shows here, not when it is loaded
  endif()
  set_target_properties(talaria_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${TALARIA_OUT})
endfunction()

# A test program, of C or C++.
function(talaria_test name)
  add_executable(${name} ${ARGN})
  talaria_target(${name})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()
