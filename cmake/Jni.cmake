# The JNI library: the code that JavaCPP generated, with the core in it.
file(GLOB TALARIA_JDKS $ENV{JAVA_HOME} /usr/lib/jvm/* /Library/Java/JavaVirtualMachines/*/Contents/Home)
if(TALARIA_JNI_H AND NOT EXISTS ${TALARIA_JNI_H}/jni.h)
  unset(TALARIA_JNI_H CACHE)  # the JDK of the last build has gone
endif()
find_path(TALARIA_JNI_H jni.h PATHS ${TALARIA_JDKS} PATH_SUFFIXES include NO_DEFAULT_PATH REQUIRED)  # any JDK's will do

# A hash of the lines of files, in whatever order they come.
function(talaria_lines_hash result)
  foreach(path ${ARGN})
    if(EXISTS ${path})
      file(READ ${path} text)
      string(REGEX REPLACE "[][;\\\\]" " " text "${text}")  # they would join or split the elements of a list
      string(REPLACE "\n" ";" text "${text}")
      list(APPEND lines ${text})
    endif()
  endforeach()
  list(SORT lines)
  string(SHA256 hash "${lines}")
  set(${result} ${hash} PARENT_SCOPE)
endfunction()

function(talaria_jni name)
  # JavaCPP rewrites its output at every run, each time with its functions in another order. It is copied when there is
  # something new in it, so that a build without changes compiles nothing.
  set(written ${TALARIA_JNI}/jnijavacpp.cpp ${TALARIA_JNI}/${name}.cpp)
  set(generated ${CMAKE_BINARY_DIR}/jni/jnijavacpp.cpp ${CMAKE_BINARY_DIR}/jni/${name}.cpp)
  talaria_lines_hash(new ${written})
  talaria_lines_hash(old ${generated})
  if(NOT new STREQUAL old)
    file(COPY ${written} DESTINATION ${CMAKE_BINARY_DIR}/jni)
    file(TOUCH ${generated})
  endif()
  add_library(${name} SHARED ${generated} $<TARGET_OBJECTS:talaria_core>)
  target_include_directories(${name} PRIVATE
    ${CMAKE_SOURCE_DIR}/native/include ${TALARIA_JNI_H} ${TALARIA_JNI_H}/linux ${TALARIA_JNI_H}/darwin)
  target_link_libraries(${name} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
  if(NOT APPLE)
    target_link_options(${name} PRIVATE -Wl,-z,noexecstack -Wl,-Bsymbolic)
  endif()
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${TALARIA_OUT} PREFIX lib)
endfunction()
