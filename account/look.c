/* See account.h: looking up what became of writes. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "account/account.h"

struct lookup {
	struct rk_account_write **writes;
	size_t count;
	const char *collection;
	bool *seen; /* by place in writes; of deletions */
};

static void lookup_restart(void *context)
{
	struct lookup *lookup = context;

	memset(lookup->seen, 0, lookup->count * sizeof(*lookup->seen));
}

static int lookup_visit(void *context, const struct rk_session_record *record)
{
	struct lookup *lookup = context;

	for (size_t i = 0; i < lookup->count; i++) {
		struct rk_account_write *one = lookup->writes[i];
		json_t *wanted;

		if (one->state != RK_ACCOUNT_OPEN ||
			strcmp(one->write.collection, lookup->collection) != 0 ||
			!rk_slice_equal_str(record->rkey, one->write.rkey))
			continue;
		lookup->seen[i] = true;
		if (one->write.action == RK_SESSION_DELETE)
			continue;
		wanted = json_loadb((const char *)one->write.record.data, one->write.record.len,
			JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
		if (wanted && json_equal(wanted, record->value))
			rk_account_settle(one, RK_ACCOUNT_DONE, "");
		else if (one->write.action == RK_SESSION_CREATE)
			rk_account_settle(one, RK_ACCOUNT_FAILED, "its key is another record's");
		json_decref(wanted);
	}
	return 0;
}

int rk_account_look_up(
	struct rk_account_client *account, struct rk_account_write **writes, size_t count)
{
	struct lookup lookup = {.writes = writes, .count = count};
	int r = 0;

	lookup.seen = calloc(count, sizeof(*lookup.seen));
	if (!lookup.seen)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < count; i++) {
		bool before = false;

		for (size_t k = 0; k < i && !before; k++)
			before = strcmp(writes[k]->write.collection, writes[i]->write.collection) ==
				0;
		if (before)
			continue;
		lookup.collection = writes[i]->write.collection;
		r = rk_account_list(
			account, lookup.collection, lookup_restart, lookup_visit, &lookup);
		for (size_t k = i; r == 0 && k < count; k++) {
			if (writes[k]->write.action == RK_SESSION_DELETE && !lookup.seen[k] &&
				strcmp(writes[k]->write.collection, lookup.collection) == 0)
				rk_account_settle(writes[k], RK_ACCOUNT_DONE, "");
		}
	}
	free(lookup.seen);
	return r;
}
