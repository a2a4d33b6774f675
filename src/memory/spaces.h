// What stands in the index of the ledger's store: rows that are written in the same transaction as the events that they
// belong to. Whatever is read from here is checked against the ledger before it is used: a record by its id, a payload
// by the record's commitment, codes by the record's digest.
#pragma once

namespace fieldprint::memory {

enum Space : int {
  kRecords = 1,     // id -> the record's CBOR
  kPayloads = 2,    // id -> [place of its key, salt, ciphertext]
  kCodes = 3,       // principal's digest, id -> INT8 codes of its embedding
  kChildren = 4,    // parent id, child id -> nothing
  kTexts = 5,       // keyed hash of principal and text -> id
  kQuotas = 6,      // day, whose -> count
  kSessions = 7,    // principal, session -> ids that it has been shown
  kShreds = 8,      // id -> place of a key that is to be overwritten
  kCounters = 9,    // name -> number
  kCommits = 10,    // index of a COMMIT event -> [principal, place of its key, what an audit needs, encrypted]
  kCommitsOf = 13,  // id, index of a COMMIT event -> nothing: runs that saw the record
};

}  // namespace fieldprint::memory
