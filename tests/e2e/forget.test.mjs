// `refkey forget`: everything of a user goes, on every side, and nothing brings it back; nobody else's goes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { GUEST, MOOD, moodDocument, moodRecord, objectId, PAINTING, paintingDocument, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { asked, assertChecks, collections, explain, failingDeletes, linked, otherPds, seen, settled, soon, startScene, tid } from './scene.mjs';

const only = (moods, paintings) => ({ [MOOD]: moods, [PAINTING]: paintings });

describe('forget', () => {
  let scene;
  let refkey;
  let count = 0;
  let elsewhere;

  // A user with records, documents that name them, and an undo entry; in all of them a text that is nowhere else.
  async function citizen({ moods = 3, paintings = 2, undo = 1 } = {}) {
    const person = await scene.writer();
    const secret = `secret-${count++}-${objectId()}`;
    const writes = [];
    const documents = [];
    for (let i = 0; i < moods; i++) {
      const d = moodDocument({ user: person.user, mood: `${secret} ${'m'.repeat((i % 7) * 700)}`, rkey: tid(), deleted: false });
      documents.push(d);
      writes.push({ action: 'create', collection: MOOD, rkey: d.atproto.rkey, value: moodRecord({ ...d, ref: d._id }) });
      await scene.mongo.moods.insertOne(d);
    }
    for (let i = 0; i < paintings; i++) {
      const d = paintingDocument({ user: person.user, code: `c${count++}`, slug: `${secret}/${i}`, rkey: tid() });
      documents.push(d);
      writes.push({ action: 'create', collection: PAINTING, rkey: d.atproto.rkey, value: paintingRecord({ ...d, ref: d._id }) });
      await scene.mongo.paintings.insertOne(d);
    }
    if (writes.length) await scene.pds.applyWrites(person, writes);
    for (let i = 0; i < undo; i++) undoWrite(person, secret);
    return { ...person, secret, documents };
  }
  const undoFolder = () => path.join(refkey.dataDirectory, 'undo');
  function undoWrite(person, text) {
    const entry = { did: person.did, collection: MOOD, rkey: tid(), record: { mood: text } };
    mkdirSync(undoFolder(), { recursive: true });
    writeFileSync(path.join(undoFolder(), 'earlier.jsonl'), `${JSON.stringify(entry)}\n`, { flag: 'a' });
  }
  const undoLines = (person) =>
    readdirSync(undoFolder()).flatMap((name) =>
      readFileSync(path.join(undoFolder(), name), 'utf8').split('\n').filter((line) => line.includes(person.did)),
    );
  const records = async (person) => (await Promise.all(collections.map((c) => scene.pds.listRecordsAll(person.did, c)))).flat();
  const documents = async (person) =>
    (await Promise.all(collections.map((c) => scene.documents(c).find({ user: person.user }).toArray()))).flat();
  const onDisk = (text) =>
    readdirSync(refkey.dataDirectory, { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile() && readFileSync(path.join(e.parentPath ?? e.path, e.name)).includes(text))
      .map((e) => e.name);

  async function forget(person, ...args) {
    const { code, stdout, stderr } = await refkey.run(['forget', person.user ?? person, '--json', ...args]);
    return { code, stderr, shown: `${code}\n${stdout}${stderr}`, ...(stdout && JSON.parse(stdout)) };
  }
  async function assertForgotten(person) {
    assert.deepEqual(await records(person), []);
    await assertNothingHere(person);
  }
  async function assertNothingHere(person) {
    assert.deepEqual(await documents(person), []);
    assert.deepEqual(undoLines(person), []);
    assert.deepEqual(onDisk(person.secret), []);
    assert.deepEqual(onDisk(`${person.name}.test`), [], 'the handle');
  }
  async function assertKept(person) {
    assert.equal((await records(person)).length, person.documents.length);
    assert.equal((await documents(person)).length, person.documents.length);
  }
  async function started() {
    if (!refkey.running) await refkey.start();
    await refkey.ready();
  }
  // In the index, and asked about; with the data of MongoDB as it is.
  async function taken(...people) {
    for (const p of people) for (const r of await records(p)) await linked(refkey, r);
    await settled(refkey);
  }

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey({ REFKEY_SWEEP_SECONDS: '600' });
    mkdirSync(undoFolder());
    elsewhere = mkdtempSync(path.join(os.tmpdir(), 'refkey-forget-'));
  });
  after(async () => {
    await scene?.close();
    rmSync(elsewhere, { recursive: true, force: true });
  });
  afterEach((t) => {
    scene.proxy.honest();
    explain(t, refkey);
  });

  it('refuses what it cannot do with 2', async () => {
    const guest = await scene.mongo.user({ _id: GUEST, handle: 'guest', did: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz' });
    const cases = [
      [[], /@HANDLE/],
      [['@nobody-at-all', '--yes'], /no such user: @nobody-at-all/],
      [['did:plc:ewvi7nxzyoun6zhxrhs64aaa', '--yes'], /no such user/],
      [[guest, '--yes'], /guests/],
      [['@guest', '--limit', '3'], /--limit/],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await refkey.run(['forget', ...args]);
      assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
      assert.match(stderr, message);
    }
  });

  it('nobody whose handle or account is another’s, too', async () => {
    const person = await citizen({ moods: 1, paintings: 0 });
    const twin = await scene.mongo.user({ _id: `auth0|${person.name}-twin`, handle: person.name.toUpperCase() });
    const refused = async (name, message) => {
      const { code, stderr, shown } = await forget(name, '--yes');
      assert.equal(code, 2, shown);
      assert.match(stderr, message);
      await assertKept(person);
    };
    await refused(`@${person.name}`, /is the handle of .* and of /);
    await scene.mongo.users.updateOne({ _id: twin }, { $set: { 'atproto.did': person.did } });
    for (const name of [person.user, twin, person.did]) await refused(name, /same ATProto account/);
    await scene.mongo.users.deleteOne({ _id: twin });
    const { code, shown } = await forget(person.user, '--yes');
    assert.equal(code, 0, shown);
    await assertForgotten(person);
  });

  for (const beside of [true, false]) {
    describe(beside ? 'beside a serve' : 'without a serve', () => {
      const settle = () => (beside ? started() : refkey.stop());

      it('without --yes, or with --dry-run too, it only says what there is', async () => {
        await started();
        const person = await citizen();
        await taken(person);
        await settle();
        const dry = await forget(person);
        assert.equal(dry.code, 0, dry.shown);
        assert.deepEqual([dry.user, dry.handle, dry.did], [person.user, person.name, person.did]);
        assert.deepEqual(dry.found, { pds: only(3, 2), mongo: only(3, 2), undo: only(1, 0), index: only(3, 2) });
        assert.deepEqual([dry.dryRun, dry.clean, dry.forgotten], [true, false, false]);
        assert.deepEqual(dry.removed, { pds: 0, mongo: 0, undo: 0, index: 0 });
        for (const args of [['--dry-run'], ['--yes', '--dry-run'], ['--dry-run', '--yes']]) {
          const { code, stdout, stderr } = await refkey.run(['forget', `@${person.name}`, ...args]);
          assert.equal(code, 0, stderr);
          assert.match(stdout, new RegExp(`@${person.name} \\(${person.did}\\)\n\nPDS: 3 moods, 2 paintings\nMongoDB: 3 moods`));
          assert.match(stdout, /Nothing was erased/);
        }
        await assertKept(person);
        assert.equal(undoLines(person).length, 1);
      });

      it('with --yes all of it goes, no byte is left, and nobody else loses anything', async () => {
        await started();
        const [gone, other] = await Promise.all([citizen({ moods: 30 }), citizen()]);
        await taken(gone, other);
        await settle();
        assert.deepEqual(onDisk(gone.secret).sort(), ['data.mdb', 'earlier.jsonl']);
        const { code, removed, clean, shown } = await forget(gone, '--yes');
        assert.deepEqual([code, clean], [0, true], shown);
        assert.deepEqual(removed, { pds: 32, mongo: 32, undo: 1, index: 32 });
        await assertForgotten(gone);
        assert.equal(undoLines(other).length, 1);
        await assertKept(other);
        const again = await forget(gone, '--yes');
        assert.deepEqual([again.code, again.clean, again.forgotten], [0, true, true], again.shown);
        const look = await forget(gone);
        assert.deepEqual([look.code, look.clean, look.dryRun, look.forgotten], [0, true, true, true], look.shown);
        const { code: said, stdout } = await refkey.run(['forget', gone.user]);
        assert.equal(said, 0, stdout);
        assert.match(stdout, /^✅ Nothing is left: /m);
        assert.doesNotMatch(stdout, /Nothing was erased/);
        assert.deepEqual(again.removed, { pds: 0, mongo: 0, undo: 0, index: 0 });
        await started();
        await taken(other);
        for (const d of gone.documents) {
          const { body } = await refkey.xrpc('getByRef', { ref: String(d._id) });
          assert.equal(body.error, 'RecordNotFound', JSON.stringify(body));
        }
        for (const r of await records(other)) assert.equal((await refkey.xrpc('getByRef', { ref: r.value.ref })).status, 200);
        await assertChecks(refkey);
      });

      it('stops where a side cannot be cleaned, says which, and goes on when it can', async () => {
        await started();
        const person = await citizen();
        await taken(person);
        await settle();
        const { atproto } = await scene.mongo.users.findOne({ _id: person.user });
        await scene.storePassword(person, 'wrong');
        const stuck = await forget(person, '--yes');
        assert.deepEqual([stuck.code, stuck.stuck, stuck.clean], [1, 'pds', false], stuck.shown);
        assert.match(stuck.stderr, /PDS could not be cleaned: .*Run it again/);
        await assertKept(person);
        await scene.mongo.users.updateOne({ _id: person.user }, { $set: { atproto } });
        const then = await forget(person, '--yes');
        assert.deepEqual([then.code, then.clean, then.forgotten], [0, true, true], then.shown);
        await assertForgotten(person);
      });

      // A kill behind what a step prints is a kill between it and the next, or within that one.
      it('killed at any step and run again, it ends the same', { timeout: 600_000 }, async () => {
        const steps = [
          { held: 'com.atproto.repo.listRecords' },
          { held: 'com.atproto.repo.applyWrites' },
          ...['PDS', 'MongoDB', 'Undo files', 'Index'].map((printed) => ({ printed })),
        ];
        for (const { held, printed } of steps) {
          await started();
          const person = await citizen();
          await taken(person);
          await settle();
          const fault = held && scene.proxy.http({ hold: true }, { method: held, times: 1 });
          const child = spawn(binary, ['forget', person.user, '--yes'], { env: refkey.env });
          const ended = new Promise((resolve) => child.on('exit', resolve));
          let text = '';
          child.stdout.on('data', (data) => (text += data));
          await until(() => (held ? fault.held === 1 : text.includes(`✅ ${printed}`)), { what: held ?? printed, ...soon, every: 1 });
          if (beside) await refkey.kill();
          else child.kill('SIGKILL');
          await ended;
          scene.proxy.honest();
          await settle();
          const { code, clean, shown } = await forget(person, '--yes');
          assert.deepEqual([code, clean], [0, true], `${held ?? printed}: ${shown}`);
          await assertForgotten(person);
          await assertChecks(refkey);
        }
      });

      it('MongoDB lost on the way: 3, and the next run goes on', async () => {
        await started();
        const person = await citizen();
        await taken(person);
        await settle();
        const release = Promise.withResolvers();
        const fault = scene.proxy.http({ hold: release.promise }, { method: 'com.atproto.repo.applyWrites' });
        const first = forget(person, '--yes');
        await until(() => fault.held > 0, { what: 'the PDS is being cleaned', ...soon });
        await scene.mongo.kill();
        release.resolve();
        const lost = await first;
        await scene.mongo.start();
        assert.deepEqual([lost.code, lost.stuck], [3, 'mongo'], lost.shown);
        assert.deepEqual(await records(person), []);
        assert.equal((await documents(person)).length, 5);
        const then = await forget(person, '--yes');
        assert.deepEqual([then.code, then.clean], [0, true], then.shown);
        await assertForgotten(person);
      });
    });
  }

  // Asked as a command beside serve asks, to see what it is told.
  it('what is gone of all that was found is in the progress', async () => {
    await started();
    const person = await citizen();
    await taken(person);
    const events = await asked(refkey, { operation: 'forget', name: person.user, yes: true });
    assert.deepEqual(events.at(-1).removed, { pds: 5, mongo: 5, undo: 1, index: 5 }, JSON.stringify(events));
    const told = events.filter((e) => e.event === 'progress');
    // The PDS by collection, each side as it is clean; what was looked at again and found clean adds nothing.
    const done = [3, 5, 5, 10, 11, 16, 16];
    assert.deepEqual(told.slice(0, done.length).map((e) => [e.done, e.total]), done.map((n) => [n, 16]));
    await assertForgotten(person);
  });

  it('who has an account reads that the index was written anew, who has none does not', async () => {
    await started();
    const person = await citizen({ moods: 1, paintings: 0 });
    await taken(person);
    const user = await scene.mongo.user({ _id: `auth0|${person.name}-none`, handle: `${person.name}-none` });
    await scene.mongo.moods.insertOne(moodDocument({ user }));
    for (const [who, anew] of [[person.user, true], [user, false]]) {
      const done = await refkey.run(['forget', who, '--yes']);
      const again = await refkey.run(['forget', who]);
      assert.deepEqual([done.code, again.code], [0, 0], done.stderr + again.stderr);
      for (const { stdout } of [done, again]) {
        assert.match(stdout, /^✅ Nothing is left: /m);
        assert.equal(/file (written )?anew/.test(stdout), anew, stdout);
      }
    }
  });

  it('a document whose user is a list is nobody’s, whoever is in it: it stays', async () => {
    await started();
    const person = await citizen();
    await taken(person);
    const lists = [[person.user], [person.user, 'auth0|another'], ['auth0|another', person.user]];
    const theirs = lists.flatMap((user) => [
      [MOOD, moodDocument({ user })],
      [PAINTING, paintingDocument({ user, code: `c${count++}`, slug: `s${count}` })],
    ]);
    for (const [collection, d] of theirs) await scene.documents(collection).insertOne(d);
    const { found, shown } = await forget(person);
    assert.deepEqual(found.mongo, only(3, 2), shown);
    const erased = await forget(person, '--yes');
    assert.deepEqual([erased.code, erased.clean, erased.removed.mongo], [0, true, 5], erased.shown);
    for (const [collection, d] of theirs) assert.deepEqual(await scene.documents(collection).findOne({ _id: d._id }), d);
    for (const [collection, d] of theirs) await scene.documents(collection).deleteOne({ _id: d._id });
    await assertForgotten(person);
  });

  it('what a repair could have put back goes, too', async () => {
    await started();
    const [gone, other] = await Promise.all([citizen({ undo: 0 }), citizen({ undo: 0 })]);
    for (const p of [gone, other]) await scene.mongo.moods.updateOne({ _id: p.documents[0]._id }, { $set: { deleted: true } });
    const repaired = await refkey.run(['repair', '--orphans', '--yes', '--user', gone.user, '--user', other.user]);
    assert.match(repaired.stdout, /Undo file/, repaired.stdout + repaired.stderr);
    assert.deepEqual([undoLines(gone).length, undoLines(other).length], [1, 1]);
    const copy = path.join(elsewhere, 'undo.jsonl');
    writeFileSync(copy, `${[...undoLines(gone), ...undoLines(other)].join('\n')}\n`);
    const { code, removed, shown } = await forget(gone, '--yes');
    assert.deepEqual([code, removed.undo], [0, 1], shown);
    await assertForgotten(gone);
    assert.equal(undoLines(other).length, 1);
    // Nor by a copy of the file that was kept elsewhere.
    const { stdout } = await refkey.run(['repair', '--undo', copy, '--json']);
    assert.deepEqual(Object.fromEntries(JSON.parse(stdout).steps.map((s) => [s.did, s.reason])), {
      [gone.did]: 'forgotten: never put back',
      [other.did]: '',
    });
    await assertForgotten(gone);
  });

  it('the PDS away: 3, nothing went', async () => {
    await started();
    const person = await citizen();
    await taken(person);
    await refkey.stop();
    scene.proxy.http({ reset: true }, { method: 'com.atproto.repo.listRecords' });
    const { code, stuck, shown } = await forget(person, '--yes');
    assert.deepEqual([code, stuck], [3, 'pds'], shown);
    await assertKept(person);
    assert.equal((await refkey.run(['publish', 'moods', '--user', person.user])).code, 0, 'it is not forgotten');
  });

  it('an account that is not active: what the other sides have is told, and that the PDS says nothing', async () => {
    await started();
    const person = await citizen();
    await taken(person);
    await refkey.stop();
    await scene.pds.deactivate(person);
    const { code, found, stuck, clean, shown } = await forget(person);
    assert.deepEqual([code, stuck, clean], [1, 'pds', false], shown);
    assert.deepEqual(found, { pds: null, mongo: only(3, 2), undo: only(1, 0), index: only(3, 2) }, shown);
    const { stdout, stderr } = await refkey.run(['forget', person.user]);
    assert.match(stdout, /\nPDS: could not be read\nMongoDB: 3 moods, 2 paintings\nUndo files: 1 mood, 0 paintings\n/);
    assert.match(stderr, /PDS could not be read: .*deactivated/i);
    assert.doesNotMatch(stderr, /Run it again/, 'nothing was begun');
    const erased = await forget(person, '--yes');
    assert.deepEqual([erased.code, erased.stuck, erased.found], [1, 'pds', undefined], erased.shown);
    await scene.pds.activate(person);
    const active = await forget(person, '--yes');
    assert.equal(active.code, 0, active.shown);
    await assertForgotten(person);
  });

  for (const [what, wrong] of failingDeletes) {
    it(`a PDS that ${what}: all of it goes`, async () => {
      await started();
      const person = await citizen();
      await taken(person);
      await refkey.stop();
      const fault = scene.proxy.http(wrong, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const { code, clean, shown } = await forget(person, '--yes');
      assert.equal(fault.fired, 1);
      assert.deepEqual([code, clean], [0, true], shown);
      await assertForgotten(person);
    });
  }

  it('an account that the PDS deleted, and one that never was', async () => {
    await started();
    const person = await citizen();
    await taken(person);
    await scene.pds.deleteAccount(person.did);
    const { code, found, shown } = await forget(person, '--yes');
    assert.equal(code, 0, shown);
    assert.deepEqual(found.pds, only(0, 0));
    await assertNothingHere(person);
    const user = await scene.mongo.user({ _id: 'auth0|without', handle: 'without' });
    await scene.mongo.moods.insertOne(moodDocument({ user }));
    const without = await forget(user, '--yes');
    assert.deepEqual([without.code, without.removed.mongo], [0, 1], without.shown);
    assert.deepEqual(await documents({ user }), []);
  });

  it('another PDS than the index follows, which knows no such repo: nothing goes', async () => {
    await started();
    const person = await citizen();
    await taken(person);
    await refkey.stop();
    for (const yes of [[], ['--yes']]) {
      const { code, stdout, stderr } = await refkey.run(['forget', person.user, ...yes], { env: otherPds(scene) });
      assert.equal(code, 1, stdout + stderr);
      assert.match(stderr, /knows no such repo, and the index follows another PDS: is REFKEY_PDS_URL right/);
      await assertKept(person);
    }
    scene.proxy.honest();
    const { code, shown } = await forget(person, '--yes');
    assert.equal(code, 0, shown);
    await assertForgotten(person);
  });

  it('nothing brings it back: replay, new records, resync, sweep, recover, publish', { timeout: 600_000 }, async () => {
    const frames = [];
    scene.proxy.stream(({ bytes }) => [(frames.push(bytes), bytes)]);
    await refkey.restart({ REFKEY_SWEEP_SECONDS: '2', REFKEY_RECOVER: 'all' });
    await refkey.ready();
    const [gone, other] = await Promise.all([citizen(), citizen()]);
    await taken(gone, other);
    assert.ok(frames.length >= 2);
    const { code, shown } = await forget(gone, '--yes');
    assert.equal(code, 0, shown);
    const nothing = async () => {
      const { body } = await refkey.xrpc('listRecords', { collection: MOOD, repo: gone.did });
      assert.deepEqual(body.records, []);
      assert.deepEqual(await documents(gone), []);
      assert.deepEqual(onDisk(gone.secret), []);
    };
    // What the stream said before, again; and what the account writes from now on.
    for (const bytes of frames) scene.proxy.inject(bytes);
    await scene.pds.createRecord(gone, MOOD, moodRecord({ mood: gone.secret, ref: gone.documents[0]._id }));
    await scene.pds.createRecord(gone, MOOD, { mood: gone.secret, when: new Date().toISOString() });
    const marker = await scene.pds.createRecord(other, MOOD, moodRecord({ mood: 'behind it', ref: objectId() }));
    await seen(refkey, marker);
    await nothing();
    // Somebody else's record with a ref of it is not taken for it.
    const thief = await scene.pds.createRecord(other, MOOD, moodRecord({ mood: 'mine now', ref: gone.documents[1]._id }));
    await seen(refkey, thief);
    await settled(refkey);
    assert.equal((await refkey.xrpc('getByRef', { ref: String(gone.documents[1]._id) })).body.error, 'RecordNotFound');
    // Two sweeps, of repos and of documents, and a start with a cursor of before.
    await refkey.restart();
    await refkey.ready();
    for (const args of [['recover'], ['recover', '--restore']]) {
      const recovered = await refkey.run(args);
      assert.equal(recovered.code, 0, recovered.stdout + recovered.stderr);
    }
    await settled(refkey);
    await nothing();
    // The site itself makes a document for it.
    const later = moodDocument({ user: gone.user });
    await scene.mongo.moods.insertOne(later);
    const before = (await records(gone)).length;
    const published = await refkey.run(['publish', 'moods', '--user', gone.user]);
    assert.match(published.stdout, /forgotten: never published again/);
    assert.equal((await records(gone)).length, before);
    assert.deepEqual(await documents(gone), [later]);
    const last = await forget(gone, '--yes');
    assert.deepEqual([last.code, last.clean, last.removed.pds, last.removed.mongo], [0, true, 2, 1], last.shown);
    await assertForgotten(gone);
    await assertChecks(refkey);
    await settled(refkey);
    // Nor does each sweep from now on tell of it as one that differs.
    const same = () => refkey.log().some((l) => l.message === 'compared with the source' && l.differed === 0);
    await until(same, { what: 'a sweep without differences', ...soon });
  });

  it('queries are answered while the file is written anew', async () => {
    await started();
    const [gone, other] = await Promise.all([citizen(), citizen()]);
    await taken(gone, other);
    const [one] = other.documents;
    let asked = 0;
    let over = false;
    const asking = (async () => {
      while (!over) {
        const { status, body } = await refkey.xrpc('getByRef', { ref: String(one._id) });
        assert.equal(status, 200, JSON.stringify(body));
        asked++;
      }
    })();
    for (let i = 0; i < 5; i++) assert.equal((await forget(gone, '--yes')).code, 0);
    over = true;
    await asking;
    assert.ok(asked > 5);
  });
});
