/* A file for what is too large for memory: without a name, gone with its descriptor. */
#ifndef RK_NET_SPOOL_H
#define RK_NET_SPOOL_H

/* The descriptor, for reading and writing, or negative. */
int rk_spool_open(const char *dir) __attribute__((warn_unused_result));

#endif
