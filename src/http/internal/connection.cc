#include "http/internal/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_suffix.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <ctime>
#include <mutex>
#include <utility>

namespace caudal::http::internal {
namespace {

using boost::system::error_code;
namespace bhttp = beast::http;

constexpr asio::use_awaitable_t<Executor> kAwait;
constexpr size_t kHeaderRead = 4 << 10;
constexpr size_t kBodyRead = 64 << 10;
constexpr size_t kIdleBuffer = 16 << 10;
constexpr int kLingerSeconds = 2;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::string_view kCrlf = "\r\n";

asio::const_buffer AsBuffer(std::string_view text) { return {text.data(), text.size()}; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view View(boost::core::string_view text) { return {text.data(), text.size()}; }

// A value must not be able to end its line, whatever message was put into it.
void AppendHeader(std::string* head, std::string_view name, std::string_view value) {
  head->append(name).append(": ");
  for (const char c : value) {
    const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    head->push_back(is_control ? ' ' : c);
  }
  head->append(kCrlf);
}

std::string HttpDate() {
  const std::time_t now = std::time(nullptr);
  std::tm utc;
  gmtime_r(&now, &utc);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

bool HasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

std::string RenderHead(const Response& response, bool is_http10, bool keep_alive) {
  std::string head = is_http10 ? "HTTP/1.0 " : "HTTP/1.1 ";
  head += std::to_string(response.status);
  head += ' ';
  const bhttp::status status = bhttp::int_to_status(static_cast<unsigned>(response.status));
  head.append(View(bhttp::obsolete_reason(status))).append(kCrlf);
  AppendHeader(&head, "Date", HttpDate());
  for (const auto& [name, value] : response.headers) AppendHeader(&head, name, value);
  if (!response.content_type.empty()) AppendHeader(&head, "Content-Type", response.content_type);
  if (response.stream != nullptr) {
    if (!is_http10) AppendHeader(&head, "Transfer-Encoding", "chunked");
  } else if (!HasNoBody(response.status)) {
    AppendHeader(&head, "Content-Length", std::to_string(response.body.size()));
  }
  if (!keep_alive) {
    AppendHeader(&head, "Connection", "close");
  } else if (is_http10) {
    AppendHeader(&head, "Connection", "keep-alive");
  }
  return head.append(kCrlf);
}

void Event::Set() {
  is_set_ = true;
  timer_.cancel();
}

Task<void> Event::Wait() {
  error_code ec;
  auto token = asio::redirect_error(kAwait, ec);
  while (!is_set_) co_await timer_.async_wait(token);
}

namespace {

// What a stream's waker holds: it may be called long after the stream, the connection or even the
// server are gone, and then does nothing.
class WakeSignal {
 public:
  WakeSignal(std::weak_ptr<Connection> connection, Executor executor, Event* event)
      : connection_(std::move(connection)), executor_(executor), event_(event) {}

  void Fire(const std::shared_ptr<WakeSignal>& self) {
    std::lock_guard lock(mutex_);
    if (!is_armed_ || is_posted_) return;
    is_posted_ = true;
    asio::post(executor_, [self] { self->Arrive(); });
  }

  void Disarm() {
    std::lock_guard lock(mutex_);
    is_armed_ = false;
  }

 private:
  void Arrive() {
    {
      std::lock_guard lock(mutex_);
      is_posted_ = false;
      if (!is_armed_) return;
    }
    if (const std::shared_ptr<Connection> alive = connection_.lock()) event_->Set();
  }

  std::weak_ptr<Connection> connection_;
  Executor executor_;
  Event* event_;
  std::mutex mutex_;
  bool is_armed_ = true;
  bool is_posted_ = false;
};

}  // namespace

Connection::Connection(Socket socket, const ServerOptions& options, Dispatch dispatch)
    : socket_(std::move(socket)),
      options_(options),
      dispatch_(std::move(dispatch)),
      event_(socket_.get_executor()) {
  error_code ec;
  socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  socket_.set_option(asio::socket_base::keep_alive(true), ec);
  const asio::ip::tcp::endpoint remote = socket_.remote_endpoint(ec);
  if (ec) return;
  const std::string host = remote.address().to_string();
  peer_ = remote.address().is_v6() ? "[" + host + "]" : host;
  peer_ += ":" + std::to_string(remote.port());
}

void Connection::SetDeadline(int seconds) {
  deadline_ = SteadyClock::now() + std::chrono::seconds(seconds);
}

void Connection::Close() {
  error_code ec;
  socket_.close(ec);
  event_.Set();
}

void Connection::CloseIfOverdue(SteadyClock::time_point now) {
  if (now > deadline_) Close();
}

void Connection::BeginStop() {
  is_stopping_ = true;
  if (!is_busy_) Close();
}

void Connection::Deliver(Response response) {
  response_ = std::move(response);
  request_ = Request();  // a large body must not stay for as long as the stream or the idle time
  is_delivered_ = true;
  event_.Set();
}

Task<void> Connection::Run() {
  while (!is_stopping_) {
    const Incoming incoming = co_await ReadRequest();
    if (incoming == Incoming::kClosed) break;
    is_busy_ = true;
    if (incoming == Incoming::kRequest) co_await Answer();
    co_await Send();
    is_busy_ = false;
    if (keep_alive_) continue;
    if (!is_stopping_) co_await Linger();
    break;
  }
  Close();
}

Task<Connection::Incoming> Connection::ReadRequest() {
  if (buffer_.size() == 0) {
    if (buffer_.capacity() > kIdleBuffer) buffer_.shrink_to_fit();
    SetDeadline(options_.idle_seconds);
    const bool is_open = co_await ReadSome(kHeaderRead);
    if (!is_open) co_return Incoming::kClosed;
  }
  SetDeadline(options_.header_seconds);
  Incoming incoming = co_await ReadHeader();
  if (incoming == Incoming::kRequest) incoming = co_await ReadBody();
  ClearDeadline();
  if (incoming == Incoming::kRequest) incoming = TakeRequest();
  co_return incoming;
}

Task<Connection::Incoming> Connection::ReadHeader() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(options_.max_header_bytes));
  parser_->body_limit(options_.max_body_bytes);
  size_t header_bytes = 0;
  while (true) {
    error_code ec;
    const size_t used = parser_->put(buffer_.data(), ec);
    buffer_.consume(used);
    header_bytes += used;
    // The parser limits single lines; the whole is limited here.
    if (header_bytes + (parser_->is_header_done() ? 0 : buffer_.size()) >
        options_.max_header_bytes) {
      ec = bhttp::error::header_limit;
    }
    if (ec && ec != bhttp::error::need_more) co_return RefuseMalformed(ec);
    if (parser_->is_header_done()) co_return Incoming::kRequest;
    const bool is_open = co_await ReadSome(kHeaderRead);
    if (!is_open) co_return Incoming::kClosed;
  }
}

Task<Connection::Incoming> Connection::ReadBody() {
  SetDeadline(options_.idle_seconds);
  if (!parser_->is_done() && parser_->get().version() > 10 &&
      beast::iequals(parser_->get()[bhttp::field::expect], "100-continue")) {
    const ConstBuffers parts = {AsBuffer(kContinue)};
    const bool is_open = co_await Write(parts);
    if (!is_open) co_return Incoming::kClosed;
  }
  while (!parser_->is_done()) {
    error_code ec;
    const size_t used = parser_->put(buffer_.data(), ec);
    buffer_.consume(used);
    if (ec && ec != bhttp::error::need_more) co_return RefuseMalformed(ec);
    if (parser_->is_done()) break;
    // What is left unparsed can only be an unfinished chunk header or trailer.
    if (ec && buffer_.size() > options_.max_header_bytes) co_return RefuseMalformed(ec);
    if (!ec && buffer_.size() > 0) continue;
    SetDeadline(options_.idle_seconds);
    const bool is_open = co_await ReadSome(kBodyRead);
    if (!is_open) co_return Incoming::kClosed;
  }
  co_return Incoming::kRequest;
}

Task<bool> Connection::ReadSome(size_t size) {
  error_code ec;
  auto token = asio::redirect_error(kAwait, ec);
  const auto space = buffer_.prepare(size);
  const size_t count = co_await socket_.async_read_some(space, token);
  buffer_.commit(count);
  co_return !ec;
}

Connection::Incoming Connection::TakeRequest() {
  bhttp::request<bhttp::string_body> message = parser_->release();
  parser_.reset();
  keep_alive_ = message.keep_alive();
  is_http10_ = message.version() < 11;
  if (!is_http10_ && message.count(bhttp::field::host) != 1) {
    return Refuse(400, 3, "a request needs exactly one Host header");
  }
  request_ = Request();
  request_.method = View(message.method_string());
  request_.target = View(message.target());
  const size_t question = request_.target.find('?');
  request_.path = request_.target.substr(0, question);
  if (question != std::string::npos) request_.query = request_.target.substr(question + 1);
  for (const auto& field : message) {
    request_.headers.emplace_back(Lower(View(field.name_string())), View(field.value()));
  }
  request_.body = std::move(message.body());
  request_.peer = peer_;
  is_head_ = request_.method == "HEAD";
  return Incoming::kRequest;
}

// `why` is our own text: it needs no escaping.
Connection::Incoming Connection::Refuse(int status, int code, std::string_view why) {
  response_ = Response();
  response_.status = status;
  response_.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response_.body = "{\"code\":" + std::to_string(code) + ",\"message\":\"";
  response_.body.append(why).append("\"}");
  keep_alive_ = false;
  is_head_ = false;
  return Incoming::kRefused;
}

Connection::Incoming Connection::RefuseMalformed(const error_code& ec) {
  if (ec == bhttp::error::body_limit) {
    return Refuse(413, 8,
                  "the request body is larger than " + std::to_string(options_.max_body_bytes) +
                      " bytes, the most this server takes");
  }
  if (ec == bhttp::error::header_limit) {
    return Refuse(431, 8,
                  "the request header is larger than " + std::to_string(options_.max_header_bytes) +
                      " bytes, the most this server takes");
  }
  return Refuse(400, 3, "malformed HTTP request: " + ec.message());
}

Task<void> Connection::Answer() {
  is_delivered_ = false;
  dispatch_(shared_from_this());
  while (!is_delivered_) {
    event_.Clear();
    co_await event_.Wait();
  }
}

Task<void> Connection::Send() {
  if (is_stopping_ || (is_http10_ && response_.stream != nullptr)) keep_alive_ = false;
  head_ = RenderHead(response_, is_http10_, keep_alive_);
  if (response_.stream != nullptr && !is_head_) {
    co_await SendStream();
  } else {
    const bool has_body = !is_head_ && !HasNoBody(response_.status);
    const std::string_view body = has_body ? std::string_view(response_.body) : "";
    const ConstBuffers parts = {AsBuffer(head_), AsBuffer(body)};
    const bool is_sent = co_await Write(parts);
    if (!is_sent) keep_alive_ = false;
  }
  response_ = Response();
  ClearDeadline();
}

Task<void> Connection::SendStream() {
  const std::unique_ptr<BodyStream> stream = std::move(response_.stream);
  const auto signal =
      std::make_shared<WakeSignal>(weak_from_this(), socket_.get_executor(), &event_);
  stream->SetWaker([signal] { signal->Fire(signal); });
  is_busy_ = false;  // a stop cuts streams short
  WatchPeer();
  const ConstBuffers head = {AsBuffer(head_)};
  bool is_open = co_await Write(head);
  bool is_complete = false;
  while (is_open && !is_complete && !is_gone_ && !is_stopping_) {
    event_.Clear();
    chunk_.clear();
    const BodyStream::State state = stream->Next(&chunk_);
    if (state == BodyStream::State::kEnd) {
      is_complete = true;
    } else if (state == BodyStream::State::kWait) {
      ClearDeadline();
      co_await event_.Wait();
    } else {
      is_open = co_await WriteChunk();
    }
  }
  signal->Disarm();
  co_await StopWatching();
  // Without the last chunk the client can tell a stream cut short from one that ended.
  if (is_complete && !is_http10_) {
    const ConstBuffers last = {AsBuffer(kLastChunk)};
    is_open = co_await Write(last);
  }
  if (!is_complete || !is_open) keep_alive_ = false;
}

Task<bool> Connection::WriteChunk() {
  if (chunk_.empty()) co_return true;  // an empty chunk would end the body
  ConstBuffers parts = {AsBuffer(chunk_)};
  if (!is_http10_) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, chunk_.size(), 16);
    chunk_size_.assign(digits, end.ptr).append(kCrlf);
    parts = {AsBuffer(chunk_size_), AsBuffer(chunk_), AsBuffer(kCrlf)};
  }
  const bool is_sent = co_await Write(parts);
  co_return is_sent;
}

