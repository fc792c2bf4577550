/*
 * How fast a PDS lets itself be asked and written to: what it said of its limits, and what may go now.
 * Pure; times are Unix milliseconds.
 *
 * Kinds of limit are kept apart by the window of RateLimit-Policy: one of minutes counts requests, one of
 * an hour or more counts what was asked for: points of writing (the reference PDS: create 3, update 2,
 * delete 1; 5,000 an hour and 35,000 a day for an account, of which it names the tighter one), or blobs
 * (1,000 a day for an address, whosoever's they are). A PDS that says nothing is not slowed down for;
 * what it refuses then, it says for how long.
 */
#ifndef RK_NET_PACE_H
#define RK_NET_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RK_PACE_CREATE = 3, RK_PACE_UPDATE = 2, RK_PACE_DELETE = 1 };
enum rk_pace_kind { RK_PACE_REQUESTS, RK_PACE_POINTS, RK_PACE_BLOBS, RK_PACE_KINDS };

struct rk_pace_said {
	int64_t remaining;        /* -1: not said; then nothing else counts */
	int64_t reset_sec;        /* Unix seconds; -1: not said */
	int64_t window_sec;       /* -1: not said */
	enum rk_pace_kind counts; /* what the request counted in a window of an hour or more */
	bool refused;             /* 429 */
	int64_t retry_ms;         /* refused: asked for; 0, -1: nothing */
};

/* Zeroed: nothing is known. */
struct rk_pace {
	struct {
		int64_t remaining, until_ms; /* holds until then; 0: not known */
	} windows[RK_PACE_KINDS];
	int64_t not_before_ms;
	unsigned refusals; /* in a row, without a time */
};

/* What an answer said. */
void rk_pace_said(struct rk_pace *pace, const struct rk_pace_said *said, int64_t now_ms);
/* Another account: its points are its own, requests and blobs are everybody's from here. */
void rk_pace_change_account(struct rk_pace *pace);
/* A request that counts so many of a kind is about to be sent. What the answer says takes the place of
 * this. */
void rk_pace_spend(struct rk_pace *pace, enum rk_pace_kind counts, unsigned count, int64_t now_ms);

/* How long to wait before any request; 0: none. */
int64_t rk_pace_wait_ms(const struct rk_pace *pace, int64_t now_ms);
/* How many of count writes, of so many points each, may go in one request now. 0: *wait_ms says how
 * long to wait. */
size_t rk_pace_writes(const struct rk_pace *pace, int64_t *wait_ms, size_t count, unsigned points,
	int64_t now_ms);
/* How long to wait before a blob may be uploaded; 0: none. */
int64_t rk_pace_upload_wait_ms(const struct rk_pace *pace, int64_t now_ms);

#endif
