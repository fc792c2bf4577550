/* See list.h. */
#include "base/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 64 };

int rk_list_grow(void *list, size_t *room, size_t count, size_t size)
{
	size_t more = *room ? *room * 2 : FIRST;
	void *array;

	if (count < *room)
		return 0;
	memcpy(&array, list, sizeof(array));
	array = reallocarray(array, more, size);
	if (!array)
		return -ENOMEM;
	memcpy(list, &array, sizeof(array));
	*room = more;
	return 0;
}
