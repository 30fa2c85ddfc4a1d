# Refuses what Metal's language does not have, in a file as preprocessed, one statement a line (lint.sh). Prints what is wrong; exit 1.

function wrong(what) {
  printf "%s: line %d: %s: %s\n", name, NR, what, $0
  failed = 1
}

# The part of a declaration before place `at`: from the last separator on.
function declaration(text, at, begin) {
  for (begin = at; begin > 0; begin--) {
    if (index(";{}(,<", substr(text, begin, 1)) > 0 && substr(text, begin, 2) != "(&") break
  }
  return substr(text, begin + 1, at - begin)
}

# Every pointer and reference says where it leads.
function check_spaces(text, pattern, at, rest, offset, part) {
  gsub(/<[A-Za-z0-9_:, ]*>/, "", text)  # of templates, whose arguments are no part of the declaration
  rest = text
  offset = 0
  while (match(rest, pattern)) {
    at = offset + RSTART
    part = declaration(text, at)
    if (part !~ /(^|[^a-z_])(device|constant|thread|threadgroup)[^a-z_]/ && part !~ /^ *return/) {
      wrong("a pointer or reference without an address space")
      return
    }
    offset += RSTART + RLENGTH - 1
    rest = substr(text, offset + 1)
  }
}

BEGIN { depth = 0 }
/^#/ {
  if ($0 !~ /^# *pragma/ && $0 !~ /^# *[0-9]/) wrong("a directive that is left")
  next
}
{
  line = " " $0 " "
  plain = line
  gsub(/\[\[[^]]*\]\]/, "", plain)
  if (plain ~ /[^a-zA-Z_](double|goto|new|delete|virtual|dynamic_cast|typeid|noexcept|try|catch|throw|thread_local|register|asm)[^a-zA-Z_]/)
    wrong("a word that Metal does not have")
  if (plain ~ /long +long/) wrong("long long")
  if (plain ~ /std::/) wrong("C++'s library")
  if (plain ~ /0[xX][0-9a-fA-F.]+[pP]/) wrong("a hexadecimal float")
  if (plain ~ /\[[&=][^]]*\] *[({]/ || plain ~ /[^a-zA-Z0-9_\])]\[\] *[({]/) wrong("a lambda")
  if (plain ~ /\( *\* *[a-z_]+ *\) *\(/) wrong("a pointer to a function")
  if (plain ~ /(struct|class) +[A-Za-z0-9_]+ *(final *)?:[^:]/) wrong("a derived class")
  if (plain ~ /[^a-z_]static +constexpr/ || (depth == 0 && plain ~ /[^a-z_]constexpr / && plain !~ /[^a-z_]constant[^a-z_]/))
    wrong("a variable outside of functions that is not in constant memory")
  if (plain ~ /[^a-z_]threadgroup +[A-Za-z0-9_<>]+ +[a-z_]+ *;/ && !in_kernel) wrong("threadgroup memory outside of a kernel")
  check_spaces(plain, "[A-Za-z0-9_>][*&]([ >),]|$)")
  check_spaces(plain, "[A-Za-z0-9_>] [(]&[a-z_]+[)]\\[")
  check_spaces(plain, "[A-Za-z0-9_>] [*][a-z]")
  # A kernel's parameters all have attributes.
  if (line ~ /\[\[ *kernel/) {
    head = line
    while (index(head, "{") == 0 && (getline more) > 0) head = head " " more
    sub(/^.*talaria_[a-z0-9_]+ *\(/, "", head)
    count = split(head, each, ",")
    for (i = 1; i <= count; i++) if (each[i] !~ /\[\[/) wrong("a kernel's parameter without an attribute")
    kernels++
    in_kernel = 1
    depth++
    next
  }
  depth += gsub(/\{/, "{", plain) - gsub(/\}/, "}", plain)
  if (depth == 0) in_kernel = 0
}
END {
  if (depth != 0) wrong("braces that this check does not follow")
  if (kernels == 0) wrong("no kernel")
  exit failed
}
