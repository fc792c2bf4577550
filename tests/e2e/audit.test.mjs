// `refkey audit`: both real sides and the index, compared; beside a running serve and alone.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { schemaError } from '../kit/schema.mjs';
import { GUEST, MOOD, PAINTING, moodDocument, moodRecord, objectId, paintingDocument, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, issues, settled, soon, startScene, tid } from './scene.mjs';

const schema = JSON.parse(readFileSync(new URL('../../docs/audit.schema.json', import.meta.url)));

describe('audit', () => {
  let scene;
  let refkey;

  async function audit(...args) {
    const { code, signal, stdout, stderr } = await refkey.run(['audit', '--json', ...args]);
    const shown = `audit ${args.join(' ')}: ${signal ?? code}\n${stdout}${stderr}`;
    assert.notEqual(code, null, shown);
    const all = stdout ? JSON.parse(stdout) : {};
    if (stdout) assert.equal(schemaError(all, schema), undefined, shown);
    return { code, shown, stderr, ...all };
  }
  const users = (...people) => people.flatMap((p) => ['--user', p.user]);
  const kinds = (user) => user.findings.map((f) => f.kind).sort();
  // The counts of a collection that are neither 0 nor null.
  const counts = (of, collection = MOOD) =>
    Object.fromEntries(Object.entries(of.collections[collection]).filter(([, n]) => n));

  // A mood that is there on both sides and linked.
  async function pair(person, more = {}) {
    const document = moodDocument({ user: person.user, rkey: tid(3_600_000), ...more });
    await scene.mongo.moods.insertOne(document);
    const { mood, when, _id, atproto } = document;
    const record = await scene.pds.createRecord(person, MOOD, moodRecord({ mood, when, ref: _id }), atproto.rkey);
    return { ...document, ...record, rkey: atproto.rkey };
  }

  before(async () => {
    scene = await startScene({ proxy: true });
    // Nothing is written by itself, so that what is wrong stays so.
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_ON_DELETE: 'keep', REFKEY_SWEEP_SECONDS: '1' });
    await refkey.stop();
  });
  after(() => scene?.close());

  // serve takes in what there is, and ends.
  async function index(known = () => true) {
    await refkey.start();
    await refkey.ready();
    await settled(refkey);
    await until(known, { what: 'what is to be known', ...soon });
    await refkey.stop();
  }

  it('refuses what it cannot do with 2', async () => {
    const cases = [
      [['--user', '@nobody-at-all'], {}, /nobody-at-all/],
      [['--user', '@a', '--all'], {}, /--all/],
      [['--report', '/proc/refkey'], {}, /\/proc\/refkey/],
      [['--dry-run'], {}, /--dry-run/],
      [[], { REFKEY_MONGO_URI: '' }, /REFKEY_MONGO_URI/],
      [[], { REFKEY_PDS_URL: '' }, /REFKEY_PDS_URL/],
      [['--index', '--user', '@a'], { REFKEY_MONGO_URI: '' }, /REFKEY_MONGO_URI is not set: MongoDB knows who/],
      [['--index', '--user', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'], {}, /did:plc:aaa/],
    ];
    for (const [args, env, message] of cases) {
      const { code, stdout, stderr } = await refkey.run(['audit', '--json', ...args], { env });
      assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
      assert.match(stderr, message);
      assert.equal(stdout, '');
    }
  });

  it('finds nothing in an empty database while the index is empty too; refuses one for an index with records', async () => {
    const empty = () => refkey.run(['audit', '--json'], { env: { REFKEY_MONGO_DB: 'empty' } });
    const nothing = await empty();
    assert.equal(nothing.code, 0, nothing.stdout + nothing.stderr);
    const said = await refkey.run(['audit'], { env: { REFKEY_MONGO_DB: 'empty' } });
    assert.deepEqual([said.code, said.stdout], [0, 'Nobody to audit.\n'], said.stderr);
    const [person] = await scene.people(1);
    await pair(person);
    await index();
    const lost = await empty();
    assert.deepEqual([lost.code, lost.stdout], [2, '']);
    assert.match(lost.stderr, /database empty has neither .*REFKEY_MONGO_DB/);
  });

  it('finds nothing where nothing is wrong, and exits with 0', async () => {
    const [one, two] = await scene.people(2);
    for (let i = 0; i < 3; i++) await pair(one);
    await pair(two);
    await scene.mongo.moods.insertOne(moodDocument({ user: two.user, deleted: true }));
    await index();
    for (const args of [users(one, two), ['--index', '--user', one.did, '--user', two.user]]) {
      const { code, users: audited, summary, shown } = await audit(...args);
      assert.equal(code, 0, shown);
      assert.deepEqual([summary.users, summary.audited, summary.found, summary.withFindings], [2, 2, 0, 0], shown);
      assert.deepEqual(audited.map((u) => u.findings), [[], []]);
      const of = audited.find((u) => u.did === one.did);
      assert.equal(of.indexRev, (await scene.pds.call('com.atproto.sync.getLatestCommit', { did: one.did })).rev);
      const both = { records: 3, matched: 3, indexed: 3, indexLinked: 3 };
      assert.deepEqual(counts(of), args.includes('--index') ? both : { documents: 3, synced: 3, ...both });
    }
    const { users: [, second], summary } = await audit(...users(one, two));
    assert.deepEqual(counts(second), { documents: 1, synced: 1, softDeleted: 1, records: 1, matched: 1, indexed: 1, indexLinked: 1 });
    assert.deepEqual(counts(summary), { documents: 4, synced: 4, softDeleted: 1, records: 4, matched: 4, indexed: 4, indexLinked: 4 });
  });

  it('--index takes a user of whom the index has nothing as one with nothing', async () => {
    const [person] = await scene.people(1);
    await pair(person);
    await index();
    const account = await scene.mongo.user({ _id: 'auth0|elsewhere', handle: 'elsewhere', did: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz' });
    const none = await scene.mongo.user({ _id: 'auth0|none', handle: 'none' });
    const { users: all } = await audit('--index');
    for (const [name, did] of [['elsewhere', 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'], ['none', null]]) {
      const { code, users: [found], summary, shown } = await audit('--index', '--user', `@${name}`);
      assert.deepEqual([code, summary.users, summary.found], [0, 1, 0], shown);
      assert.deepEqual([found.user, found.did, found.indexRev, counts(found)], [`auth0|${name}`, did, null, {}], shown);
      const { users: others, shown: said } = await audit('--index', '--skip', `@${name}`);
      assert.deepEqual(others.map((u) => u.did).sort(), all.map((u) => u.did).sort(), said);
    }
    const { code, stderr } = await audit('--index', '--user', '@nobody-at-all');
    assert.deepEqual([code, /no such user/.test(stderr)], [2, true], stderr);
    await scene.mongo.users.deleteMany({ _id: { $in: [account, none] } });
    await scene.mongo.handles.deleteMany({ _id: { $in: [account, none] } });
  });

  it('tells each kind of finding, with ids and keys', async () => {
    const [person, other] = await scene.people(2);
    const fine = await pair(person);
    const deleted = await pair(person, { deleted: true });
    const twice = await pair(person);
    const again = await scene.pds.createRecord(person, MOOD, moodRecord({ mood: 'again', ref: twice._id }));
    const theirs = await pair(other);
    const conflict = await scene.pds.createRecord(person, MOOD, moodRecord({ mood: 'mine!', ref: theirs._id }));
    const invalid = await scene.pds.createRecord(person, MOOD, moodRecord({ mood: 'x'.repeat(5001), ref: objectId() }));
    const absent = await scene.pds.createRecord(person, MOOD, moodRecord({ mood: 'here alone', ref: objectId() }));
    const unsynced = moodDocument({ user: person.user });
    const dangling = moodDocument({ user: person.user, rkey: tid(7_200_000) });
    const removed = await pair(person);
    const half = moodDocument({ user: person.user });
    await scene.mongo.moods.insertMany([unsynced, dangling]);
    await index(async () => (await issues(refkey)).dangling);
    // Behind the back of the index:
    await scene.mongo.moods.deleteOne({ _id: removed._id });
    await scene.mongo.moods.insertOne(half);
    const unlinked = await scene.pds.createRecord(person, MOOD, moodRecord({ mood: half.mood, ref: half._id }));

    const { code, users: [found], shown } = await audit(...users(person));
    assert.equal(code, 1, shown);
    const expected = [
      ['notSynced', unsynced, null],
      ['notSynced', half, null],
      ['dangling', dangling, dangling.atproto.rkey],
      ['unlinked', half, unlinked.rkey],
      ['orphaned', deleted, deleted.rkey],
      ['orphaned', removed, removed.rkey],
      ['duplicates', twice, again.rkey],
      ['conflicts', theirs, conflict.rkey],
      ['invalid', null, invalid.rkey],
      ['absent', null, absent.rkey],
      ['indexMissing', half, unlinked.rkey],
      ['indexDiffers', removed, removed.rkey],
    ];
    const order = (a, b) => (a < b ? -1 : 1);
    const told = found.findings.map((f) => [f.kind, f.kind === 'invalid' || f.kind === 'absent' ? null : f.ref, f.rkey].join(' ')).sort(order);
    assert.deepEqual(told, expected.map(([kind, d, rkey]) => [kind, d && String(d._id), rkey].join(' ')).sort(order), shown);
    assert.deepEqual(counts(found), {
      documents: 5, synced: 2, notSynced: 2, softDeleted: 1, dangling: 1,
      records: 9, matched: 2, unlinked: 1, orphaned: 2, duplicates: 1, conflicts: 1, invalid: 1, absent: 1,
      indexed: 8, indexLinked: 3, indexMissing: 1, indexDiffers: 1,
    });
    assert.ok(!found.findings.some((f) => f.rkey === fine.rkey), shown);

    // For people: reasons, and that nothing is at work on the index.
    const { stdout } = await refkey.run(['audit', ...users(person)]);
    const { reason } = found.findings.find((f) => f.kind === 'invalid');
    assert.ok(reason && stdout.includes(`fails its lexicon (rkeys: ${invalid.rkey}: ${reason})\n`), stdout);
    assert.match(stdout, /`refkey serve` left it, and none is running/);

    // The index alone, which does not know of the last three steps.
    const alone = await audit('--index', ...users(person));
    assert.equal(alone.code, 1, alone.shown);
    assert.deepEqual(kinds(alone.users[0]), ['absent', 'conflicts', 'dangling', 'duplicates', 'invalid', 'orphaned'], alone.shown);
    assert.deepEqual([alone.users[0].collections[MOOD].documents, alone.users[0].collections[MOOD].notSynced], [null, null]);
    await assertChecks(refkey);
  });

  // Letter by letter, as people have known it.
  it('prints what people know', async () => {
    const [person, another] = await scene.people(2);
    const lines = (p, findings, ...n) => `🔍 Mood Sync Audit for user: ${p.user}

MongoDB moods: ${n[0]}
  ✅ Synced to ATProto: ${n[1]}
  ⚠️  Not synced: ${n[2]}
  🗑️  Soft deleted: ${n[3]}

ATProto moods: ${n[4]}
  ✅ Matched in MongoDB: ${n[5]}
  ⚠️  Orphaned (MongoDB deleted): ${n[6]}

${findings.length ? `Issues:\n${findings.map((f) => `  - ${f}\n`).join('')}\n` : ''}`;
    const printed = async (p, code, text) => {
      const ran = await refkey.run(['audit', '--user', `@${p.name}`]);
      assert.equal(ran.code, code, ran.stderr);
      assert.equal(ran.stdout, text);
    };
    const names = (list) => list.map((one) => String(one._id)).sort().join(', ');
    const keys = (list) => list.map((one) => one.rkey).sort().join(', ');
    // With nothing at all, too.
    await index();
    const none = lines(another, [], 0, 0, 0, 0, 0, 0, 0);
    await printed(another, 0, none + none.replace('Mood', 'Painting').replaceAll('moods', 'paintings'));

    await Promise.all([pair(person), pair(person)]);
    const orphans = [await pair(person, { deleted: true }), await pair(person, { deleted: true })];
    const unsynced = [moodDocument({ user: person.user }), moodDocument({ user: person.user })];
    await scene.mongo.moods.insertMany([...unsynced, moodDocument({ user: person.user, deleted: true })]);
    const orphan = await pair(another, { deleted: true });
    const alone = moodDocument({ user: another.user });
    await scene.mongo.moods.insertOne(alone);
    await index();
    const several = [`2 moods not synced to ATProto (IDs: ${names(unsynced)})`, `2 orphaned ATProto records (rkeys: ${keys(orphans)})`];
    await printed(person, 1, lines(person, several, 4, 2, 2, 3, 4, 2, 2));
    const one = [`1 mood not synced to ATProto (IDs: ${alone._id})`, `1 orphaned ATProto record (rkeys: ${orphan.rkey})`];
    await printed(another, 1, lines(another, one, 1, 0, 1, 1, 1, 0, 1));
  });

  it('counts documents of guests as the guest user’s, and those of nobody', async () => {
    const guest = await scene.person(scene.name(), GUEST);
    const linked = paintingDocument({ code: 'aud1', slug: 'aud1', rkey: tid(3_600_000) });
    await scene.pds.createRecord(guest, PAINTING, paintingRecord({ ...linked, ref: linked._id }), linked.atproto.rkey);
    const open = paintingDocument({ code: 'aud2', slug: 'aud2' });
    const taken = await scene.pds.createRecord(guest, PAINTING, paintingRecord({ code: 'aud3', slug: 'x', ref: objectId() }));
    const [owner] = await scene.people(1);
    await scene.mongo.paintings.insertMany([linked, open, paintingDocument({ user: owner.user, code: 'aud3', slug: 'aud3', nuked: true })]);
    const lost = { ...moodDocument({ user: 'auth0|not-a-user' }) };
    const odd = { ...moodDocument({}), user: 5 };
    const strange = { ...moodDocument({ user: owner.user }), _id: 'no-object-id' };
    await scene.mongo.moods.insertMany([lost, odd, strange]);
    await index();
    const { code, users: all, summary, shown } = await audit('--all');
    assert.equal(code, 1, shown);
    const of = (user) => all.find((u) => u.user === user);
    assert.deepEqual(kinds(of(GUEST)), ['conflicts', 'notSynced'], shown);
    assert.equal(of(GUEST).findings.find((f) => f.kind === 'conflicts').rkey, taken.rkey);
    assert.equal(of(GUEST).collections[PAINTING].synced, 1);
    assert.deepEqual(kinds(of('auth0|not-a-user')), ['notSynced']);
    assert.equal(of('auth0|not-a-user').did, null);
    assert.deepEqual(of(null).findings.map((f) => f.ref), [String(odd._id)]);
    assert.match(of(owner.user).findings[0].reason, /no ObjectId/);
    assert.equal(of(owner.user).findings[0].ref, '"no-object-id"');
    // Everybody once, and the sums are theirs.
    assert.equal(new Set(all.map((u) => u.user)).size, all.length);
    assert.equal(summary.audited, all.length);
    for (const name of Object.keys(summary.collections[MOOD]))
      assert.equal(summary.collections[MOOD][name], all.reduce((n, u) => n + u.collections[MOOD][name], 0), name);
    const without = await audit('--skip', GUEST, '--all');
    assert.equal(without.users.some((u) => u.user === GUEST), false);
    await scene.mongo.moods.deleteMany({ _id: { $in: [lost._id, odd._id, strange._id] } });
  });

  it('documents of odd forms: counted where publish looks for them, and named', async () => {
    const [person] = await scene.people(1);
    const insert = async (more) => {
      const document = { ...moodDocument({ user: person.user }), ...more };
      await scene.mongo.moods.insertOne(document);
      return document;
    };
    const keys = [];
    for (const rkey of ['', 5, false, null, { a: 1 }]) keys.push(await insert({ atproto: { rkey } }));
    const ids = ['a \u001b[31m\n\u0085' + 'é'.repeat(2000), 17, { a: [1] }, ''];
    for (const _id of ids) await insert({ _id });
    const named = await insert({ _id: 18, atproto: { rkey: tid(1000) } });
    await insert({ _id: 19, deleted: true });
    const nobodys = await insert({ user: { id: person.user } });
    const strange = 'auth0|\u001b]0;x\u0007' + 'y'.repeat(1000);
    const [strangers] = [await insert({ user: strange })];
    const { code, users: [found], shown } = await audit(...users(person));
    assert.equal(code, 1, shown);
    assert.deepEqual(counts(found), { documents: 10, notSynced: 9, softDeleted: 1, dangling: 1 }, shown);
    const reasons = Object.fromEntries(found.findings.map((f) => [f.ref, f.reason]));
    const none = 'its atproto.rkey is no key';
    assert.deepEqual(keys.map((d) => reasons[d._id]), [none, none, none, '', none], shown);
    assert.deepEqual(
      found.findings.filter((f) => f.reason === 'the _id is no ObjectId').map((f) => [f.kind, f.rkey, f.ref.length < 200]),
      [...ids.map(() => ['notSynced', null, true]), ['dangling', named.atproto.rkey, true]],
      shown,
    );
    for (const name of ['17', '18', '{ "a" : [ 1 ] }', '""']) assert.ok(name in reasons, name);
    const all = await audit('--all');
    const of = (user) => all.users.find((u) => u.user === user).findings.map((f) => [f.kind, f.ref, f.reason]);
    assert.deepEqual(of(null), [['notSynced', String(nobodys._id), 'its user is no string']]);
    assert.deepEqual(of(strange), [['notSynced', String(strangers._id), '']]);
    const { stdout } = await refkey.run(['audit', '--all']);
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    for (const line of stdout.split('\n')) assert.ok(line.length < 2500, line);
    assert.match(stdout, /for user: auth0\|\\u\{1b\}\]0;x\\u\{7\}y+…\n/);
    assert.match(stdout, /- 9 moods not synced to ATProto \(IDs: .*17.*\)/);
    await scene.mongo.moods.deleteMany({});
  });

  it('beside a running serve, which it waits for', async () => {
    const [person] = await scene.people(1);
    await refkey.start();
    await refkey.ready();
    try {
      for (let i = 0; i < 5; i++) {
        await pair(person);
        const since = performance.now();
        const { code, shown } = await audit(...users(person));
        if (code === 0) continue;
        // It waits for five seconds, which are not enough where everything stands still.
        assert.ok(performance.now() - since >= 5000, shown);
        await until(async () => (await audit(...users(person))).code === 0, { what: 'the index has it', ...soon });
      }
      const alone = await audit('--index', ...users(person));
      assert.equal(alone.code, 0, alone.shown);
      assert.equal(alone.users[0].collections[MOOD].records, 5);
    } finally {
      await refkey.stop();
    }
  });

  it('names a record that its document came to name behind the back of the index', async () => {
    const [person] = await scene.people(1);
    const document = moodDocument({ user: person.user });
    const { rkey } = await scene.pds.createRecord(person, MOOD, moodRecord({ ...document, ref: document._id }));
    await index();
    await scene.mongo.moods.insertOne({ ...document, atproto: { rkey } });
    const { code, users: [found], shown } = await audit(...users(person));
    assert.equal(code, 1, shown);
    assert.deepEqual(found.findings.map((f) => [f.kind, f.rkey, f.reason]), [['indexDiffers', rkey, 'not linked in the index']], shown);
  });

  it('names what an index that was restored from an old backup has otherwise, until it has caught up', async () => {
    const [person] = await scene.people(1);
    const [gone, changed, marked, kept] = [await pair(person), await pair(person), await pair(person), await pair(person)];
    const agree = (expected) => async () => {
      const now = await audit(...users(person));
      assert.deepEqual(counts(now.users[0]), expected, now.shown);
      return true;
    };
    await index(agree({ documents: 4, synced: 4, records: 4, matched: 4, indexed: 4, indexLinked: 4 }));
    const folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-copy-'));
    try {
      const copied = await refkey.run(['backup', path.join(folder, 'copy')]);
      assert.equal(copied.code, 0, copied.stderr);
      await scene.mongo.moods.deleteOne({ _id: gone._id });
      await scene.pds.deleteRecord(person, MOOD, gone.rkey);
      await scene.pds.putRecord(person, MOOD, changed.rkey, moodRecord({ mood: 'another', ref: changed._id }));
      await scene.mongo.moods.updateOne({ _id: marked._id }, { $set: { deleted: true } });
      const added = await pair(person);
      const sides = { documents: 3, synced: 3, softDeleted: 1, records: 4, matched: 3, orphaned: 1 };
      const agreed = { ...sides, indexed: 4, indexLinked: 3 };
      await index(agree(agreed));

      for (const name of readdirSync(refkey.dataDirectory)) if (/\.mdb$/.test(name)) rmSync(path.join(refkey.dataDirectory, name));
      copyFileSync(path.join(folder, 'copy', 'data.mdb'), path.join(refkey.dataDirectory, 'data.mdb'));
      const { code, users: [found], shown } = await audit(...users(person));
      assert.equal(code, 1, shown);
      const told = found.findings.filter((f) => f.kind.startsWith('index')).map((f) => [f.kind, f.rkey, f.reason]);
      const expected = [
        ['indexMissing', added.rkey, ''],
        ['indexExtra', gone.rkey, ''],
        ['indexDiffers', changed.rkey, 'another version'],
        ['indexDiffers', marked.rkey, 'linked in the index alone'],
      ];
      const order = (a, b) => (String(a) < String(b) ? -1 : 1);
      assert.deepEqual(told.sort(order), expected.sort(order), shown);
      const { indexed, indexLinked, indexMissing, indexExtra, indexDiffers, ...rest } = counts(found);
      assert.deepEqual([indexed, indexLinked, indexMissing, indexExtra, indexDiffers], [4, 4, 1, 1, 2], shown);
      assert.deepEqual(rest, sides, shown);
      assert.notEqual(found.indexRev, found.rev);
      const alone = await audit('--index', ...users(person));
      assert.deepEqual(counts(alone.users[0]), { records: 4, matched: 4, indexed: 4, indexLinked: 4 }, alone.shown);
      assert.ok(!found.findings.some((f) => f.rkey === kept.rkey), shown);

      await refkey.start();
      await refkey.ready();
      await settled(refkey);
      await until(agree(agreed), { what: 'the three to agree', ...soon });
      await refkey.stop();
      await agree(agreed)();
    } finally {
      rmSync(folder, { recursive: true });
    }
    await assertChecks(refkey);
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('what changes while it reads is looked at again', async () => {
    const [person] = await scene.people(1);
    const document = moodDocument({ user: person.user });
    await scene.mongo.moods.insertOne(document);
    await index();
    let let_go;
    const fault = scene.proxy.http({ hold: new Promise((resolve) => (let_go = resolve)) }, { method: 'com.atproto.sync.getRepo', times: 1 });
    const running = audit(...users(person));
    await until(() => fault.held, { what: 'the repo being read', ...soon });
    // The copy that is under way does not have it.
    const { rkey } = await scene.pds.createRecord(person, MOOD, moodRecord({ ...document, ref: document._id }));
    await scene.mongo.moods.updateOne({ _id: document._id }, { $set: { atproto: { rkey } } });
    let_go();
    const { users: [found], shown } = await running;
    assert.deepEqual(kinds(found), ['indexMissing'], shown);
    assert.equal(found.collections[MOOD].matched, 1, shown);
  });

  it('an account that is gone, or not active', async () => {
    const [gone, away, down] = await scene.people(3);
    for (const person of [gone, away, down]) await pair(person);
    await index();
    await scene.pds.deleteAccount(gone.did);
    await scene.pds.deactivate(away);
    await scene.pds.takedown(down.did);
    const { code, users: found, summary, shown } = await audit(...users(gone, away, down));
    assert.equal(code, 1, shown);
    const of = (p) => found.find((u) => u.did === p.did);
    assert.deepEqual(kinds(of(gone)), ['dangling', 'indexExtra'], shown);
    assert.match(of(away).unread, /deactivated/);
    assert.deepEqual([of(away).collections[MOOD].synced, of(away).collections[MOOD].records], [1, null], shown);
    assert.deepEqual([summary.unread, summary.serving], [2, false]);
    const { code: said, stdout } = await refkey.run(['audit', ...users(gone, away, down)]);
    assert.equal(said, 1, stdout);
    assert.match(stdout, /^ATProto moods: not read: the account is deactivated$/m);
    assert.match(stdout, /^ATProto moods: not read: the account is takendown$/m);
    assert.match(stdout, /^ATProto moods: 0\n.*\n.*\n  ⚠️  Not counted: 2 users whose repo could not be read$/m);
    assert.match(stdout, /^ {2}- 1 mood that names no record of its own \(IDs: [0-9a-f]{24}\)$/m);
    assert.match(stdout, /^ {2}- 1 ATProto record that only the index has \(rkeys: .*\)$/m);
    assert.match(stdout, /^🔍 Mood Sync Audit for users in all: 3$/m);
    assert.match(stdout, /\nAudited: 3 users, 3 with findings, 2 whose repo could not be read\.\n.*none is running: start it.*\n$/);
  });

  it('--report leaves the same, mode 0600; a full disk is said', async (t) => {
    const [person] = await scene.people(1);
    await pair(person);
    await index();
    const folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    const { code, users: found, summary, shown } = await audit('--report', folder, ...users(person));
    assert.equal(code, 0, shown);
    assert.deepEqual(readdirSync(folder), ['audit.json']);
    assert.equal(statSync(path.join(folder, 'audit.json')).mode & 0o777, 0o600);
    assert.deepEqual(JSON.parse(readFileSync(path.join(folder, 'audit.json'))), { users: found, summary });
    rmSync(path.join(folder, 'audit.json'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'refkey-test', folder], { stdio: 'pipe' });
    } catch {
      rmSync(folder, { recursive: true });
      return t.skip('a small file system cannot be mounted here (that takes root)');
    }
    try {
      assert.throws(() => writeFileSync(path.join(folder, 'fill'), Buffer.alloc(1 << 20)), /ENOSPC/);
      const full = await audit('--report', folder, ...users(person));
      assert.equal(full.code, 1, full.shown);
      assert.match(full.stderr, /audit\.json cannot be written: No space left/);
      assert.deepEqual(readdirSync(folder), ['fill']);
      assert.equal(full.summary.found, 0);
    } finally {
      execFileSync('umount', [folder]);
      rmSync(folder, { recursive: true });
    }
  });

  describe('with a side that fails', () => {
    let person;
    before(async () => {
      [person] = await scene.people(1);
      await pair(person);
      await index();
    });

    for (const [what, wrong] of Object.entries({
      'answers 500': { status: 500 },
      'answers 429': { status: 429, headers: { 'retry-after': '1' } },
      'resets': { reset: true },
      'is cut off': { truncate: 100 },
      'is slow': { delay: 1500 },
    })) {
      it(`a PDS that ${what}, as often as it is asked again`, async () => {
        const times = wrong.delay ? 1 : 2; // the first answer does, though it comes late
        const fault = scene.proxy.http(wrong, { method: 'com.atproto.sync.getRepo', times });
        const { code, shown } = await audit(...users(person));
        assert.equal(fault.fired, times);
        assert.equal(code, 0, shown);
        if (wrong.status === 429) assert.match(shown, /limits: waiting 1 s/);
      });
    }

    it('a PDS that fails for good: 3, and what was read is told', async () => {
      const fault = scene.proxy.http({ status: 503 }, { method: 'com.atproto.sync.getRepo' });
      const poor = await scene.mongo.user({ _id: 'auth0|aaa-first' });
      const { code, users: found, summary, stderr, shown } = await audit('--user', poor, ...users(person));
      fault.end();
      assert.equal(code, 3, shown);
      assert.match(stderr, /the PDS: .*503/);
      assert.deepEqual([summary.users, summary.audited, found[0].user], [2, 1, poor], shown);
    });

    it('a repo that is none', async () => {
      const fault = scene.proxy.http({ status: 200, body: 'no car' }, { method: 'com.atproto.sync.getRepo', times: 1 });
      const { code, users: [found], shown } = await audit(...users(person));
      assert.equal(fault.fired, 1);
      assert.equal(code, 1, shown);
      assert.ok(found.unread, shown);
    });

    it('a PDS that says more than there is room for, in letters of two bytes: it is told as far as it goes', async () => {
      for (const odd of ['', 'x']) {
        const body = JSON.stringify({ error: 'InvalidRequest', message: `${odd}${'é'.repeat(400)}` });
        const fault = scene.proxy.http({ status: 400, body }, { method: 'com.atproto.sync.getRepo', times: 1 });
        const { code, users: [found], shown } = await audit(...users(person));
        assert.equal(fault.fired, 1);
        assert.equal(code, 1, shown);
        assert.match(found.unread, /é{50}/, shown);
      }
    });

    it('a PDS that never answers: Ctrl-C ends it with what there is', async () => {
      const fault = scene.proxy.http({ hang: true }, { method: 'com.atproto.sync.getRepo' });
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', binary, 'audit', '--json', ...users(person)], { env: refkey.env });
      let stdout = '';
      child.stdout.on('data', (data) => (stdout += data));
      const ended = new Promise((resolve) => child.on('close', resolve));
      await until(() => fault.fired, { what: 'the request', ...soon });
      child.kill('SIGINT');
      const code = await ended;
      fault.end();
      const { summary } = JSON.parse(stdout);
      assert.deepEqual([code, summary.stopped, summary.audited], [1, true, 0]);
    });

    it('MongoDB away: 3', async () => {
      const { code, stdout, stderr } = await refkey.run(['audit', ...users(person)], { env: { REFKEY_MONGO_URI: 'mongodb://127.0.0.1:1/' } });
      assert.equal(code, 3, stdout + stderr);
      assert.match(stderr, /MongoDB/);
    });
  });

  it('MongoDB lost in between: 3, and what was read is told', async () => {
    const [one, two] = await scene.people(2);
    await Promise.all([pair(one), pair(two)]);
    await scene.mongo.moods.insertOne(moodDocument({ user: two.user }));
    await index();
    let let_go;
    const fault = scene.proxy.http({ hold: new Promise((resolve) => (let_go = resolve)) }, { method: 'com.atproto.sync.getRepo' });
    const running = audit(...users(one, two));
    await until(() => fault.held >= 2, { what: 'both repos being read', ...soon });
    await scene.mongo.kill();
    let_go();
    const { code, stderr, shown } = await running;
    await scene.mongo.start();
    assert.equal(code, 3, shown);
    assert.match(stderr, /MongoDB/);
  });
});
