# Writes the files of the page at /apidoc, compressed, into a C table. Run by `cmake -P` with SOURCE (openapi/page), PACKAGE
# (an unpacked swagger-ui-dist), GZIP (the program), WORK (a folder for what is on the way) and OUT (the C file).

cmake_minimum_required(VERSION 3.25)

#    name in the page      file                                  media type
set(FILES
    "|${SOURCE}/index.html|text/html\;charset=utf-8"
    "apidoc.css|${SOURCE}/apidoc.css|text/css\;charset=utf-8"
    "apidoc.js|${SOURCE}/apidoc.js|text/javascript\;charset=utf-8"
    "favicon.png|${PACKAGE}/favicon-32x32.png|image/png"
    "licenses.txt|${WORK}/licenses.txt|text/plain\;charset=utf-8"
    "swagger-ui-bundle.js|${PACKAGE}/swagger-ui-bundle.js|text/javascript\;charset=utf-8"
    "swagger-ui.css|${PACKAGE}/swagger-ui.css|text/css\;charset=utf-8")

# What the licences of Swagger UI and of what it is made of ask to come along.
function(gather_licenses)
    file(MAKE_DIRECTORY "${WORK}")
    file(WRITE "${WORK}/licenses.txt" "")
    foreach(name LICENSE NOTICE swagger-ui-bundle.js.LICENSE.txt)
        file(READ "${PACKAGE}/${name}" text)
        file(APPEND "${WORK}/licenses.txt" "${text}\n\n")
    endforeach()
endfunction()

# A C string literal of the file's compressed bytes, 32 a line, and their number.
function(read_compressed file out)
    execute_process(COMMAND ${GZIP} -9 -n -c "${file}" OUTPUT_FILE "${WORK}/file.gz" COMMAND_ERROR_IS_FATAL ANY)
    file(READ "${WORK}/file.gz" hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR length "${digits} / 2")
    string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
    string(REPEAT "." 128 line)
    string(REGEX REPLACE "(${line})" "\\1\"\n     \"" bytes "${bytes}")
    set(${out} "\"${bytes}\"" PARENT_SCOPE)
    set(${out}_length ${length} PARENT_SCOPE)
endfunction()

gather_licenses()
set(c "#include \"openapi/page.h\"\n\nconst struct mr_page_file mr_page_files[] = {\n")
foreach(row IN LISTS FILES)
    string(REGEX MATCH "^([^|]*)\\|([^|]*)\\|(.*)$" _ "${row}")
    set(name "${CMAKE_MATCH_1}")
    set(type "${CMAKE_MATCH_3}")
    read_compressed("${CMAKE_MATCH_2}" bytes)
    string(APPEND c "    {\"${name}\", \"${type}\",\n     {${bytes}, ${bytes_length}}},\n")
endforeach()
string(APPEND c "    {NULL, NULL, {NULL, 0}},\n};\n")
file(WRITE "${OUT}" "${c}")
