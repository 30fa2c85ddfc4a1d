# The JNI library: the code that JavaCPP generated, with the core in it.
file(GLOB TALARIA_JDKS $ENV{JAVA_HOME} /usr/lib/jvm/* /Library/Java/JavaVirtualMachines/*/Contents/Home)
if(TALARIA_JNI_H AND NOT EXISTS ${TALARIA_JNI_H}/jni.h)
  unset(TALARIA_JNI_H CACHE)  # the JDK of the last build has gone
endif()
find_path(TALARIA_JNI_H jni.h PATHS ${TALARIA_JDKS} PATH_SUFFIXES include NO_DEFAULT_PATH REQUIRED)  # any JDK's will do

function(talaria_jni name)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/jni)
  # JavaCPP rewrites its output at every run: copy what has changed, so that a build without changes compiles nothing.
  foreach(file jnijavacpp.cpp ${name}.cpp)
    file(COPY_FILE ${TALARIA_JNI}/${file} ${CMAKE_BINARY_DIR}/jni/${file} ONLY_IF_DIFFERENT)
    list(APPEND generated ${CMAKE_BINARY_DIR}/jni/${file})
  endforeach()
  add_library(${name} SHARED ${generated} $<TARGET_OBJECTS:talaria_core>)
  target_include_directories(${name} PRIVATE
    ${CMAKE_SOURCE_DIR}/native/include ${TALARIA_JNI_H} ${TALARIA_JNI_H}/linux ${TALARIA_JNI_H}/darwin)
  target_link_libraries(${name} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
  if(NOT APPLE)
    target_link_options(${name} PRIVATE -Wl,-z,noexecstack -Wl,-Bsymbolic)
  endif()
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${TALARIA_OUT} PREFIX lib)
endfunction()
