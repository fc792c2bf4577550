// What the tests of `refkey repair` share: moods in every state that it mends, and running it.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { MOOD, moodDocument, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { issues, settled, tid } from './scene.mjs';

export const users = (...people) => people.flatMap((p) => ['--user', p.user]);
export const entries = (file) =>
  readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

export function repairing(scene, refkey) {
  // Runs it; its one JSON object, if it came to have one.
  async function repair(...args) {
    const { code, signal, stdout, stderr } = await refkey.run(['repair', '--json', ...args]);
    const shown = `repair ${args.join(' ')}: ${signal ?? code}\n${stdout}${stderr}`;
    assert.notEqual(code, null, shown);
    return { code, shown, stderr, stdout, ...(stdout && JSON.parse(stdout)) };
  }
  const find = (_id) => scene.mongo.moods.findOne({ _id });
  const records = (person) => scene.pds.listRecordsAll(person.did, MOOD);
  const keys = async (person) => (await records(person)).map((r) => r.uri.split('/').pop()).sort();
  const undoFolder = () => path.join(refkey.dataDirectory, 'undo');
  const undoFiles = () =>
    existsSync(undoFolder()) ? readdirSync(undoFolder()).map((name) => path.join(undoFolder(), name)) : [];

  const writer = (password) => scene.writer({ password });
  const record = (person, ref, rkey, mood = 'calm') =>
    scene.pds.createRecord(person, MOOD, moodRecord({ mood, ref }), rkey);

  // A document with records under so many keys, oldest first, of which it names one (undefined: none).
  async function mood(person, count, named, more = {}) {
    const rkeys = Array.from({ length: count }, (_, i) => tid(3_600_000 - i * 1000));
    const rkey = named === undefined ? undefined : (rkeys[named] ?? named);
    const document = moodDocument({ user: person.user, rkey, ...more });
    await scene.mongo.moods.insertOne(document);
    for (const [i, key] of rkeys.entries()) await record(person, document._id, key, `mood ${i}`);
    return { ...document, rkeys };
  }
  async function moods(person, count) {
    const all = [];
    for (let i = 0; i < count; i++) all.push(await mood(person, 1, 0));
    return all;
  }
  // Their records go in a copy of the repo that refkey, which has seen all there is, does not believe: it has too few.
  async function vanish(person, all) {
    await refkey.start();
    await refkey.ready();
    await settled(refkey);
    await refkey.stop();
    await scene.pds.applyWrites(person, all.map((m) => ({ action: 'delete', collection: MOOD, rkey: m.rkeys[0] })));
    // So long ago that no stream tells of it.
    await scene.pds.restart({ repoBackfillLimitMs: 1 });
    await record(await scene.person(), objectId());
    await refkey.start();
    await refkey.ready();
    await until(async () => (await issues(refkey)).vanished === all.length, { what: 'vanished' });
    await refkey.stop();
  }
  // One of each, and what must not be touched.
  async function everything(person) {
    return {
      fine: await mood(person, 1, 0),
      named: await mood(person, 3, 2),
      unnamed: await mood(person, 2),
      orphan: await mood(person, 2, 0, { deleted: true }),
      unlinked: await mood(person, 1),
      stale: await mood(person, 1, tid(9_000_000)),
      absent: await record(person, objectId()),
      unsynced: await mood(person, 0),
    };
  }
  return { repair, find, records, keys, undoFolder, undoFiles, writer, record, mood, moods, vanish, everything };
}
