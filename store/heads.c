/* See heads.h. */
#include "store/heads.h"

#include <pthread.h>
#include <stdlib.h>

struct head {
	rk_repo_id repo; /* 0: none */
	uint32_t agreed; /* bit per collection */
	uint64_t rev;
	struct rk_cid data, commit; /* commit unset: not known, or taken */
};

struct rk_heads {
	pthread_mutex_t lock;
	struct head list[RK_HEADS];
};

struct rk_heads *rk_heads_create(void)
{
	struct rk_heads *heads = calloc(1, sizeof(*heads));

	if (heads)
		pthread_mutex_init(&heads->lock, NULL);
	return heads;
}

void rk_heads_destroy(struct rk_heads *heads)
{
	if (!heads)
		return;
	pthread_mutex_destroy(&heads->lock);
	free(heads);
}

/* Revs alone would do, but that an account may sign two commits with the same one. */
static bool is_at(const struct head *head, const struct rk_repo *repo)
{
	return head->repo == repo->id && head->rev == repo->rev &&
		rk_cid_equal(&head->data, &repo->data);
}

void rk_heads_note(struct rk_heads *heads, const struct rk_repo *before, const struct rk_repo *now,
	const struct rk_cid *commit)
{
	struct head *head = &heads->list[now->id % RK_HEADS];

	pthread_mutex_lock(&heads->lock);
	*head = (struct head){.repo = now->id,
		.agreed = is_at(head, before) ? head->agreed : 0,
		.rev = now->rev,
		.data = now->data,
		.commit = *commit};
	pthread_mutex_unlock(&heads->lock);
}

void rk_heads_agree(struct rk_heads *heads, const struct rk_repo *repo, uint8_t collection)
{
	struct head *head = &heads->list[repo->id % RK_HEADS];

	pthread_mutex_lock(&heads->lock);
	/* What the stream brought since the repo was read is not undone. */
	if (!is_at(head, repo) && (head->repo != repo->id || head->rev < repo->rev))
		*head = (struct head){.repo = repo->id, .rev = repo->rev, .data = repo->data};
	if (is_at(head, repo))
		head->agreed |= UINT32_C(1) << collection;
	pthread_mutex_unlock(&heads->lock);
}

bool rk_heads_take(struct rk_heads *heads, struct rk_cid *commit, const struct rk_repo *repo,
	uint8_t collection)
{
	struct head *head = &heads->list[repo->id % RK_HEADS];
	bool taken;

	pthread_mutex_lock(&heads->lock);
	taken = is_at(head, repo) && head->agreed >> collection & 1 && rk_cid_is_set(&head->commit);
	if (taken) {
		*commit = head->commit;
		head->commit = (struct rk_cid){0};
	}
	pthread_mutex_unlock(&heads->lock);
	return taken;
}
