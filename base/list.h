/* Lists that grow: an array on the heap, the number of its elements, and for how many it has room. */
#ifndef RK_BASE_LIST_H
#define RK_BASE_LIST_H

#include <stddef.h>

/*
 * Makes room for one more than count elements of so many bytes. list: the address of the pointer to the
 * array (NULL while *room is 0), which may move; whoever owns it frees it. 0, or -ENOMEM, and all is as it
 * was.
 *
 *   r = rk_list_grow(&users->list, &users->room, users->count, sizeof(*users->list));
 */
int rk_list_grow(void *list, size_t *room, size_t count, size_t size)
	__attribute__((warn_unused_result));

#endif
