/* Each kind of identifier as a yes or no, for tables of texts. */
#ifndef RK_TESTS_UNIT_ATPROTO_SYNTAX_VALID_H
#define RK_TESTS_UNIT_ATPROTO_SYNTAX_VALID_H

#include "atproto/syntax.h"

static inline bool did_valid(struct rk_slice in)
{
	struct rk_did out;

	return rk_did_parse(&out, in);
}

static inline bool handle_valid(struct rk_slice in)
{
	struct rk_handle out;

	return rk_handle_parse(&out, in);
}

static inline bool nsid_valid(struct rk_slice in)
{
	struct rk_nsid out;

	return rk_nsid_parse(&out, in);
}

static inline bool rkey_valid(struct rk_slice in)
{
	struct rk_rkey out;

	return rk_rkey_parse(&out, in);
}

static inline bool at_uri_valid(struct rk_slice in)
{
	struct rk_at_uri out;

	return rk_at_uri_parse(&out, in);
}

#endif
