#include "store/internal/page_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <boost/json.hpp>

namespace caudal::store {
namespace {

namespace json = boost::json;

std::string Sign(const std::string& payload, const std::string& secret) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(payload.data()), payload.size(), digest, &size);
  return std::string(reinterpret_cast<char*>(digest), 16);
}

std::string ToBase64(const std::string& data) {
  std::string text(4 * ((data.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(data.data()),
                  static_cast<int>(data.size()));
  return text;
}

std::string FromBase64(const std::string& text) {
  if (text.size() % 4 != 0) return "";
  std::string data(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(data.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return "";
  const size_t padding = text.size() - text.find_last_not_of('=') - 1;
  data.resize(static_cast<size_t>(size) - std::min<size_t>(padding, 2));
  return data;
}

}  // namespace

std::string EncodeToken(const PageToken& token, const std::string& secret) {
  const json::array fields{token.resource, token.sort_key,   token.descending,
                           token.filter,   token.sort_value, token.id};
  const std::string payload = json::serialize(fields);
  return ToBase64(Sign(payload, secret) + payload);
}

base::Result<PageToken> DecodeToken(const std::string& text, const std::string& resource,
                                    const std::string& secret) {
  const base::Status refused = base::InvalidArgument(
      "page_token is not one of this list's; use the next_page_token of the previous page");
  const std::string data = FromBase64(text);
  if (data.size() <= 16) return refused;
  const std::string payload = data.substr(16);
  if (CRYPTO_memcmp(Sign(payload, secret).data(), data.data(), 16) != 0) return refused;
  json::error_code error;
  const json::value parsed = json::parse(payload, error);
  if (error || !parsed.is_array() || parsed.get_array().size() != 6) return refused;
  const json::array& fields = parsed.get_array();
  const auto string_at = [&](size_t i) { return std::string(fields[i].as_string()); };
  PageToken token{string_at(0), string_at(1), fields[2].as_bool(),
                  string_at(3), string_at(4), string_at(5)};
  if (token.resource != resource) return refused;
  return token;
}

}  // namespace caudal::store
