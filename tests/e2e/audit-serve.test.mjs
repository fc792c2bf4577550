// `refkey audit` beside a running serve while things move: what the index has yet to take in, or to look up, is
// no finding; and repos that the disk has no room for.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { schemaError } from '../kit/schema.mjs';
import { GUEST, MOOD, moodDocument, moodRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, issues, linked, seen, settled, soon, startScene, tid } from './scene.mjs';

const schema = JSON.parse(readFileSync(new URL('../../docs/audit.schema.json', import.meta.url)));

describe('audit beside serve', () => {
  let scene;
  let refkey;

  async function audit(service, ...people) {
    const args = people.flatMap((p) => ['--user', p.user]);
    const { code, signal, stdout, stderr } = await service.run(['audit', '--json', ...args]);
    const shown = `audit ${args.join(' ')}: ${signal ?? code}\n${stdout}${stderr}`;
    assert.notEqual(code, null, shown);
    const all = stdout ? JSON.parse(stdout) : {};
    if (stdout) assert.equal(schemaError(all, schema), undefined, shown);
    return { code, shown, stderr, ...all };
  }

  const document = (person) => moodDocument({ user: person.user, rkey: tid(3_600_000) });
  const record = (person, { mood, when, _id, atproto }) =>
    scene.pds.createRecord(person, MOOD, moodRecord({ mood, when, ref: _id }), atproto.rkey);

  before(async () => {
    scene = await startScene({ proxy: true });
    // Nothing but users is read again while this runs.
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_ON_DELETE: 'keep', REFKEY_SWEEP_SECONDS: '3600' });
  });
  after(() => scene?.close());

  // With a mood on both sides, and unknown to MongoDB's users as far as the index can tell.
  async function nobodys() {
    const account = await scene.stranger();
    const person = { ...account, user: `auth0|${account.name}` };
    const mood = document(person);
    await scene.mongo.moods.insertOne(mood);
    await record(person, mood);
    await until(async () => (await issues(refkey)).unclaimed === 1, { what: 'the index to know nobody with the DID', ...soon });
    return { person, mood };
  }

  it('a user who came after users were read', async () => {
    for (let i = 0; i < 3; i++) {
      const { person } = await nobodys();
      await scene.mongo.user({ _id: person.user, handle: person.name, did: person.did });
      const { code, users: [found], shown } = await audit(refkey, person);
      assert.equal(code, 0, shown);
      const { matched, indexed, indexLinked, indexUnknown } = found.collections[MOOD];
      assert.deepEqual([matched, indexed, indexLinked + indexUnknown], [1, 1, 1], shown);
      await until(async () => !(await issues(refkey)).unclaimed, { what: 'the users being read', ...soon });
    }
    await assertChecks(refkey);
  });

  it('names who it is that an index knows nobody for, once nothing follows users any more', async () => {
    const { person, mood } = await nobodys();
    await refkey.stop();
    try {
      await scene.mongo.user({ _id: person.user, handle: person.name, did: person.did });
      const { code, users: [found], shown } = await audit(refkey, person);
      assert.equal(code, 1, shown);
      const told = found.findings.map((f) => [f.kind, f.rkey, f.reason]);
      assert.deepEqual(told, [['indexDiffers', mood.atproto.rkey, 'the index knows no user with the DID']], shown);
    } finally {
      await refkey.start();
      await refkey.ready();
    }
    await until(async () => (await audit(refkey, person)).code === 0, { what: 'the three to agree', ...soon });
  });

  it('a forgotten user: nothing is waited for, and what comes later is for forget alone', async () => {
    const person = await scene.writer();
    const mood = document(person);
    await scene.mongo.moods.insertOne(mood);
    await linked(refkey, await record(person, mood));
    const forget = async () => {
      const { code, stdout, stderr } = await refkey.run(['forget', person.user, '--yes']);
      assert.equal(code, 0, stdout + stderr);
    };
    await forget();
    // Otherwise each would take the five seconds that the index has to take in what it lacks.
    const took = [];
    for (let i = 0; i < 4; i++) {
      const since = performance.now();
      const { code, shown } = await audit(refkey, person);
      assert.equal(code, 0, shown);
      took.push(performance.now() - since);
    }
    assert.ok(Math.min(...took) < 5000, took.join());
    const [later, named] = [document(person), document(person)];
    await scene.mongo.moods.insertMany([{ ...later, atproto: undefined }, named]);
    await record(person, { ...later, _id: undefined });
    await record(person, named);
    const { code, users: [found], shown } = await audit(refkey, person);
    assert.equal(code, 1, shown);
    assert.deepEqual(
      found.findings.map((f) => [f.kind, f.rkey, f.reason]),
      [
        ['notSynced', null, 'forgotten: never published again'],
        ...[later, named].map((d) => ['forgotten', d.atproto.rkey, '']),
      ],
      shown,
    );
    const { stdout } = await refkey.run(['audit', '--user', person.user]);
    assert.match(stdout, /2 ATProto records of a forgotten user, for `refkey forget`/);
    assert.doesNotMatch(stdout, /recover|index/);
    await forget();
    assert.equal((await audit(refkey, person)).code, 0);
  });

  it('a record that comes while the repo is read: it is read again', async () => {
    const [person] = await scene.people(1);
    const first = document(person);
    await scene.mongo.moods.insertOne(first);
    await linked(refkey, await record(person, first));
    await settled(refkey);
    let let_go;
    const hold = new Promise((resolve) => (let_go = resolve));
    const fault = scene.proxy.http({ hold }, { method: 'com.atproto.sync.getRepo', times: 1 });
    const running = audit(refkey, person);
    await until(() => fault.held, { what: 'the repo being read', ...soon });
    const second = document(person);
    await scene.mongo.moods.insertOne(second);
    await linked(refkey, await record(person, second));
    let_go();
    const { code, users: [found], shown } = await running;
    assert.equal(code, 0, shown);
    const { documents, matched, indexLinked } = found.collections[MOOD];
    assert.deepEqual([documents, matched, indexLinked], [2, 2, 2], shown);
  });

  it('a document that goes while the repo is read: it is read again', async () => {
    const [person] = await scene.people(1);
    const mood = document(person);
    await scene.mongo.moods.insertOne(mood);
    const made = await record(person, mood);
    await linked(refkey, made);
    await settled(refkey);
    let let_go;
    const hold = new Promise((resolve) => (let_go = resolve));
    const fault = scene.proxy.http({ hold }, { method: 'com.atproto.sync.getRepo', times: 1 });
    const running = audit(refkey, person);
    await until(() => fault.held, { what: 'the repo being read', ...soon });
    await scene.mongo.moods.updateOne({ _id: mood._id }, { $set: { deleted: true } });
    // What the record is now has MongoDB looked at.
    const changed = { ...moodRecord({ mood: 'another', when: mood.when, ref: mood._id }) };
    await seen(refkey, await scene.pds.putRecord(person, MOOD, mood.atproto.rkey, changed));
    await settled(refkey);
    let_go();
    const { users: [found], shown } = await running;
    assert.deepEqual(found.findings.map((f) => f.kind), ['orphaned'], shown);
  });

  it('an account that is deleted: what the index had of it goes, too', async () => {
    const [person] = await scene.people(1);
    const mood = document(person);
    await scene.mongo.moods.insertOne(mood);
    await linked(refkey, await record(person, mood));
    await scene.pds.deleteAccount(person.did);
    const agreed = async () => {
      const { users: [found] } = await audit(refkey, person);
      return found.findings.length === 1 && found.findings[0].kind === 'dangling';
    };
    await until(agreed, { what: 'nothing but the document being told', ...soon });
  });

  it('reads of MongoDB only whose documents are asked for; a guest’s are those of nobody', async () => {
    const guest = await scene.person(scene.name(), GUEST);
    const [other] = await scene.people(1);
    const own = moodDocument({ user: GUEST });
    const nameless = { ...moodDocument({}), user: null };
    const without = moodDocument({});
    delete without.user;
    const theirs = moodDocument({ user: other.user });
    const odd = { ...moodDocument({}), user: [GUEST, other.user] };
    await scene.mongo.moods.insertMany([own, nameless, without, theirs, odd]);
    const refs = (user) => user.findings.map((f) => f.ref).sort();
    const ids = (...list) => list.map((d) => String(d._id)).sort();
    const of = await audit(refkey, guest);
    assert.deepEqual(of.users.map(refs), [ids(own, nameless, without)], of.shown);
    const both = await audit(refkey, guest, other);
    assert.deepEqual(both.users.map(refs).sort(), [ids(own, nameless, without), ids(theirs)].sort(), both.shown);
    const one = await audit(refkey, other);
    assert.deepEqual(one.users.map(refs), [ids(theirs)], one.shown);
    await scene.mongo.moods.deleteMany({ _id: { $in: [own, nameless, without, theirs, odd].map((d) => d._id) } });
  });

  it('large repos come one at a time, and every one in the end', async () => {
    const people = await scene.people(3);
    const body = 'no car'.padEnd(33 << 20, ' ');
    const fault = scene.proxy.http({ status: 200, body }, { method: 'com.atproto.sync.getRepo' });
    const { code, users: found, shown } = await audit(refkey, ...people);
    fault.end();
    assert.equal(code, 1, shown);
    assert.equal(found.length, 3);
    for (const { unread } of found) assert.match(unread, /CAR/, shown);
  });

  it('no room for a repo: said, with 1, and nothing is made of it', async (t) => {
    await refkey.stop();
    const [person] = await scene.people(1);
    const mood = document(person);
    await scene.mongo.moods.insertOne(mood);
    await record(person, mood);
    const folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-small-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'refkey-test', folder], { stdio: 'pipe' });
    } catch {
      rmSync(folder, { recursive: true });
      return t.skip('a small file system cannot be mounted here (that takes root)');
    }
    try {
      const small = await scene.refkey({ REFKEY_DATA_DIR: folder, REFKEY_RECOVER: 'off' });
      await settled(small);
      await small.stop();
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(path.join(folder, 'fill'), Buffer.alloc(bavail * bsize));
      const { code, stderr, summary, shown } = await audit(small, person);
      assert.equal(code, 1, shown);
      assert.match(stderr, /No space left/, shown);
      assert.equal(summary, undefined, shown);
      rmSync(path.join(folder, 'fill'));
      const again = await audit(small, person);
      assert.equal(again.code, 0, again.shown);
    } finally {
      execFileSync('umount', [folder]);
      rmSync(folder, { recursive: true });
    }
  });
});
