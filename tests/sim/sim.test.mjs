// Runs of the simulated network: SEED=123 for one, SEEDS=1000 for more than the hundred.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { startMongo } from '../kit/mongo.mjs';
import { copies } from './copies.mjs';
import { lies } from './lies.mjs';
import { relayVerdicts } from './relayed.mjs';
import { runSeed } from './run.mjs';
import { stepKinds } from './steps.mjs';

const only = process.env.SEED;
const seeds = only ? [Number(only)] : Array.from({ length: Number(process.env.SEEDS ?? 100) }, (_, i) => i + 1);

// FerretDB takes its time: MongoDB is there in these only.
const withMongo = (seed) => seed % 16 === 0;

const ledgers = [];
const absent = (wanted, have) => wanted.filter((name) => !have.has(name));

describe(`refkey (${binary.split('/').at(-2)}) in the simulated network`, { concurrency: 4 }, () => {
  let mongo;
  before(async () => {
    if (seeds.some(withMongo)) mongo = await startMongo();
  });
  after(() => mongo?.close());
  for (const seed of seeds) {
    it(`seed ${seed}: serves what is true, and nothing else`, async () => {
      ledgers.push(await runSeed(seed, withMongo(seed) ? { mongo } : {}));
    });
  }
});

describe('all seeds together', { skip: seeds.length < 100 ? 'fewer than a hundred do not show it' : false }, () => {
  const kinds = () => new Set(ledgers.flatMap((ledger) => [...ledger.kinds.keys()]));

  it('tell every lie', () => {
    const told = [...Object.keys(lies), ...Object.keys(copies).filter((kind) => copies[kind].as)];
    assert.deepEqual(absent(told.map((kind) => `lie: ${kind}`), kinds()), []);
  });
  it('take every step', () => assert.deepEqual(absent(stepKinds(false).filter((kind) => kind !== 'a lie'), kinds()), []));
  it('have a lie for every verdict', () => {
    const told = new Set(ledgers.flatMap((ledger) => [...ledger.refused.keys()]).flatMap((verdicts) => verdicts.split('|')));
    const others = [...relayVerdicts, 'no_room']; // of too many at once, true or not
    const verdicts = Object.keys(ledgers[0].counted).filter((verdict) => !others.includes(verdict));
    assert.deepEqual(absent(verdicts, told), []);
  });
});
