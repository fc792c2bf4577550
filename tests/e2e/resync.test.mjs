// Repos of more records than one transaction takes, and trees that shrank: fetched whole, from nothing and
// against what the index holds.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { encodeFrame } from '../kit/firehose.mjs';
import { faults } from '../kit/proxy.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import {
  assertChecks,
  assertIndexEqualsPds,
  explain,
  listAll,
  metrics,
  seen,
  settled,
  soon,
  startScene,
  unseen,
  untilIndexEqualsPds,
} from './scene.mjs';

describe('a whole repo', () => {
  let scene;
  let refkey;

  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  const create = (who, writes) => scene.pds.applyWrites(who, writes);
  const moods = (count) =>
    Array.from({ length: count }, (_, i) => ({
      action: 'create',
      collection: MOOD,
      value: moodRecord({ mood: `one of ${i}`, ref: objectId() }),
    }));

  it('of more records than a transaction takes comes in, and stays when it is fetched again', async () => {
    const ada = await scene.stranger();
    for (let i = 0; i < 22; i++) await create(ada, moods(200)); // 4,400; a transaction takes 4,000
    refkey = await scene.refkey();
    assert.equal((await listAll(refkey, { repo: ada.did, collection: MOOD })).length, 4400);
    assert.equal((await metrics(refkey)).refkey_records_removed_total, 0);
    await assertIndexEqualsPds(refkey, scene.pds, [ada.did]);

    // Again, with more removals than that: the stream does not tell of them, but the next commit shows a gap.
    const held = (await scene.pds.listRecordsAll(ada.did, MOOD)).map((r) => r.uri.split('/').pop());
    const dropped = scene.proxy.stream(faults.drop, { when: (f) => f.body.ops?.some((op) => op.action === 'delete') });
    for (let i = 0; i < 21; i++) {
      const keys = held.slice(i * 200, i * 200 + 200);
      await create(ada, keys.map((rkey) => ({ action: 'delete', collection: MOOD, rkey })));
    }
    await seen(refkey, await scene.pds.createRecord(ada, MOOD, moodRecord({ mood: 'the next', ref: objectId() })), soon);
    assert.ok(dropped.fired >= 21, `${dropped.fired}`); // on a connection that broke, some come twice
    dropped.end();
    await settled(refkey);
    await assertIndexEqualsPds(refkey, scene.pds, [ada.did]);
    // Counted once it is on disk, which others see before.
    const removed = async () => (await metrics(refkey)).refkey_records_removed_total;
    await until(async () => (await removed()) >= 4200, { what: 'all removals are counted', ...soon });
    assert.equal(await removed(), 4200);
    await assertChecks(refkey);
  });

  // The fields are not signed: whoever copies a frame may leave them out.
  it('is not fetched for commits that do not say what they changed, if the index knows', async () => {
    const cleo = await scene.stranger();
    const first = await scene.pds.createRecord(cleo, MOOD, moodRecord({ mood: 'first', ref: objectId() }));
    const second = await scene.pds.createRecord(cleo, MOOD, moodRecord({ mood: 'second', ref: objectId() }));
    await seen(refkey, second, soon);
    const fetched = scene.proxy.count('com.atproto.sync.getRepo');
    const bare = ({ header, body: { prevData: _, ops, ...body } }) =>
      encodeFrame(header, { ...body, ops: ops.map(({ prev, ...op }) => op) });
    const stripped = scene.proxy.stream(faults.replace(bare), { when: (f) => f.body.repo === cleo.did });
    const third = await scene.pds.createRecord(cleo, MOOD, moodRecord({ mood: 'third', ref: objectId() }));
    await seen(refkey, third, soon);
    await seen(refkey, await scene.pds.putRecord(cleo, MOOD, first.rkey, moodRecord({ mood: 'new', ref: objectId() })), soon);
    await scene.pds.deleteRecord(cleo, MOOD, second.rkey);
    await unseen(refkey, second);
    assert.ok(stripped.fired >= 3, `${stripped.fired}`);
    stripped.end();
    assert.equal(scene.proxy.count('com.atproto.sync.getRepo'), fetched);
    await assertIndexEqualsPds(refkey, scene.pds, [cleo.did]);
  });

  // Each commit is a tree of the PDS's own making, as it grows and shrinks through every height; none of them
  // may be refused, live or fetched.
  it('of a tree that grows and shrinks to nothing is what the PDS makes of it', async () => {
    const bea = await scene.stranger();
    const keys = [];
    for (let i = 0; i < 3; i++) {
      const { results } = await create(bea, moods(150));
      keys.push(...results.map((r) => r.uri.split('/').pop()));
    }
    await untilIndexEqualsPds(refkey, scene.pds, [bea.did]);
    const fetched = scene.proxy.count('com.atproto.sync.getRepo');
    // In an order that takes the upper layers' keys at any time; at the end one by one.
    const order = keys.map((key, i) => [(i * 193) % keys.length, key]).sort(([a], [b]) => a - b);
    const rest = order.map(([, key]) => key);
    while (rest.length > 60) {
      const part = rest.splice(0, 30);
      await create(bea, part.map((rkey) => ({ action: 'delete', collection: MOOD, rkey })));
    }
    while (rest.length) {
      await scene.pds.deleteRecord(bea, MOOD, rest.pop());
      if (rest.length % 20 === 0) await untilIndexEqualsPds(refkey, scene.pds, [bea.did]);
    }
    const last = await scene.pds.createRecord(bea, MOOD, moodRecord({ mood: 'after nothing', ref: objectId() }));
    await seen(refkey, last, soon);
    const refused = Object.entries(await metrics(refkey)).filter(([name, n]) => /refused_total\{/.test(name) && n);
    assert.deepEqual(refused, []);
    assert.equal(scene.proxy.count('com.atproto.sync.getRepo'), fetched, 'commits that follow make nothing be fetched');

    // And the same trees, fetched: a fresh index at each size.
    for (const size of [3, 2, 1, 0]) {
      const left = (await scene.pds.listRecordsAll(bea.did, MOOD)).map((r) => r.uri.split('/').pop());
      for (const key of left.slice(size)) await scene.pds.deleteRecord(bea, MOOD, key);
      const other = await scene.refkey();
      await assertIndexEqualsPds(other, scene.pds, [bea.did]);
      await other.stop();
    }
  });
});
