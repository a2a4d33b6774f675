// /api: the conversations that the page keeps here.
#include "server/conversations.h"

#include <charconv>
#include <span>

#include "base/json.h"
#include "base/sha256.h"
#include "server/api_error.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {

namespace {

// Whoever has a key sees what was kept with it; the key itself is not kept.
std::string owner(const HttpRequest& request) {
  return request.key.empty() ? "" : sha256_hex(std::as_bytes(std::span(request.key)));
}

// A page of another site may post a form to us, but no JSON, unless the browser asks us first.
nlohmann::json body(const HttpRequest& request) {
  if (!request.header("content-type").starts_with("application/json")) {
    throw ApiError(415, "Content-Type must be application/json");
  }
  return parse_json(request.body, "body");
}

std::string query(const HttpRequest& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? "" : found->second;
}

void send(HttpReply& reply, const nlohmann::json& json, int status = 200) {
  reply.send({.status = status, .body = json.dump(), .headers = {{"Cache-Control", "no-store"}}});
}

}  // namespace

void list_conversations(Service& service, const HttpRequest& request, HttpReply& reply) {
  int limit = 50;
  if (const auto text = query(request, "limit"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc() || end != text.data() + text.size())
      throw ApiError(400, "limit must be a number", "limit");
  }
  send(reply, service.conversations.list(owner(request), query(request, "query"), limit, query(request, "before")));
}

void create_conversation(Service& service, const HttpRequest& request, HttpReply& reply) {
  send(reply, service.conversations.create(owner(request), body(request)), 201);
}

void get_conversation(Service& service, const HttpRequest& request, HttpReply& reply) {
  send(reply, service.conversations.get(owner(request), request.parameters.at("id")));
}

void change_conversation(Service& service, const HttpRequest& request, HttpReply& reply) {
  send(reply, service.conversations.change(owner(request), request.parameters.at("id"), body(request)));
}

void remove_conversation(Service& service, const HttpRequest& request, HttpReply& reply) {
  service.conversations.remove(owner(request), request.parameters.at("id"));
  send(reply, {{"deleted", true}});
}

void add_message(Service& service, const HttpRequest& request, HttpReply& reply) {
  send(reply, service.conversations.add_message(owner(request), request.parameters.at("id"), body(request)), 201);
}

void change_message(Service& service, const HttpRequest& request, HttpReply& reply) {
  const auto& place = request.parameters;
  send(reply, service.conversations.change_message(owner(request), place.at("id"), place.at("message"), body(request)));
}

void remove_message(Service& service, const HttpRequest& request, HttpReply& reply) {
  const auto& place = request.parameters;
  service.conversations.remove_message(owner(request), place.at("id"), place.at("message"));
  send(reply, {{"deleted", true}});
}

void export_conversations(Service& service, const HttpRequest& request, HttpReply& reply) {
  send(reply, service.conversations.export_all(owner(request), query(request, "conversation")));
}

void import_conversations(Service& service, const HttpRequest& request, HttpReply& reply) {
  send(reply, service.conversations.import_all(owner(request), body(request)), 201);
}

}  // namespace fieldprint::server::endpoints_of
