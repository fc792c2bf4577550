/* See list.h. */
#include "base/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 64 };

int rk_list_grow(void *list, size_t *room, size_t count, size_t size)
{
	size_t more = FIRST, bytes;
	void *array;

	if (count < *room)
		return 0;
	if ((*room && __builtin_mul_overflow(*room, 2, &more)) ||
		__builtin_mul_overflow(more, size, &bytes))
		return -ENOMEM;
	memcpy(&array, list, sizeof(array));
	array = realloc(array, bytes);
	if (!array)
		return -ENOMEM;
	memcpy(list, &array, sizeof(array));
	*room = more;
	return 0;
}
