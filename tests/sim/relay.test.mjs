// Runs of the simulated network behind a relay: SEED=123 for one, SEEDS=200 for more.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startMongo } from '../kit/mongo.mjs';
import { binary } from '../kit/refkey.mjs';
import { runSeed } from './run.mjs';
import { relayVerdicts } from './relayed.mjs';
import { stepKinds } from './steps.mjs';

const only = process.env.SEED;
const count = 40; // so many take every step
const seeds = only ? [Number(only)] : Array.from({ length: Number(process.env.SEEDS ?? count) }, (_, i) => i + 1);
const withMongo = (seed) => seed % 16 === 0; // FerretDB takes its time
const ledgers = [];

describe(`refkey (${binary.split('/').at(-2)}) behind a simulated relay`, { concurrency: 8 }, () => {
  let mongo;
  before(async () => {
    if (seeds.some(withMongo)) mongo = await startMongo();
  });
  after(() => mongo?.close());
  for (const seed of seeds) {
    it(`seed ${seed}: serves what is true, and nothing else`, async () => {
      ledgers.push(await runSeed(seed, { relay: true, ...(withMongo(seed) && { mongo }) }));
    });
  }
});

describe('all seeds behind a relay', { skip: seeds.length < count ? 'too few of them do not show it' : false }, () => {
  it('take every step', () => {
    const taken = new Set(ledgers.flatMap((ledger) => [...ledger.kinds.keys()]));
    assert.deepEqual(stepKinds(true).filter((kind) => kind !== 'a lie' && !taken.has(kind)), []);
  });
  it('tell every lie of a relay', () => {
    const told = new Set(ledgers.flatMap((ledger) => [...ledger.refused.keys()]));
    assert.deepEqual(relayVerdicts.filter((verdict) => !told.has(verdict)), []);
  });
  it('know accounts of did:web, and of several PDSs', () => {
    const dids = new Set(ledgers.flatMap((ledger) => [...ledger.fetches.keys()].map((did) => did.split(':')[1])));
    assert.deepEqual([...dids].sort(), ['plc', 'web']);
  });
});