Task<bool> Connection::Write(ConstBuffers parts) {
  beast::buffers_suffix<ConstBuffers> rest(parts);
  error_code ec;
  auto token = asio::redirect_error(kAwait, ec);
  while (beast::buffer_bytes(rest) > 0) {
    SetDeadline(options_.idle_seconds);
    const size_t count = co_await socket_.async_write_some(rest, token);
    if (ec) co_return false;
    rest.consume(count);
  }
  co_return true;
}

// Closing with unread input would reset the connection and could take the answer with it, so what
// the peer still sends is read and dropped for a while.
Task<void> Connection::Linger() {
  error_code ec;
  socket_.shutdown(Socket::shutdown_send, ec);
  SetDeadline(kLingerSeconds);
  bool is_open = !ec;
  while (is_open) {
    buffer_.clear();
    is_open = co_await ReadSome(kBodyRead);
  }
}

// Reads ahead during a stream: the only way to learn that the peer hung up. What a pipelining
// client sends meanwhile waits in the buffer, up to a header's size.
void Connection::WatchPeer() {
  is_gone_ = false;
  is_watching_ = true;
  wants_watch_ = true;
  socket_.async_read_some(buffer_.prepare(kHeaderRead), [self = shared_from_this()](
                                                            const error_code& ec, size_t count) {
    self->buffer_.commit(count);
    const bool has_room = self->buffer_.size() < self->options_.max_header_bytes;
    if (!ec && self->wants_watch_ && has_room) return self->WatchPeer();
    self->is_watching_ = false;
    self->is_gone_ = ec && self->wants_watch_;
    self->event_.Set();
  });
}

Task<void> Connection::StopWatching() {
  wants_watch_ = false;
  error_code ec;
  if (is_watching_) socket_.cancel(ec);
  while (is_watching_) {
    event_.Clear();
    co_await event_.Wait();
  }
}

}  // namespace caudal::http::internal
