// What the tests of `refkey publish moods` share: people, moods of theirs, running it, and what must be so when
// it has gone well.

import assert from 'node:assert/strict';
import { MOOD, moodDocument, moodRecord } from '../kit/shapes.mjs';

export const users = (...people) => people.flatMap((p) => ['--user', p.user]);

export function publishing(scene, refkey) {
  let count = 0;

  const writer = (password) => scene.writer({ password });
  // In the order in which they are published.
  async function moods(person, n, more = {}) {
    const when = Date.now() - 3_600_000;
    const all = Array.from({ length: n }, (_, i) =>
      moodDocument({ user: person.user, mood: `mood ${count++} 🌱`, when: new Date(when + i), ...more }),
    );
    if (n) await scene.mongo.moods.insertMany(all);
    return all;
  }
  const find = (_id) => scene.mongo.moods.findOne({ _id });
  const records = (person) => scene.pds.listRecordsAll(person.did, MOOD);

  // Runs it; its one JSON object, if it came to have one.
  async function publish(...args) {
    const { code, signal, stdout, stderr } = await refkey.run(['publish', 'moods', '--json', ...args]);
    const shown = `publish ${args.join(' ')}: ${signal ?? code}\n${stdout}${stderr}`;
    assert.notEqual(code, null, shown);
    return { code, shown, stderr, ...(stdout && JSON.parse(stdout)) };
  }

  // Each document names one record, which says what it says; no record is there twice.
  async function assertPublished(person, documents) {
    const theirs = await records(person);
    const refs = theirs.map((r) => r.value.ref);
    assert.equal(new Set(refs).size, refs.length, 'a ref is there twice');
    for (const d of documents) {
      const record = theirs.find((r) => r.value.ref === String(d._id));
      assert.ok(record, `no record for ${d._id}`);
      assert.deepEqual(record.value, { $type: MOOD, ...moodRecord({ ...d, ref: d._id }) });
      assert.deepEqual(await find(d._id), { ...d, atproto: { rkey: record.uri.split('/').pop() } });
    }
    return theirs;
  }
  return { writer, moods, find, records, publish, assertPublished };
}
