#include "store/list.h"

#include <gtest/gtest.h>

#include "store/store.h"

namespace caudal::store {
namespace {

using base::Code;
using base::Status;

constexpr char kSecret[] = "secret";
constexpr int64_t kSecond = 1'000'000;

ListRequest Ask(const std::string& page_token, int page_size, const std::string& sort_by,
                const std::string& filter) {
  ListRequest request;
  request.page_token = page_token;
  request.page_size = page_size;
  request.sort_by = sort_by;
  request.filter = filter;
  return request;
}

std::string Repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

class ListTest : public testing::Test {
 protected:
  ListTest() : store_(*Store::Open(":memory:")) {
    // Seven runs: run-0 … run-6, a second apart; odd ones failed; run-5 is in another experiment.
    EXPECT_TRUE(store_
                    ->Write([](sql::Database& database) -> Status {
                      for (int i = 0; i < 7; ++i) {
                        store::Run row;
                        row.id = "id-" + std::to_string(i);
                        row.display_name = "run-" + std::to_string(6 - i);
                        row.experiment_id = i == 5 ? "other" : "one";
                        row.created_at = (1000 + i) * kSecond + 17;
                        row.state = i % 2 == 1 ? "FAILED" : "SUCCEEDED";
                        CAUDAL_TRY(InsertRun(database, &row));
                      }
                      return {};
                    })
                    .ok());
  }

  base::Result<Page<store::Run>> List(const ListRequest& request) {
    Page<store::Run> page;
    const Status read = store_->Read([&](sql::Database& database) -> Status {
      CAUDAL_ASSIGN(page, ListRuns(database, request, kSecret));
      return {};
    });
    if (!read.ok()) return read;
    return page;
  }

  // Ids of all pages, page by page with only the token, as clients do.
  std::string AllIds(ListRequest request) {
    std::string ids;
    while (true) {
      const auto page = List(request);
      EXPECT_TRUE(page.ok()) << page.status().ToString();
      if (!page.ok()) return ids;
      for (const store::Run& run : page->rows) ids += run.id.substr(3);
      if (page->next_page_token.empty()) return ids;
      ids += "|";
      request.page_token = page->next_page_token;
      request.sort_by.clear();
      request.filter.clear();
    }
  }

  static std::string Filter(const std::string& predicate) {
    return R"({"predicates":[)" + predicate + "]}";
  }

