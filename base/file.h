/*
 * Opening files and folders that somebody else may have a hand in: what is there is what it is taken for,
 * or it is refused. Only the last part of a path is looked at; what leads there is the caller's.
 */
#ifndef RK_BASE_FILE_H
#define RK_BASE_FILE_H

#include <stdint.h>

/* To be read: a regular file, no link, of at most so many bytes. A descriptor, or negative errno; -EINVAL:
 * it is none, -EFBIG: it is larger. Never waits, as opening a pipe would. */
int rk_file_open(const char *path, int64_t size_most) __attribute__((warn_unused_result));
/* A folder, and no link to one. A descriptor, or negative errno. */
int rk_file_open_folder(const char *path) __attribute__((warn_unused_result));
/* Gives what this process made to whoever has the file that it stands beside or for (as openat has it): a service that runs as another
 * user must be able to open what a command of root's left. Where that may not be, it stays as it is. */
void rk_file_give(int fd, int folder, const char *beside);

#endif
