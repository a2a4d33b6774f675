#include "server/http_server.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "server/connection.h"

namespace fieldprint::server {
namespace {

using asio::ip::tcp;
using unix_stream = asio::local::stream_protocol;

[[noreturn]] void io_error(const std::string& what, const std::string& why, const std::string& hint = {}) {
  throw Error(ErrorKind::kIo, why, what, hint);
}

}  // namespace

struct HttpServer::State {
  Hub hub;
  asio::io_context io;
  Strand accepting = asio::make_strand(io);
  std::optional<asio::ssl::context> tls;
  std::optional<tcp::acceptor> tcp_acceptor;
  std::optional<unix_stream::acceptor> unix_acceptor;
  std::string unix_path;
  asio::executor_work_guard<asio::io_context::executor_type> guard = asio::make_work_guard(io);
  std::vector<std::thread> threads;

  int open() {
    const std::lock_guard lock(hub.mutex);
    return static_cast<int>(hub.open.size());
  }

  void listen_tcp() {
    const HttpOptions& o = hub.options;
    const std::string where = fmt::format("{}:{}", o.host, o.port);
    tcp::resolver resolver(io);
    Code error;
    const auto found = resolver.resolve(o.host, std::to_string(o.port), tcp::resolver::passive, error);
    if (error || found.empty())
      throw Error(ErrorKind::kUsage, fmt::format("the host '{}' is no address of this machine", o.host), {},
                  "--host 127.0.0.1 for this machine alone, --host 0.0.0.0 for all networks");
    auto& acceptor = tcp_acceptor.emplace(io);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      io_error(where, fmt::format("cannot be listened to: {}", error.message()),
               error == asio::error::address_in_use ? "another server has this port; --port chooses another" : "");
    }
  }

  void listen_unix() {
    unix_path = hub.options.unix_socket;
    Code error;
    struct stat status {};
    if (::lstat(unix_path.c_str(), &status) == 0) {
      if (!S_ISSOCK(status.st_mode)) io_error(unix_path, "is there already and is no socket");
      unix_stream::socket probe(io);  // a server that was killed leaves its socket; one that lives answers
      probe.connect(unix_path, error);
      if (!error) io_error(unix_path, "another server listens to this socket");
      ::unlink(unix_path.c_str());
    }
    auto& acceptor = unix_acceptor.emplace(io);
    error = {};
    try {
      const unix_stream::endpoint endpoint(unix_path);  // throws for a path that is too long
      acceptor.open(endpoint.protocol());
      const mode_t before = ::umask(0077);  // only this user
      acceptor.bind(endpoint, error);
      ::umask(before);
      if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    } catch (const boost::system::system_error& failed) {
      error = failed.code();
    }
    if (error) {
      unix_path.clear();
      io_error(hub.options.unix_socket, fmt::format("cannot be listened to: {}", error.message()));
    }
  }

  void load_certificate() {
    const HttpOptions& o = hub.options;
    if (o.certificate.empty() != o.key.empty())
      throw Error(ErrorKind::kUsage, "TLS needs a certificate and its key", {}, "--tls-cert FILE --tls-key FILE");
    if (o.certificate.empty()) return;
    tls.emplace(asio::ssl::context::tls_server);
    tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    Code error;
    tls->use_certificate_chain_file(o.certificate, error);
    if (error) throw Error(ErrorKind::kUsage, "is no certificate in PEM: " + error.message(), o.certificate);
    tls->use_private_key_file(o.key, asio::ssl::context::pem, error);
    if (error) throw Error(ErrorKind::kUsage, "is no key to the certificate: " + error.message(), o.key);
  }

  template <class Acceptor>
  asio::awaitable<void> accept(Acceptor& acceptor) {
    using Socket = asio::basic_stream_socket<typename Acceptor::protocol_type, Strand>;
    asio::steady_timer timer(accepting);
    while (acceptor.is_open()) {
      const Strand strand = asio::make_strand(io);
      Code error = asio::error::try_again;
      Socket socket(strand);
      if (open() < hub.options.connections) std::tie(error) = co_await acceptor.async_accept(socket, kToken);
      if (!acceptor.is_open()) co_return;
      if (error) {  // too many connections, no descriptors left: later
        timer.expires_after(std::chrono::milliseconds(20));
        co_await timer.async_wait(kToken);
        continue;
      }
      if constexpr (std::is_same_v<typename Acceptor::protocol_type, tcp>) {
        Code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        if (tls) {
          using Tls = asio::ssl::stream<Socket>;
          std::make_shared<Connection<Tls>>(hub, strand, Tls(std::move(socket), *tls))->start();
          continue;
        }
      }
      std::make_shared<Connection<Socket>>(hub, strand, std::move(socket))->start();
    }
  }

  template <class Visit>
  void each_connection(Visit visit) {
    const std::lock_guard lock(hub.mutex);
    for (AnyConnection* connection : hub.open) visit(*connection);
  }
};

HttpServer::HttpServer(const HttpOptions& options, Handle handle, Refused refused) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.hub.options = options;
  s.hub.handle = std::move(handle);
  s.hub.refused = std::move(refused);
  s.load_certificate();
  if (!options.host.empty()) s.listen_tcp();
  if (!options.unix_socket.empty()) s.listen_unix();
  if (s.tcp_acceptor) asio::co_spawn(s.accepting, s.accept(*s.tcp_acceptor), asio::detached);
  if (s.unix_acceptor) asio::co_spawn(s.accepting, s.accept(*s.unix_acceptor), asio::detached);
  for (int i = 0; i < std::max(1, options.io_threads); ++i) s.threads.emplace_back([&s] { s.io.run(); });
}

HttpServer::~HttpServer() {
  if (!state_->threads.empty()) stop(std::chrono::milliseconds(0));
}

int HttpServer::port() const {
  Code error;
  return state_->tcp_acceptor ? state_->tcp_acceptor->local_endpoint(error).port() : 0;
}

int HttpServer::connections() const { return state_->open(); }

void HttpServer::stop(std::chrono::milliseconds patience) {
  State& s = *state_;
  s.hub.draining = true;
  asio::post(s.accepting, [&s] {
    Code ignored;
    if (s.tcp_acceptor) s.tcp_acceptor->close(ignored);
    if (s.unix_acceptor) s.unix_acceptor->close(ignored);
  });
  if (!s.unix_path.empty()) ::unlink(s.unix_path.c_str());
  s.each_connection([](AnyConnection& connection) { connection.drain(); });
  const auto none = [&s] { return s.hub.open.empty(); };
  std::unique_lock lock(s.hub.mutex);
  if (!s.hub.changed.wait_for(lock, patience, none)) {
    for (AnyConnection* connection : s.hub.open) connection->abort();
    s.hub.changed.wait(lock, none);
  }
  lock.unlock();
  s.hub.workers.join();
  s.guard.reset();
  s.io.stop();
  for (std::thread& thread : s.threads) thread.join();
  s.threads.clear();
}

}  // namespace fieldprint::server
