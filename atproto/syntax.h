/*
 * Identifier syntax of the AT Protocol, each a small type parsed at the edge so that inner functions
 * accept only the types. Pure: no allocation, the text inside is borrowed from the input.
 * Sources: atproto.com/specs/{did,handle,nsid,record-key,tid,at-uri-scheme}, lexicon "datetime".
 */
#ifndef RK_ATPROTO_SYNTAX_H
#define RK_ATPROTO_SYNTAX_H

#include "base/slice.h"

enum {
	RK_DID_MOST = 2048, /* bytes */
	RK_HANDLE_MOST = 253,
	RK_NSID_MOST = 317,
	RK_RKEY_MOST = 512,
	RK_TID_LEN = 13,
	RK_AT_URI_MOST = 8192,
	RK_DATETIME_MOST = 64,
};

struct rk_did {
	struct rk_slice text;
};
struct rk_handle {
	struct rk_slice text;
};
struct rk_nsid {
	struct rk_slice text;
};
struct rk_rkey {
	struct rk_slice text;
};

/* Each parses the whole input or returns false, leaving *out alone. */
bool rk_did_parse(struct rk_did *out, struct rk_slice in);
bool rk_handle_parse(struct rk_handle *out, struct rk_slice in); /* case is kept; compare folded */
bool rk_nsid_parse(struct rk_nsid *out, struct rk_slice in);
bool rk_rkey_parse(struct rk_rkey *out, struct rk_slice in);

/* An account in a parameter or an AT-URI's authority: a DID or a handle. */
struct rk_at_identifier {
	bool is_did;
	struct rk_slice text;
};
bool rk_at_identifier_parse(struct rk_at_identifier *out, struct rk_slice in);

/* at://authority[/collection[/rkey]], the restricted form of Lexicon strings. Missing parts empty. */
struct rk_at_uri {
	struct rk_at_identifier authority;
	struct rk_slice collection, rkey;
};
bool rk_at_uri_parse(struct rk_at_uri *out, struct rk_slice in);

/* TID: 53 bits of microseconds since 1970 and 10 bits of clock id, base32-sortable. */
bool rk_tid_parse(uint64_t *out, struct rk_slice in);
void rk_tid_format(char out[RK_TID_LEN + 1], uint64_t tid); /* top bit must be clear */
static inline int64_t rk_tid_unix_us(uint64_t tid)
{
	return (int64_t)(tid >> 10);
}

/* The strict datetime of Lexicons; *unix_ms gets Unix time, fractions of a millisecond dropped. */
bool rk_datetime_parse(int64_t *unix_ms, struct rk_slice in);

/* BCP 47 as Lexicon "language": well-formed, no variant or extension twice, language in lower case. */
bool rk_language_valid(struct rk_slice in);

/* A URI as Lexicon strings have them, as the reference checks it: scheme:[//]something, no spaces. */
bool rk_uri_valid(struct rk_slice in);

/* A MongoDB ObjectId: 24 hex digits, read in either case and written in lower case. */
enum { RK_OID_LEN = 24 };
struct rk_oid {
	uint8_t bytes[12];
};
bool rk_oid_parse(struct rk_oid *out, struct rk_slice in);
void rk_oid_format(char out[RK_OID_LEN + 1], const struct rk_oid *oid);
static inline int64_t rk_oid_unix_sec(const struct rk_oid *oid)
{
	return (int64_t)((uint32_t)oid->bytes[0] << 24 | (uint32_t)oid->bytes[1] << 16 |
		(uint32_t)oid->bytes[2] << 8 | oid->bytes[3]);
}

#endif
