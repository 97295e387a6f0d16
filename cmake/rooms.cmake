# caudal_room(<name> SOURCES … [TESTS …] [USES room…] [LIBS library…])
#
# One static library `caudal_<name>` per folder of src/, and one test program `<name>_test` from all
# of its TESTS. USES must agree with src/ROOMS, which tools/check_rooms.py enforces on includes.
function(caudal_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;TESTS;USES;LIBS" ${ARGN})
  add_library(caudal_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(caudal_${name} PUBLIC "${PROJECT_SOURCE_DIR}/src")
  target_compile_options(caudal_${name} PRIVATE ${CAUDAL_WARNINGS})
  list(TRANSFORM ROOM_USES PREPEND caudal_)
  target_link_libraries(caudal_${name} PUBLIC ${ROOM_USES} ${ROOM_LIBS})
  if(CAUDAL_TESTS AND ROOM_TESTS)
    add_executable(${name}_test ${ROOM_TESTS})
    target_compile_options(${name}_test PRIVATE ${CAUDAL_WARNINGS})
    target_link_libraries(${name}_test PRIVATE caudal_${name} GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  endif()
endfunction()
