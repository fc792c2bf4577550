/* What an audit asks MongoDB, besides mongo/mongo.h, whose results this gives. */
#ifndef RK_MONGO_AUDIT_H
#define RK_MONGO_AUDIT_H

#include "mongo/mongo.h"

/* Documents, in no order, read as far as rk_document_read does; borrowed for the call. Non-zero
 * ends it and is returned. id: of one whose _id is no ObjectId (then only the rest is filled in), by
 * rk_document_id_text; empty: it is one. */
typedef int rk_mongo_visit_document(
	void *context, const struct rk_document *document, struct rk_slice id);
/* Whose documents: those that name one of the users, with nobodys those that name none, too. Some more may
 * come: of forms that a server takes for the same. NULL: all. */
struct rk_mongo_whose {
	const struct rk_user *const *users; /* ended by NULL */
	bool nobodys;
};
int rk_mongo_each(struct rk_mongo *mongo, const struct rk_collection *collection,
	const struct rk_mongo_whose *whose, rk_mongo_visit_document *visit, void *context)
	__attribute__((warn_unused_result));

#endif
