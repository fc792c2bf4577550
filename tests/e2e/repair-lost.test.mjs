// `refkey repair --orphans` after MongoDB was lost, or with the name of another database: for the index all that is
// not there was removed by somebody. Nothing goes that a person has not looked at.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { repairing, users } from './repairing.mjs';
import { asked, settled, startScene } from './scene.mjs';

describe('repair --orphans, with documents that are not there', () => {
  let scene;
  let refkey;
  let folder;
  let repair, keys, undoFiles, writer, mood;

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-lost-'));
    scene = await startScene();
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_ON_DELETE: 'keep', REFKEY_SWEEP_SECONDS: '1' });
    await refkey.stop();
    ({ repair, keys, undoFiles, writer, mood } = repairing(scene, refkey));
  });
  after(async () => {
    await scene?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  // People with so many moods each, which the index has seen with their documents.
  async function people(...counts) {
    const list = [];
    for (const count of counts) {
      const person = await writer();
      for (let i = 0; i < count; i++) await mood(person, 1, 0);
      list.push(person);
    }
    await refkey.start();
    await refkey.ready();
    await settled(refkey);
    await refkey.stop();
    return list;
  }
  const remove = async (person, count) => {
    const some = await scene.mongo.moods.find({ user: person.user }).limit(count).toArray();
    await scene.mongo.moods.deleteMany({ _id: { $in: some.map((d) => d._id) } });
  };
  const counts = (list) => Promise.all(list.map(async (p) => (await keys(p)).length));

  it('20 of a repo go; more, and more than one in ten, do not', async () => {
    const [few, many] = await people(20, 21);
    await remove(few, 20);
    await remove(many, 21);
    for (const args of [['--orphans'], ['--all'], ['--orphans', '--limit', '1']]) {
      const { code, stderr, steps, summary, shown } = await repair(...args, '--yes', ...users(many));
      assert.equal(code, 1, shown);
      assert.match(stderr, new RegExp(`orphans: the documents of 21 of 21 records of ${many.user.replace('|', '\\|')} are not there`), shown);
      assert.match(stderr, /REFKEY_MONGO_DB.*recover --restore.*--plan FILE.*--apply/, shown);
      // What it would have deleted is named.
      assert.deepEqual(steps.map((s) => [s.action, s.outcome, s.did]), Array(args.length === 3 ? 1 : 21).fill(['delete', 'planned', many.did]), shown);
      assert.deepEqual([summary.refused, summary.dryRun, summary.planned, summary.undo], [true, true, steps.length, null], shown);
    }
    // One who has too many keeps the others.
    const both = await repair('--orphans', '--yes', ...users(few, many));
    assert.equal(both.code, 1, both.shown);
    assert.deepEqual(await counts([few, many]), [20, 21]);
    assert.deepEqual(undoFiles(), []);

    const one = await repair('--orphans', '--yes', ...users(few));
    assert.deepEqual([one.code, one.summary.delete, one.summary.refused], [0, 20, false], one.shown);

    // A dry run says so beforehand, and its plan is the way to mean it.
    const file = path.join(folder, 'plan.json');
    const dry = await repair('--orphans', '--plan', file, ...users(many));
    assert.deepEqual([dry.code, dry.steps.length], [0, 21], dry.shown);
    assert.match(dry.stderr, /--yes would do nothing of this: orphans: the documents of 21 of 21/);
    const { code, summary, shown } = await repair('--apply', file);
    assert.deepEqual([code, summary.delete], [0, 21], shown);
    assert.deepEqual(await counts([few, many]), [0, 0]);
    await scene.mongo.moods.deleteMany({ user: { $in: [few.user, many.user] } });
  });

  it('nor a few of each, if they are many in all; marked ones always', async () => {
    const list = await people(6, 6, 6, 6);
    for (const person of list) await remove(person, 6);
    const { code, stderr, stdout } = await refkey.run(['repair', '--orphans', '--yes', ...users(...list)]);
    assert.equal(code, 1, stdout + stderr);
    assert.match(stderr, /orphans: the documents of 24 of 24 records of all are not there/);
    assert.match(stdout, /would be deleted.*\nNothing was written\.\nLinked: {2}0\nDeleted: 24\n/s);
    assert.deepEqual(await counts(list), [6, 6, 6, 6]);

    const [marked] = await people(30);
    await scene.mongo.moods.updateMany({ user: marked.user }, { $set: { deleted: true } });
    const gone = await repair('--orphans', '--yes', ...users(marked));
    assert.deepEqual([gone.code, gone.summary.delete], [0, 30], gone.shown);
    await scene.mongo.moods.deleteMany({ user: marked.user });
  });

  // Asked as a command beside serve asks, to see what it is told.
  it('the pass that counts them, and that which looks whether a plan is still so, are in the progress', async () => {
    const list = await people(1, 1, 1);
    for (const person of list) await mood(person, 2, 0);
    const file = path.join(folder, 'progress.json');
    const dry = await repair('--duplicates', '--plan', file, ...users(...list));
    assert.equal(dry.code, 0, dry.shown);
    await refkey.start();
    await refkey.ready();
    try {
      await settled(refkey);
      const progress = async (request) => {
        const events = await asked(refkey, { operation: 'repair', ...request });
        assert.equal(events.at(-1).exit, 0, JSON.stringify(events));
        return events.filter((e) => e.event === 'progress').map((e) => [e.done, e.total]);
      };
      const of = (total) => Array.from({ length: total }, (_, i) => [i + 1, total]);
      // What says nothing of what is to be done is refused.
      for (const nothing of [{}, { kinds: [] }, { kinds: ['bogus'] }, { kinds: 'orphans' }, { undo: 5 }]) {
        const events = await asked(refkey, { operation: 'repair', yes: true, ...nothing });
        assert.deepEqual([events.length, events[0].event, events.at(-1).exit], [2, 'error', 2], JSON.stringify(events));
        assert.match(events[0].message, /names no kinds \(.*\), no plan and no undo file/);
      }
      const some = { users: list.map((p) => p.user) };
      assert.deepEqual(await progress({ ...some, kinds: ['orphans'] }), of(3));
      assert.deepEqual(await progress({ ...some, kinds: ['orphans'], yes: true }), of(6));
      assert.deepEqual(await progress({ ...some, kinds: ['unlinked'], yes: true }), of(3));
      assert.deepEqual(await progress({ plan: JSON.parse(readFileSync(file, 'utf8')), yes: true }), of(6));
    } finally {
      await refkey.stop();
    }
    await scene.mongo.moods.deleteMany({ user: { $in: list.map((p) => p.user) } });
  });

  it('nor those of another database that has the same users', async () => {
    const list = await people(15, 15);
    const other = scene.mongo.client.db('another');
    await other.collection('users').insertMany(await scene.mongo.users.find({ _id: { $in: list.map((p) => p.user) } }).toArray());
    const args = ['repair', '--all', '--yes', '--json', ...users(...list)];
    const { code, stdout, stderr } = await refkey.run(args, { env: { REFKEY_MONGO_DB: 'another' } });
    assert.equal(code, 1, stdout + stderr);
    assert.match(stderr, /documents of 30 of 30 records of all/);
    // Nor where there is nobody at all.
    const empty = await refkey.run(['repair', '--all', '--yes'], { env: { REFKEY_MONGO_DB: 'empty' } });
    assert.equal(empty.code, 2, empty.stdout + empty.stderr);
    assert.match(empty.stderr, /database empty has neither .*REFKEY_MONGO_DB/);
    assert.equal(empty.stdout, '');
    assert.deepEqual(await counts(list), [15, 15]);
  });
});
