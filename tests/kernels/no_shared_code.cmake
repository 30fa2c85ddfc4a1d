# Fails if an object file of one instruction set defines anything that the linker may share with others (weak symbols, as of
# inline functions): it might then call AVX-512 code on a processor without. Run as cmake -DNM=nm -DOBJECTS=... -P.
foreach(object ${OBJECTS})
  execute_process(COMMAND ${NM} ${object} OUTPUT_VARIABLE symbols RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${NM} ${object} failed")
  endif()
  string(REGEX MATCHALL "[^\n]* [WVu] [^\n]*" shared "${symbols}")
  if(shared)
    message(FATAL_ERROR "${object} defines shared code: ${shared}")
  endif()
endforeach()
