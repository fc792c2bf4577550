// Runs of the simulated network: SEED=123 for one, SEEDS=1000 for more than the hundred.

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { lies } from './lies.mjs';
import { runSeed } from './run.mjs';

const only = process.env.SEED;
const seeds = only ? [Number(only)] : Array.from({ length: Number(process.env.SEEDS ?? 100) }, (_, i) => i + 1);

describe('the simulated network', { concurrency: 4 }, () => {
  const kinds = new Map();
  for (const seed of seeds) {
    it(`seed ${seed}: refkey serves what is true, and nothing else`, async () => {
      const ledger = await runSeed(seed);
      for (const [kind, n] of ledger.kinds) kinds.set(kind, (kinds.get(kind) ?? 0) + n);
    });
  }
  after(() => {
    if (only) return;
    const missing = Object.keys(lies).filter((kind) => !kinds.has(`lie: ${kind}`));
    assert.deepEqual(missing, [], 'lies that no seed told');
  });
});
