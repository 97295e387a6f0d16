#include "sql/database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

namespace caudal::sql {
namespace {

std::unique_ptr<Database> Fresh() {
  auto database = Database::Open(":memory:", OpenMode::kReadWrite);
  EXPECT_TRUE(database.ok()) << database.status().ToString();
  EXPECT_TRUE(
      (*database)->ExecuteScript("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT UNIQUE)").ok());
  return *std::move(database);
}

int64_t Count(Database& database) {
  int64_t count = -1;
  EXPECT_TRUE(
      database.Query("SELECT count(*) FROM t", {}, [&](const Row& r) { count = r.Int(0); }).ok());
  return count;
}

TEST(Database, RoundTripsEveryKindOfParameter) {
  auto database = Fresh();
  ASSERT_TRUE(database->ExecuteScript("CREATE TABLE p(a, b, c, d, e)").ok());
  const std::string bytes("a\0b", 3);
  ASSERT_TRUE(database
                  ->Execute("INSERT INTO p VALUES($1,$2,$3,$4,$5)",
                            {nullptr, int64_t{7}, 0.5, std::string_view("text"), Blob{bytes}})
                  .ok());
  int rows = 0;
  ASSERT_TRUE(database
                  ->Query("SELECT * FROM p", {},
                          [&](const Row& row) {
                            ++rows;
                            EXPECT_TRUE(row.IsNull(0));
                            EXPECT_EQ(row.Int(1), 7);
                            EXPECT_EQ(row.Real(2), 0.5);
                            EXPECT_EQ(row.Text(3), "text");
                            EXPECT_EQ(row.Text(4), bytes);
                          })
                  .ok());
  EXPECT_EQ(rows, 1);
}

TEST(Database, UniquenessIsAlreadyExists) {
  auto database = Fresh();
  ASSERT_TRUE(database->Execute("INSERT INTO t(v) VALUES($1)", {std::string_view("a")}).ok());
  EXPECT_EQ(database->Execute("INSERT INTO t(v) VALUES($1)", {std::string_view("a")}).code(),
            base::Code::kAlreadyExists);
}

TEST(Database, AMissingReferenceIsNoDuplicate) {
  auto database = Fresh();
  ASSERT_TRUE(database->ExecuteScript("CREATE TABLE c(t BIGINT REFERENCES t(k) NOT NULL)").ok());
  EXPECT_EQ(database->Execute("INSERT INTO c VALUES(7)").code(), base::Code::kFailedPrecondition);
  EXPECT_EQ(database->Execute("INSERT INTO c VALUES(NULL)").code(), base::Code::kInternal);
}

TEST(Database, MemoryDoesNotGrowWithTheStatementsEverSeen) {
  auto database = Fresh();
  const auto query = [&](int i) {
    const std::string sql = "SELECT " + std::to_string(i) + ", count(*) FROM t";
    int64_t seen = -1;
    EXPECT_TRUE(database->Query(sql, {}, [&](const Row& row) { seen = row.Int(0); }).ok());
    EXPECT_EQ(seen, i);
  };
  for (int i = 0; i < 1000; ++i) query(i);
  const int64_t before = sqlite3_memory_used();
  for (int i = 1000; i < 3000; ++i) query(i);
  EXPECT_LT(sqlite3_memory_used() - before, 1 << 20);
}

TEST(Database, ErrorInATransactionLeavesNothing) {
  auto database = Fresh();
  const auto result = database->InTransaction([&] {
    CAUDAL_TRY(database->Execute("INSERT INTO t(v) VALUES('a')"));
    return base::Aborted("no");
  });
  EXPECT_EQ(result.code(), base::Code::kAborted);
  EXPECT_EQ(Count(*database), 0);
}

TEST(Database, FaultAtCommitLeavesNothingAndConnectionUsable) {
  auto database = Fresh();
  database->SetFaultHookForTest([](std::string_view sql) {
    return sql == "COMMIT" ? base::Unavailable("power cut") : base::OkStatus();
  });
  const auto insert = [&] { return database->Execute("INSERT INTO t(v) VALUES('a')"); };
  EXPECT_EQ(database->InTransaction(insert).code(), base::Code::kUnavailable);
  database->SetFaultHookForTest(nullptr);
  EXPECT_EQ(Count(*database), 0);
  EXPECT_TRUE(database->InTransaction(insert).ok());
  EXPECT_EQ(Count(*database), 1);
}

}  // namespace
}  // namespace caudal::sql
