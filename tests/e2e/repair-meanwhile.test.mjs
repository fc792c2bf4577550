// `refkey repair` while a limit keeps its deletions back: what either side wants to stay by then stays.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MOOD, moodRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { repairing, users } from './repairing.mjs';
import { assertChecks, startScene } from './scene.mjs';

describe('repair, of what changes meanwhile', () => {
  let scene;
  let refkey;
  let repair, find, records, keys, writer, record, mood, moods, vanish;

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_SWEEP_SECONDS: '1' });
    await refkey.stop();
    ({ repair, find, records, keys, writer, record, mood, moods, vanish } = repairing(scene, refkey));
  });
  after(() => scene?.close());

  // Runs it, with a limit that lasts some seconds before the first deletion, in which something is done.
  async function limited(meanwhile, ...args) {
    const fault = scene.proxy.http(
      { status: 429, headers: { 'retry-after': '4' } },
      { method: 'com.atproto.repo.applyWrites', times: 1 },
    );
    const running = repair('--yes', ...args);
    await until(() => fault.fired === 1, { what: 'the limit' });
    await meanwhile();
    return running;
  }
  const set = ({ _id }, update) => scene.mongo.moods.updateOne({ _id }, update);

  it('a document that is back, a record that was edited, a duplicate that is named: they stay', async () => {
    const person = await writer();
    const back = await mood(person, 1, 0);
    const edited = await mood(person, 1, 0);
    const goes = await mood(person, 1, 0);
    const twice = await mood(person, 2, 0);
    for (const one of [back, edited, goes]) await set(one, { $set: { deleted: true } });
    const { code, summary, shown } = await limited(
      async () => {
        await set(back, { $set: { deleted: false } });
        await set(twice, { $set: { 'atproto.rkey': twice.rkeys[1] } });
        await person.agent.com.atproto.repo.putRecord({
          repo: person.did,
          collection: MOOD,
          rkey: edited.rkeys[0],
          record: { $type: MOOD, ...moodRecord({ mood: 'edited', ref: edited._id }) },
        });
      },
      '--all',
      ...users(person),
    );
    assert.deepEqual([code, summary.delete, summary.failed], [1, 1, 3], shown);
    assert.match(shown, /its document is there again.*the record changed meanwhile.*its document names it by now/s);
    assert.deepEqual(await keys(person), [back, edited, twice].flatMap((one) => one.rkeys).sort());
    assert.ok((await records(person)).some((r) => r.value.mood === 'edited'));
  });

  it('a record that vanished and is there again: its document is not marked', async () => {
    const person = await writer();
    const many = await moods(person, 22);
    const orphan = await mood(person, 1, 0);
    await vanish(person, many);
    await set(orphan, { $set: { deleted: true } });
    const { code, summary, shown } = await limited(
      () => record(person, many[0]._id, many[0].rkeys[0]),
      '--orphans',
      '--vanished',
      ...users(person),
    );
    assert.deepEqual([code, summary.delete, summary.mark, summary.failed], [1, 1, 21, 1], shown);
    assert.match(shown, /its record is there again/);
    assert.ok(!(await find(many[0]._id)).deleted);
    assert.ok((await find(many[1]._id)).deleted);
    await assertChecks(refkey);
  });
});
