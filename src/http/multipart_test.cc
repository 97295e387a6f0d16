#include "http/multipart.h"

#include <gtest/gtest.h>

namespace caudal::http {
namespace {

using std::string_literals::operator""s;

constexpr std::string_view kType = "multipart/form-data; boundary=XX";

FormPart Only(std::string_view content_type, std::string_view body) {
  const auto parts = ParseMultipart(content_type, body);
  EXPECT_TRUE(parts.ok()) << parts.status().ToString();
  if (!parts.ok() || parts->size() != 1) return {};
  return parts->front();
}

std::string WithDisposition(std::string_view disposition) {
  return "--XX\r\nContent-Disposition: " + std::string(disposition) + "\r\n\r\ndata\r\n--XX--\r\n";
}

TEST(Multipart, ReadsFieldsAndFilesInOrder) {
  const auto parts =
      ParseMultipart(kType,
                     "--XX\r\n"
                     "Content-Disposition: form-data; name=\"a\"\r\n\r\n"
                     "one\r\n"
                     "--XX\r\n"
                     "content-type: text/plain\r\n"
                     "content-disposition: form-data; name=f; filename=p.yaml\r\n\r\n"
                     "two\r\nlines\r\n"
                     "--XX--\r\n");

  ASSERT_TRUE(parts.ok()) << parts.status().ToString();
  ASSERT_EQ(parts->size(), 2u);
  EXPECT_EQ((*parts)[0].name, "a");
  EXPECT_EQ((*parts)[0].content, "one");
  EXPECT_EQ((*parts)[1].filename, "p.yaml");
  EXPECT_EQ((*parts)[1].content, "two\r\nlines");
}

TEST(Multipart, AcceptsAQuotedBoundaryAndAnyCaseOfNames) {
  const FormPart part = Only("Multipart/Form-Data; charset=utf-8; Boundary=\"X:X y\"",
                             "--X:X y\r\nContent-Disposition: form-data; NAME=\"n\"\r\n\r\n"
                             "v\r\n--X:X y--");
  EXPECT_EQ(part.name, "n");
  EXPECT_EQ(part.content, "v");
}

TEST(Multipart, KeepsBinaryContentAndBoundaryLookalikes) {
  const std::string content = "\0\r\n--X\r\n --XX\r\n--XXY\r\n\xff--XX\r\n"s;
  const FormPart part = Only(
      kType, "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n" + content + "\r\n--XX--");
  EXPECT_EQ(part.content, content);
}

TEST(Multipart, IgnoresPreambleEpilogueAndPaddingAfterTheBoundary) {
  const FormPart part = Only(kType,
                             "preamble\r\n--XX \t\r\nContent-Disposition: form-data; name=n\r\n\r\n"
                             "v\r\n--XX--epilogue\r\n--XX\r\n");
  EXPECT_EQ(part.content, "v");
}

TEST(Multipart, ReadsEmptyContentWithAndWithoutItsLineBreak) {
  for (const std::string_view gap : {"\r\n\r\n\r\n", "\r\n\r\n"}) {
    const FormPart part =
        Only(kType, "--XX\r\nContent-Disposition: form-data; name=n" + std::string(gap) + "--XX--");
    EXPECT_EQ(part.name, "n");
    EXPECT_EQ(part.content, "");
  }
}

TEST(Multipart, UnescapesFileNames) {
  EXPECT_EQ(
      Only(kType, WithDisposition(R"(form-data; name="n"; filename="a\"b\\c;d.yaml")")).filename,
      R"(a"b\c;d.yaml)");
  EXPECT_EQ(
      Only(kType, WithDisposition(R"(form-data; name="n"; filename="C:\dir\p.yaml")")).filename,
      R"(C:\dir\p.yaml)");
  EXPECT_EQ(
      Only(kType, WithDisposition("form-data; name=n; filename*=utf-8''caf%C3%A9.yaml")).filename,
      "caf\xC3\xA9.yaml");
}

struct BadCase {
  std::string_view name;
  std::string_view content_type;
  std::string_view body;
  std::string_view want;  // part of the message
};

constexpr BadCase kBad[] = {
    {"NotAForm", "application/json", "{}", "not multipart/form-data"},
    {"NoBoundary", "multipart/form-data", "--XX--", "names no boundary"},
    {"EmptyBoundary", "multipart/form-data; boundary=\"\"", "----", "names no boundary"},
    {"BoundaryMissing", kType, "hello", "does not hold its boundary"},
    {"EmptyBody", kType, "", "does not hold its boundary"},
    {"CutShort", kType, "--XX\r\nContent-Disposition: form-data; name=n\r\n\r\nda",
     "without its final boundary"},
    {"NoName", kType, "--XX\r\nContent-Disposition: form-data\r\n\r\nv\r\n--XX--", "has no name"},
    {"NoBlankLine", kType, "--XX\r\nContent-Disposition\r\n--XX--", "no blank line"},
};

class MultipartFault : public testing::TestWithParam<BadCase> {};

TEST_P(MultipartFault, IsNamed) {
  const auto parts = ParseMultipart(GetParam().content_type, GetParam().body);

  ASSERT_FALSE(parts.ok());
  EXPECT_EQ(parts.status().code(), base::Code::kInvalidArgument);
  EXPECT_NE(parts.status().message().find(GetParam().want), std::string::npos)
      << parts.status().message();
}

INSTANTIATE_TEST_SUITE_P(All, MultipartFault, testing::ValuesIn(kBad),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace caudal::http
