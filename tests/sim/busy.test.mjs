// Accounts that write while their repos come in, to a slow disk: what ends an account's wait, and what is to wait for
// it, come to be in one transaction. SEED=123 for one, SEEDS=100 for more.

import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { binary } from '../kit/refkey.mjs';
import { committed, identity } from './acts.mjs';
import { runScene } from './run.mjs';
import { check } from './truth.mjs';

const slowDisk = process.env.REFKEY_TEST_SIM_SLOW ?? fileURLToPath(new URL('../../build/tests/sim/libsim_slow.so', import.meta.url));

const only = process.env.SEED;
const seeds = only ? [Number(only)] : Array.from({ length: Number(process.env.SEEDS ?? 3) }, (_, i) => i + 1);
const accounts = 30;
const rounds = 8; // of commits, one of each account
const forNothing = 'events of an account wait, and for nothing'; // what refkey says where it comes for them after all
const pause = 4; // ms; all of it takes about as long as the repos

async function scene(run) {
  await run.begin(accounts, { LD_PRELOAD: slowDisk });
  const writers = [...run.accounts.values()].filter((account) => account !== run.anchor);
  const frames = [];
  const told = new Set(); // once of each: a document that is doubted while it is read is read again at once, once
  for (let n = 0; n < rounds; n++) {
    for (const account of writers) {
      frames.push(await committed(run, account));
      if (told.has(account) || run.chance.odds(0.9)) continue;
      told.add(account);
      frames.push(identity(run, account));
    }
  }
  await run.connected();
  for (const frame of frames) {
    run.host.send(frame);
    if (run.chance.odds(0.5)) await sleep(pause);
  }
  await run.refkey.ready();
  // What waits for nothing any more shows itself by what waits behind it.
  for (const account of writers) run.host.send(await committed(run, account));
  await run.settled();
  return [...run.refkey.log().filter((l) => l.message === forNothing).map((l) => JSON.stringify(l)), ...(await check(run))];
}

describe(`refkey (${binary.split('/').at(-2)}) while all accounts write`, { concurrency: 2 }, () => {
  for (const relay of [false, true]) {
    for (const seed of seeds) {
      it(`seed ${seed}${relay ? ', behind a relay' : ''}: comes to every head`, () => runScene(seed, { relay }, scene));
    }
  }
});
