// Repos that lose all their records, also those that the same commit fills again: the trees that the PDS makes
// of them are canonical, so nothing of it is refused or fetched, and each deletion is served at once.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { assertChecks, assertIndexEqualsPds, explain, metrics, seen, settled, soon, startScene, tid, unseen } from './scene.mjs';

const create = (rkey) => ({ action: 'create', collection: MOOD, rkey, value: moodRecord({ mood: 'a mood', ref: objectId() }) });
const remove = (rkey) => ({ action: 'delete', collection: MOOD, rkey });

// A record key whose place in the tree is so many layers up.
function keyOf(layer) {
  for (;;) {
    const rkey = tid();
    const zeros = Math.clz32(createHash('sha256').update(`${MOOD}/${rkey}`).digest().readUInt32BE());
    if (zeros >> 1 === layer) return rkey;
  }
}

describe('a repo that is emptied', () => {
  let scene;
  let refkey;
  let ada; // one for each test
  let untouched; // what was refused, fetched and told before

  const sums = async () =>
    Object.entries(await metrics(refkey)).filter(([name]) => /refkey_(refused_total\{|resyncs_total)/.test(name));
  before(async () => {
    scene = await startScene({ mongo: false });
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  beforeEach(async () => {
    ada = await scene.stranger();
    await seen(refkey, await scene.pds.createRecord(ada, MOOD, moodRecord({ mood: 'first', ref: objectId() }), 'first'));
    await settled(refkey);
    untouched = await sums();
  });
  afterEach(async (t) => {
    explain(t, refkey);
    await assertIndexEqualsPds(refkey, scene.pds, [ada.did]);
  });

  const write = (...writes) => scene.pds.applyWrites(ada, writes);
  const uriOf = (rkey) => ({ uri: `at://${ada.did}/${MOOD}/${rkey}` });
  const created = (result) => seen(refkey, result, soon);
  const gone = (...rkeys) => Promise.all(rkeys.map((rkey) => unseen(refkey, uriOf(rkey))));

  it('one by one', async () => {
    const keys = [0, 1, 0, 2].map(keyOf);
    await write(...keys.map(create));
    for (const rkey of ['first', ...keys]) {
      await scene.pds.deleteRecord(ada, MOOD, rkey);
      await gone(rkey);
    }
    assert.deepEqual(await sums(), untouched);
  });

  it('by one commit', async () => {
    const keys = [0, 1, 0, 2].map(keyOf);
    await write(...keys.map(create));
    await write(...['first', ...keys].map(remove));
    await gone('first', ...keys);
    assert.deepEqual(await sums(), untouched);
  });

  it('and filled by the same commit, again and again', async () => {
    const [high, low, lower, last] = [3, 0, 0, 1].map(keyOf);
    await write(create(high), remove('first'));
    const [, { uri, cid }] = (await write(remove(high), create(low))).results;
    await created({ uri, cid });
    await gone(high);
    await write(create(lower));
    await write(create(last), remove(low));
    await gone(low);
    await write(remove(lower), remove(last));
    await gone(lower, last);
    assert.deepEqual(await sums(), untouched);
  });

  it('and filled by the same commit, is fetched as it is', async () => {
    const [high, low] = [3, 0].map(keyOf);
    await write(create(high), remove('first'));
    const [, { uri, cid }] = (await write(remove(high), create(low))).results;
    await created({ uri, cid });
    await gone(high);
    const fresh = await scene.refkey();
    await seen(fresh, { uri, cid });
    await assertIndexEqualsPds(fresh, scene.pds, [ada.did]);
    await assertChecks(fresh);
  });
});
