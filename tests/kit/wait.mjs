// Waiting for conditions, and ports that stay free.

import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

// In milliseconds, for what takes one as a rule: the machine may have much else to do, or stand still for a while.
export const patience = 180_000;

// Calls fn every few milliseconds until it returns something truthy, and
// returns that. Errors of fn count as "not yet"; the last one is in the
// message when the deadline (milliseconds) passes.
export async function until(fn, { deadline = patience, what = 'condition', every = 10 } = {}) {
  const end = performance.now() + deadline;
  let last;
  for (;;) {
    try {
      const got = await fn();
      if (got) return got;
      last = undefined;
    } catch (e) {
      last = e;
    }
    if (performance.now() >= end) {
      const why = last ? `: ${last.message ?? last}` : '';
      throw new Error(`not within ${deadline} ms: ${what}${why}`, { cause: last });
    }
    await sleep(every);
  }
}

// Promise p, or an error once the deadline has passed.
export async function within(deadline, what, p) {
  const { promise, reject } = Promise.withResolvers();
  const timer = setTimeout(() => reject(new Error(`not within ${deadline} ms: ${what}`)), deadline);
  try {
    return await Promise.race([p, promise]);
  } finally {
    clearTimeout(timer);
  }
}

// A free loopback port below the range that the kernel takes for outgoing
// connections: a server of the kit that is killed must find its port free when
// it starts again. So it is this process's as long as that lives, whether or not
// anybody listens there: others see it by a socket in the abstract name space.
export async function freePort() {
  for (;;) {
    const port = 16_000 + Math.floor(Math.random() * 16_000);
    const claim = await listen(`\0refkey-test-port-${port}`);
    if (!claim) continue;
    const server = await listen(port, '127.0.0.1');
    if (!server) {
      claim.close();
      continue;
    }
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

// A server that keeps nobody waiting for its end; undefined: somebody else listens there.
function listen(...where) {
  return new Promise((resolve) => {
    const server = net.createServer().unref();
    server.once('error', () => resolve(undefined));
    server.listen(...where, () => resolve(server));
  });
}
