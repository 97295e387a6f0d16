# Libraries from Debian 12, wrapped as targets so that rooms name what they use.
# A new one needs an ADR (docs/adr/) and one room that wraps it.

find_package(Threads REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB 1.2 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(CURL 7.88 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_library(LIBYAML yaml REQUIRED)

if(CAUDAL_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()

# Archives of Debian that have no CMake target. The binary carries them: a machine that runs it need not
# have them installed.
function(caudal_static_library target)
  set(paths)
  foreach(name IN LISTS ARGN)
    find_library(STATIC_${name} lib${name}.a REQUIRED)
    list(APPEND paths "${STATIC_${name}}")
  endforeach()
  add_library(${target} INTERFACE)
  list(JOIN paths "," paths)
  target_link_libraries(${target} INTERFACE "$<LINK_GROUP:RESCAN,${paths}>")
endfunction()

# Of libarchive the readers of zip, tar and gzip only; the other four are the ways a zip may be packed.
caudal_static_library(libarchive_static archive nettle lzma zstd bz2)
target_link_libraries(libarchive_static INTERFACE ZLIB::ZLIB)

# gRPC without TLS, which this server leaves to what stands before it.
find_package(PkgConfig REQUIRED)
pkg_check_modules(GRPC REQUIRED grpc++_unsecure>=1.51)
set(GRPC_NAMES ${GRPC_STATIC_LIBRARIES})
list(REMOVE_DUPLICATES GRPC_NAMES)
list(FILTER GRPC_NAMES INCLUDE REGEX "^(grpc|gpr|absl)")
caudal_static_library(grpc_static grpc++_reflection ${GRPC_NAMES} address_sorting upb cares re2)
target_link_libraries(grpc_static INTERFACE protobuf::libprotobuf ZLIB::ZLIB Threads::Threads)

# Regular expressions in linear time, for expressions.
caudal_static_library(re2_static re2)
target_link_libraries(re2_static INTERFACE Threads::Threads)

# Boost.JSON and Beast are compiled once, in base/json_impl.cc and http/beast_impl.cc.
add_library(boost_json INTERFACE)
target_link_libraries(boost_json INTERFACE Boost::headers)

add_library(boost_beast INTERFACE)
target_compile_definitions(boost_beast INTERFACE BOOST_ASIO_SEPARATE_COMPILATION
                                                 BOOST_BEAST_SEPARATE_COMPILATION)
target_link_libraries(boost_beast INTERFACE Boost::headers Threads::Threads)

# google/api and google/rpc .proto files ship with Debian's grpc-gateway package.
find_path(GOOGLEAPIS_DIR google/api/annotations.proto REQUIRED
  HINTS /usr/share/gocode/src/github.com/grpc-ecosystem/grpc-gateway/third_party/googleapis)