  std::unique_ptr<Store> store_;
};

TEST_F(ListTest, OldestFirstAndTwentyAPageUnlessAsked) {
  EXPECT_EQ(AllIds({}), "0123456");
  EXPECT_EQ(List({})->total_size, 7);
}

TEST_F(ListTest, PagesGoOnFromTheTokenAlone) {
  EXPECT_EQ(AllIds(Ask("", 3, "", "")), "012|345|6");
  EXPECT_EQ(AllIds(Ask("", 3, "display_name desc", "")), "012|345|6");
  EXPECT_EQ(AllIds(Ask("", 4, "Name ASC", "")), "6543|210");
}

TEST_F(ListTest, FilterAndScopeStayWithThePages) {
  const std::string failed = Filter(R"({"operation":1,"key":"state","stringValue":"FAILED"})");
  EXPECT_EQ(AllIds(Ask("", 2, "", failed)), "13|5");
  ListRequest scoped = Ask("", 2, "", failed);
  scoped.experiment_id = "one";
  EXPECT_EQ(AllIds(scoped), "13");
  EXPECT_EQ(List(scoped)->total_size, 2);
}

TEST_F(ListTest, EveryOperation) {
  const struct {
    const char* predicate;
    const char* ids;
  } cases[] = {
      {R"({"operation":"NOT_EQUALS","key":"run_id","string_value":"id-3"})", "012456"},
      {R"({"operation":"IN","key":"id","string_values":{"values":["id-2","id-4","x"]}})", "24"},
      {R"({"operation":"IS_SUBSTRING","key":"name","string_value":"N-3"})", "3"},
      {R"({"operation":"LESS_THAN","key":"created_at","string_value":"1002"})", "01"},
      {R"({"operation":"LESS_THAN_EQUALS","key":"created_at","long_value":"1002"})", "012"},
      {R"({"operation":"EQUALS","key":"created_at","timestamp_value":"1970-01-01T00:16:44Z"})",
       "4"},
      {R"({"operation":"GREATER_THAN","key":"created_at","string_value":"1970-01-01T00:16:45Z"})",
       "6"},
      {R"({"operation":"EQUALS","key":"status","string_value":"Failed"})", "135"},
      {R"({"operation":"EQUALS","key":"display_name","string_value":"run-6' OR '1'='1"})", ""},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(AllIds(Ask("", 0, "", Filter(c.predicate))), c.ids) << c.predicate;
  }
}

TEST_F(ListTest, FilterMayBeEncodedOnceMore) {
  EXPECT_EQ(AllIds(Ask("", 0, "",
                       "%7B%22predicates%22:[%7B%22operation%22:1,%22key%22:%22id%22,"
                       "%22string_value%22:%22id-1%22%7D]%7D")),
            "1");
}

TEST_F(ListTest, RefusesWhatItCannotRead) {
  const ListRequest cases[] = {
      Ask("", -1, "", ""),
      Ask("", 0, "nosuch", ""),
      Ask("", 0, "name up", ""),
      Ask("", 0, "name asc asc", ""),
      Ask("", 0, "", "{"),
      Ask("", 0, "", "100%"),
      Ask("", 0, "", Filter(R"({"key":"id","string_value":"x"})")),
      Ask("", 0, "", Filter(R"({"operation":1,"key":"nosuch","string_value":"x"})")),
      Ask("", 0, "", Filter(R"({"operation":8,"key":"id","string_value":"x"})")),
      Ask("", 0, "", Filter(R"({"operation":1,"key":"id"})")),
      Ask("bm90IG91cnM=", 0, "", ""),
      Ask("", 0, "",
          Filter(R"({"operation":9,"key":"id","string_value":")" + std::string(60'000, 'x') +
                 "\"}")),
      Ask("", 0, "",
          Filter(R"({"operation":8,"key":"id","string_values":{"values":[")" +
                 Repeated("x\",\"", 1500) + "x\"]}}")),
      Ask("", 0, "",
          Filter(Repeated(R"({"operation":1,"key":"id","string_value":"x"},)", 1500) +
                 R"({"operation":1,"key":"id","string_value":"x"})")),
  };
  for (const ListRequest& request : cases) {
    EXPECT_EQ(List(request).status().code(), Code::kInvalidArgument)
        << request.sort_by << request.filter << request.page_token;
  }
}

TEST_F(ListTest, TokenOfAnotherSecretOrSortIsRefused) {
  const auto page = List(Ask("", 2, "name", ""));
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(List(Ask(page->next_page_token, 2, "id", "")).status().code(), Code::kInvalidArgument);
  std::string forged = page->next_page_token;
  forged[30] = forged[30] == 'A' ? 'B' : 'A';
  EXPECT_EQ(List(Ask(forged, 2, "", "")).status().code(), Code::kInvalidArgument);
}

TEST(ListPipelines, FindsByTag) {
  const auto store = *Store::Open(":memory:");
  ASSERT_TRUE(store
                  ->Write([](sql::Database& database) -> Status {
                    for (const char* team : {"red", "blue"}) {
                      Pipeline row;
                      row.id = row.name = team;
                      row.tags = std::string(R"({"team":")") + team + "\"}";
                      CAUDAL_TRY(InsertPipeline(database, &row));
                    }
                    return {};
                  })
                  .ok());
  ListRequest request;
  request.filter = R"({"predicates":[{"operation":1,"key":"tags.team","string_value":"blue"}]})";
  ASSERT_TRUE(store
                  ->Read([&](sql::Database& database) -> Status {
                    CAUDAL_ASSIGN(const auto page, ListPipelines(database, request, kSecret));
                    EXPECT_EQ(page.rows.size(), 1u);
                    EXPECT_EQ(page.total_size, 1);
                    if (!page.rows.empty()) {
                      EXPECT_EQ(page.rows[0].id, "blue");
                    }
                    return {};
                  })
                  .ok());
}

}  // namespace
}  // namespace caudal::store
