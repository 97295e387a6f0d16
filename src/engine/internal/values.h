#pragma once

/// Small ways with the maps and values of messages.

#include <google/protobuf/struct.pb.h>

#include <string>

namespace caudal::engine {

/// The entry of a map, or null.
template <typename M>
const typename M::mapped_type* FindIn(const M& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

/// A field of an object, made when it is not there; `object` becomes one.
inline google::protobuf::Value& Field(google::protobuf::Value* object, const std::string& name) {
  return (*object->mutable_struct_value()->mutable_fields())[name];
}

}  // namespace caudal::engine
