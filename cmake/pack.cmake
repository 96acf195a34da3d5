# Writes the files of an application into a C table. Run by `cmake -P` with SOURCE (its folder, whose name is the application's) and
# OUT (the C file).

cmake_minimum_required(VERSION 3.25)

get_filename_component(application "${SOURCE}" NAME)
file(GLOB_RECURSE files RELATIVE "${SOURCE}" "${SOURCE}/*.yaml" "${SOURCE}/*.sql")
list(SORT files)

set(c "#include \"application/folder.h\"\n\nstatic const struct mr_packed_file files[] = {\n")
foreach(file IN LISTS files)
    file(READ "${SOURCE}/${file}" text)
    string(REPLACE "\\" "\\\\" text "${text}")
    string(REPLACE "\"" "\\\"" text "${text}")
    string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
    string(APPEND c "    {\"${file}\",\n     \"${text}\"},\n")
endforeach()
list(LENGTH files count)
string(APPEND c "};\n\nconst struct mr_packed mr_packed_application = {\"${application}\", files, ${count}};\n")
file(WRITE "${OUT}" "${c}")
