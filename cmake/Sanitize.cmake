# Sanitizers for every target, when TALARIA_SANITIZE names any.
if(TALARIA_SANITIZE)
  add_compile_options(-fsanitize=${TALARIA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${TALARIA_SANITIZE})
endif()
