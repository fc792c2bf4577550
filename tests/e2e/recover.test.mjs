// `refkey recover`: what REFKEY_RECOVER leaves undone, on request; alone and beside a running serve.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { Child } from '../kit/child.mjs';
import { binary } from '../kit/refkey.mjs';
import {
  MOOD,
  PAINTING,
  moodDocument,
  moodRecord,
  objectId,
  paintingDocument,
  paintingRecord,
} from '../kit/shapes.mjs';
import { freePort, until } from '../kit/wait.mjs';
import { assertChecks, explain, issues, judged, linked, seen, settled, soon, startScene } from './scene.mjs';

describe('recover', () => {
  let scene;
  let refkey;
  let ada;
  let bea;
  let nobody;
  let copy; // of the index
  let unreachable; // goes on while the others run: it waits for half a minute
  const things = []; // { collection, person, thing, record, what }
  const everything = async () => ({
    moods: await scene.mongo.moods.find().sort({ _id: 1 }).toArray(),
    paintings: await scene.mongo.paintings.find().sort({ _id: 1 }).toArray(),
  });
  const wanted = (what, person) => things.filter((t) => t.what === what && (!person || t.person === person));
  const documentOf = ({ collection, thing, record }) =>
    (collection === MOOD ? moodDocument : paintingDocument)({ ...thing, rkey: record.rkey });
  const find = ({ collection, thing }) => scene.documents(collection).findOne({ _id: thing._id });

  // Runs it; its one JSON object, checked against what is in MongoDB afterwards.
  async function recover(...args) {
    const { code, signal, stdout, stderr } = await refkey.run(['recover', '--json', ...args]);
    const shown = `recover ${args.join(' ')}: ${signal ?? code}\n${stdout}${stderr}`;
    assert.notEqual(code, null, shown);
    return { code, shown, stderr, ...(stdout && JSON.parse(stdout)) };
  }
  const by = (actions, name) =>
    actions
      .filter((a) => a.action === name)
      .map((a) => a.uri)
      .sort();
  const uris = (list) => list.map((t) => t.record.uri).sort();

  async function add(what, person, collection, { document } = {}) {
    const n = things.length;
    const base = { _id: objectId(), user: person.user, when: new Date() };
    const thing = collection === MOOD ? { ...base, mood: `mood ${n}` } : { ...base, code: `v${n}`, slug: `v.${n}` };
    if (document)
      await scene.documents(collection).insertOne((collection === MOOD ? moodDocument : paintingDocument)(thing));
    const make = collection === MOOD ? moodRecord : paintingRecord;
    const record = await scene.pds.createRecord(person, collection, make({ ...thing, ref: thing._id }));
    things.push({ what, collection, person, thing, record });
    return things.at(-1);
  }

  before(async () => {
    scene = await startScene();
    [ada, bea] = await scene.people(2);
    nobody = await scene.stranger();
    for (let i = 0; i < 6; i++) await add('absent', ada, i % 2 ? MOOD : PAINTING);
    for (let i = 0; i < 4; i++) await add('absent', bea, i % 2 ? MOOD : PAINTING);
    await add('unlinked', ada, MOOD, { document: true });
    await add('unlinked', bea, PAINTING, { document: true });
    const gone = await add('gone', bea, MOOD, { document: true });
    await scene.mongo.moods.updateOne({ _id: gone.thing._id }, { $set: { deleted: true } });
    await add('unclaimed', { ...nobody, user: 'nobody' }, MOOD);
    // The index is made without MongoDB: all of it is left to the command.
    refkey = await scene.refkey({ REFKEY_MONGO_URI: undefined });
    await refkey.stop();
    Object.assign(refkey.settings, scene.mongo.settings);
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  describe('alone', () => {
    it('begins to wait for a MongoDB that is away', async () => {
      copy = mkdtempSync(path.join(os.tmpdir(), 'refkey-e2e-'));
      cpSync(refkey.dataDirectory, copy, { recursive: true });
      const other = await scene.refkey(
        { REFKEY_DATA_DIR: copy, REFKEY_MONGO_URI: `mongodb://127.0.0.1:${await freePort()}/` },
        { start: false },
      );
      unreachable = other.run(['recover']);
    });

    it('refuses what it cannot do with 2', async () => {
      const cases = [
        [['recover', '--user', '@somebody-else'], {}, /somebody-else/],
        [['recover', '--limit', '0'], {}, /--limit/],
        [['recover', '--limit', 'ten'], {}, /--limit/],
        [['recover', '--bogus'], {}, /--bogus/],
        [['recover', 'extra'], {}, /extra/],
        [['recover', '--report', '/proc/refkey'], {}, /\/proc\/refkey/],
        [['recover'], { REFKEY_DATA_DIR: path.join(os.tmpdir(), 'refkey-no-such-folder') }, /refkey-no-such-folder/],
        [['recover', '--json'], { REFKEY_MONGO_DB: 'empty' }, /database empty has neither .*REFKEY_MONGO_DB/],
      ];
      for (const [args, env, message] of cases) {
        const { code, stdout, stderr } = await refkey.run(args, { env });
        assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
        assert.match(stderr, message);
        assert.doesNotMatch(stdout, /summary/);
      }
      const { REFKEY_MONGO_URI, REFKEY_MONGO_DB, ...rest } = refkey.settings;
      const without = await scene.refkey(
        { ...rest, REFKEY_MONGO_URI: undefined, REFKEY_DATA_DIR: refkey.dataDirectory },
        { start: false },
      );
      delete without.settings.REFKEY_MONGO_URI;
      const { code, stderr } = await without.run(['recover']);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /REFKEY_MONGO_URI/);
    });

    it('--dry-run says what it would do, and changes nothing anywhere', async () => {
      // A compacted copy of the index is the same as long as nothing in it changes.
      async function index() {
        const dir = mkdtempSync(path.join(os.tmpdir(), 'refkey-e2e-'));
        const { code, stderr } = await refkey.run(['backup', dir]);
        assert.equal(code, 0, stderr);
        const hash = createHash('sha256')
          .update(readFileSync(path.join(dir, 'data.mdb')))
          .digest('hex');
        rmSync(dir, { recursive: true });
        return hash;
      }
      const earlier = { documents: await everything(), index: await index() };
      const { code, actions, summary, shown } = await recover('--dry-run');
      assert.equal(code, 0, shown);
      assert.deepEqual(by(actions, 'inserted'), uris(wanted('absent')));
      assert.deepEqual(by(actions, 'linked'), uris(wanted('unlinked')));
      assert.equal(summary.dryRun, true);
      assert.deepEqual(
        [summary.inserted, summary.linked, summary.orphan, summary.unclaimed, summary.records],
        [10, 2, 1, 1, 14],
      );
      assert.deepEqual({ documents: await everything(), index: await index() }, earlier);
    });

    it('--limit stops after so many, --user and --skip choose', async () => {
      const limited = await recover('--user', `@${ada.name}`, '--limit', '2');
      assert.equal(limited.code, 0, limited.shown);
      assert.equal(limited.summary.inserted + limited.summary.linked, 2);
      assert.equal(limited.summary.limited, true);
      const theirs = async (p) =>
        (await scene.mongo.moods.countDocuments({ user: p.user, 'atproto.rkey': { $exists: true } })) +
        (await scene.mongo.paintings.countDocuments({ user: p.user, 'atproto.rkey': { $exists: true } }));
      assert.deepEqual([await theirs(ada), await theirs(bea)], [2, 0]);
      // Each spelling of a user means the same.
      for (const [i, name] of [`@${ada.name}`, ada.did, ada.user].entries()) {
        const next = await recover('--user', name, '--limit', '1');
        assert.equal(next.summary.inserted + next.summary.linked, 1, next.shown);
        assert.equal(await theirs(ada), 3 + i);
      }
      const skipping = await recover('--skip', `@${ada.name}`, '--skip', bea.did);
      assert.equal(skipping.code, 0, skipping.shown);
      assert.deepEqual([skipping.summary.inserted, skipping.summary.linked], [0, 0]);
      const rest = await recover('--user', ada.user);
      assert.equal(rest.summary.inserted + rest.summary.linked, 2, rest.shown);
      assert.deepEqual([await theirs(ada), await theirs(bea)], [7, 0]);
    });

    it('inserts and links all that is left; again, it finds nothing to do', async () => {
      const report = path.join(os.tmpdir(), `refkey-e2e-report-${process.pid}`);
      const { code, actions, summary, shown } = await recover('--report', report);
      assert.equal(code, 0, shown);
      assert.deepEqual(readdirSync(report), ['recover-report.json']);
      assert.equal(statSync(path.join(report, 'recover-report.json')).mode & 0o777, 0o600);
      assert.deepEqual(JSON.parse(readFileSync(path.join(report, 'recover-report.json'), 'utf8')), { actions, summary });
      rmSync(report, { recursive: true });
      assert.deepEqual(by(actions, 'inserted'), uris(wanted('absent', bea)));
      assert.deepEqual(by(actions, 'linked'), uris(wanted('unlinked', bea)));
      assert.deepEqual([summary.inserted, summary.linked, summary.limited, summary.stopped], [4, 1, false, false]);
      for (const t of [...wanted('absent'), ...wanted('unlinked')]) assert.deepEqual(await find(t), documentOf(t));
      const [gone] = wanted('gone');
      assert.deepEqual(await find(gone), { ...moodDocument(gone.thing), deleted: true });
      assert.equal(await scene.mongo.moods.countDocuments({ user: 'nobody' }), 0);
      const documents = await everything();
      const again = await recover();
      assert.deepEqual(
        [again.code, again.summary.inserted, again.summary.linked, again.summary.unchanged],
        [0, 0, 0, 12],
        again.shown,
      );
      assert.deepEqual(await everything(), documents);
      await assertChecks(refkey);
    });

    it('without --json prints a summary for people', async () => {
      const { code, stdout } = await refkey.run(['recover', '--dry-run']);
      assert.equal(code, 0);
      assert.match(stdout, /14 records/);
      assert.match(stdout, /12/);
      assert.throws(() => JSON.parse(stdout));
    });
  });

  describe('beside a running serve', () => {
    let erased;

    before(async () => {
      await refkey.start();
      await refkey.ready();
      for (const t of wanted('absent')) await linked(refkey, t.record);
      await settled(refkey);
      // A first fetch of somebody: an account that refkey sees for the first time, with records already.
      await refkey.stop();
      const carl = await scene.person('carl');
      erased = [];
      for (let i = 0; i < 8; i++) erased.push(await add('erased', carl, i % 2 ? MOOD : PAINTING));
      await scene.pds.restart({ repoBackfillLimitMs: 1 });
      await scene.pds.createRecord(bea, MOOD, moodRecord({ ref: objectId() }));
      await refkey.start();
      await refkey.ready();
      for (const t of erased) assert.equal((await judged(refkey, t.record)).linked, false);
      await settled(refkey);
    });

    it('finds what a first fetch left absent, and a dry run leaves it so', async () => {
      assert.equal((await issues(refkey)).absent, 8);
      const documents = await everything();
      const { code, actions, summary, shown } = await recover('--dry-run', '--user', '@carl');
      assert.equal(code, 0, shown);
      assert.deepEqual(by(actions, 'inserted'), uris(erased));
      assert.equal(summary.inserted, 8);
      assert.deepEqual(await everything(), documents);
      assert.equal((await issues(refkey)).absent, 8);
    });

    it('inserts some, then the rest, while queries are answered', async () => {
      const some = await recover('--limit', '3', '--user', '@carl', '--batch-size', '2');
      assert.deepEqual([some.code, some.summary.inserted], [0, 3], some.shown);
      assert.equal((await issues(refkey)).absent, 5);
      let asking = true;
      let answers = 0;
      const asker = (async () => {
        for (; asking; answers++)
          assert.equal((await refkey.xrpc('getByRef', { ref: String(erased[0].thing._id) })).status, 200);
      })();
      const rest = await recover('--batch-size', '1', '--delay', '20').finally(() => (asking = false));
      await asker;
      assert.deepEqual([rest.code, rest.summary.inserted], [0, 5], rest.shown);
      assert.ok(answers > 0);
      for (const t of erased) assert.deepEqual(await find(t), documentOf(t));
      for (const t of erased) assert.equal((await seen(refkey, t.record)).linked, true);
      assert.equal((await issues(refkey)).absent, undefined);
    });

    it('does not bring back what was known and removed, but with --restore, and only for its owner', async () => {
      const [one, two] = wanted('absent', ada);
      const stolen = await scene.pds.createRecord(
        bea,
        one.collection,
        (one.collection === MOOD ? moodRecord : paintingRecord)({ ...one.thing, ref: one.thing._id }),
      );
      assert.equal((await judged(refkey, stolen)).linked, false);
      for (const t of [one, two]) await scene.documents(t.collection).deleteOne({ _id: t.thing._id });
      const plain = await recover();
      assert.equal(plain.code, 0, plain.shown);
      assert.equal(plain.summary.inserted, 0, plain.shown);
      assert.deepEqual([await find(one), await find(two)], [null, null]);
      // Somebody else's record does not get it, ever.
      const theirs = await recover('--restore', '--user', bea.did);
      assert.equal(theirs.summary.inserted, 0, theirs.shown);
      assert.equal(await find(one), null);
      const dry = await recover('--restore', '--dry-run');
      assert.deepEqual(by(dry.actions, 'inserted'), uris([one, two]), dry.shown);
      assert.equal(await find(one), null);
      const restored = await recover('--restore');
      assert.deepEqual(by(restored.actions, 'inserted'), uris([one, two]), restored.shown);
      for (const t of [one, two]) assert.deepEqual(await find(t), documentOf(t));
      await linked(refkey, one.record);
    });

    it('--restore brings a lost MongoDB back, but no document that is marked as gone', async () => {
      await settled(refkey);
      const earlier = await everything();
      await scene.mongo.moods.deleteMany({ deleted: { $ne: true } });
      await scene.mongo.paintings.deleteMany({});
      const { code, shown } = await recover('--restore');
      assert.equal(code, 0, shown);
      assert.deepEqual(await everything(), earlier);
      await settled(refkey);
      assert.deepEqual(await everything(), earlier);
    });

    it('is refused by a serve that has no MongoDB', async () => {
      await refkey.restart({ REFKEY_MONGO_URI: undefined });
      const { code, stderr } = await refkey.run(['recover'], { env: scene.mongo.settings });
      assert.equal(code, 2, stderr);
      assert.match(stderr, /REFKEY_MONGO_URI/);
      Object.assign(refkey.settings, scene.mongo.settings);
      await refkey.restart();
      await refkey.ready();
    });
  });

  for (const [where, running] of [
    ['alone', false],
    ['beside a running serve', true],
  ]) {
    describe(`stopped by Ctrl-C, ${where}`, () => {
      beforeEach(async () => {
        if (refkey.running !== running) await (running ? refkey.start() : refkey.stop());
      });

      it('ends with what was done, and goes on when run again', async () => {
        await scene.mongo.moods.deleteMany({ deleted: { $ne: true } });
        await scene.mongo.paintings.deleteMany({});
        const count = async () =>
          (await scene.mongo.moods.countDocuments()) + (await scene.mongo.paintings.countDocuments());
        const earlier = await count();
        const args = ['recover', '--restore', '--json', '--batch-size', '1', '--delay', '3000'];
        const child = new Child('recover', [binary, ...args], { env: refkey.env });
        await until(async () => (await count()) > earlier + 1, { what: 'some inserted', ...soon });
        const { code } = await child.stop({ signal: 'SIGINT' });
        // Its log comes on the same list of lines.
        const { summary } = JSON.parse(child.lines.filter((line) => !line.startsWith('{"time"')).join('\n'));
        assert.deepEqual([code, summary.stopped], [1, true], child.tail());
        assert.equal(await count(), earlier + summary.inserted);
        assert.ok(summary.inserted < 21);
        const rest = await recover('--restore');
        assert.equal(rest.code, 0, rest.shown);
        assert.equal(summary.inserted + rest.summary.inserted, 21, rest.shown);
        await assertChecks(refkey);
      });
    });
  }

  it('ends with 3 where MongoDB stays unreachable, and says so', async () => {
    const { code, stderr } = await unreachable;
    rmSync(copy, { recursive: true });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /MongoDB/);
  });
});
