/*
 * A repo's state as one machine: what happens to a repo is an event, and one table says what each
 * changes. The state follows from the fields (rk_repo_is_queued, rk_repo_is_shown); ARCHITECTURE.md
 * draws it. Pure: the caller reads and writes the repo, on the writer's thread.
 */
#ifndef RK_INDEXER_STATE_H
#define RK_INDEXER_STATE_H

#include "store/types.h"

/* X(id, sync, due, flags set, flags cleared, what happened) */
#define RK_REPO_EVENTS(X)                                                                          \
	X(GAP, DESYNCHRONIZED, KEPT, 0, 0, "what came does not follow from what is held")          \
	X(UNPROVEN, DESYNCHRONIZED, LATER, 0, 0, "a signed commit does not say what it changed")   \
	X(DOUBTED, DESYNCHRONIZED, KEPT, 0, 0, "something was said that cannot be checked here")   \
	X(SAID_DELETED, DESYNCHRONIZED, KEPT, RK_REPO_PURGE, 0, "a relay says: account deleted")   \
	X(DELETED, DESYNCHRONIZED, NOW, RK_REPO_PURGE, 0, "its host says: account deleted")        \
	X(DEACTIVATED, KEPT, REST, 0, RK_REPO_PURGE, "its host says: account not active")          \
	X(ACTIVATED, DESYNCHRONIZED, NOW, 0, RK_REPO_PURGE, "account active again")                \
	X(WENT_AWAY, KEPT, KEPT, RK_REPO_MOVED, 0, "its DID document names another PDS")           \
	X(CAME_BACK, DESYNCHRONIZED, NOW, 0, RK_REPO_MOVED, "it is there again, and names ours")   \
	X(SEQUENCE_RESET, KEPT, KEPT, RK_REPO_RESET | RK_REPO_WENT_BACK, 0,                        \
		"the source may have been restored from an older copy")                            \
	X(BORN, KEPT, KEPT, RK_REPO_BORN, 0, "its first commit was seen")                          \
	X(BORN_WHOLE, SYNCHRONIZED, KEPT, RK_REPO_BORN | RK_REPO_BACKFILLED, 0,                    \
		"that commit is of an empty tree: nothing is left to fetch")                       \
	X(LISTED_BEHIND, DESYNCHRONIZED, NOW, RK_REPO_WENT_BACK, 0, "its host has less, or none")  \
	X(LISTED_AHEAD, DESYNCHRONIZED, NOW, 0, 0, "its host has more than the stream brought")    \
	X(LISTED_SAME, KEPT, KEPT, 0, RK_REPO_WENT_BACK | RK_REPO_RESET, "its host has the same")  \
	X(FETCHED, SYNCHRONIZED, REST, RK_REPO_BACKFILLED,                                         \
		RK_REPO_WENT_BACK | RK_REPO_RESET | RK_REPO_PURGE, "fetched, verified, written")   \
	X(UNCHANGED, SYNCHRONIZED, REST, 0, RK_REPO_PURGE, "asked, and its rev is the one held")   \
	X(OVERTAKEN, DESYNCHRONIZED, BACKOFF, 0, 0, "the stream is past what was fetched")         \
	X(FAILED, KEPT, BACKOFF, 0, 0, "the fetch failed, or what it brought is not believed")     \
	X(FAILED_OLDER, KEPT, BACKOFF, RK_REPO_WENT_BACK, 0,                                       \
		"the copy is older than what is held")                                             \
	X(PUT_OFF, KEPT, GIVEN, 0, 0, "not asked, or told to come later: no fault of the repo")    \
	X(HOST_FAILING, KEPT, GIVEN_AS_FAILURE, 0, 0, "its host does not answer, or puts it off")  \
	X(GONE, KEPT, REST, RK_REPO_WENT_BACK, RK_REPO_PURGE, "its host knows no such repo")

enum rk_repo_event {
#define RK_REPO_EVENT_ID(id, sync, due, set, clear, what) RK_REPO_EVENT_##id,
	RK_REPO_EVENTS(RK_REPO_EVENT_ID)
#undef RK_REPO_EVENT_ID
		RK_REPO_EVENT_COUNT
};

enum {
	RK_RESYNC_REST_MS = 1000,   /* after a fetch, whatever is said of the repo or shows a gap */
	RK_RESYNC_LATER_MS = 10000, /* before one that no gap asks for */
	RK_RESYNC_BACKOFF_FIRST_MS = 1000,
	RK_RESYNC_BACKOFF_MOST_MS = 60000,
};

/* given_ms: Unix ms, of PUT_OFF and HOST_FAILING. The account's status is set beside it. */
void rk_repo_happen(
	struct rk_repo *repo, enum rk_repo_event event, int64_t now_ms, int64_t given_ms);

/* The account's host was asked, and says that it stands so. asked: what a relay said was in doubt then; what it has
 * said since, or taken back, is another question, and in doubt again if the answer is another. True: what it said
 * then and still says is denied. */
bool rk_repo_answer(struct rk_repo *repo, enum rk_account account, bool asked);

#endif
