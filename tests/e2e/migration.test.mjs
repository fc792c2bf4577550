// The first migration as docs/operations.md has it: every step, and every step back, beside a running serve.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MOOD, moodDocument } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, linked, settled, soon, startScene, untilIndexEqualsPds } from './scene.mjs';

describe('the first migration', () => {
  let scene;
  let refkey;
  let folder;
  const people = [];

  async function run(args, codes = [0]) {
    const { code, stdout, stderr } = await refkey.run(args);
    assert.ok(codes.includes(code), `${args.join(' ')}: ${code}\n${stdout}${stderr}`);
    return args.includes('--json') ? JSON.parse(stdout) : stdout;
  }
  const user = (p) => scene.mongo.users.findOne({ _id: p._id });
  const documents = (p) => scene.mongo.moods.find({ user: p._id }).toArray();
  const records = async (p) => scene.pds.listRecordsAll((await user(p)).atproto.did, MOOD);
  const report = (name) => path.join(folder, 'reports', name); // reports/ is not there at first

  // Its documents are there as they were, and name no record.
  const untilUnlinked = (p) =>
    until(async () => (await documents(p)).every((d) => d.atproto?.rkey === undefined), { what: 'no document names a record', ...soon });
  async function assertUntouched(p) {
    const all = await documents(p);
    assert.equal(all.length, p.count);
    for (const d of all) assert.deepEqual([d.deleted, typeof d.mood], [undefined, 'string']);
  }
  async function assertSynced(p) {
    const refs = Object.fromEntries((await records(p)).map((r) => [r.value.ref, r.uri.split('/').pop()]));
    assert.deepEqual(Object.fromEntries((await documents(p)).map((d) => [String(d._id), d.atproto?.rkey])), refs);
    assert.equal(Object.keys(refs).length, p.count);
  }

  // The audit looks at the index, too, which hears of it all a little later.
  async function assertAudited(...args) {
    const dids = (await Promise.all(people.map(user))).flatMap((u) => u.atproto?.did ?? []);
    await untilIndexEqualsPds(refkey, scene.pds, dids);
    // With nothing pending, a repo may still wait for users to be read again: its user was new when they last were.
    for (const did of dids) for (const record of await scene.pds.listRecordsAll(did, MOOD)) await linked(refkey, record);
    await settled(refkey);
    await run(['audit', ...args]);
  }

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-migration-'));
    scene = await startScene();
    for (const [i, count] of [5, 3, 2, 1].entries()) {
      const _id = `auth0|m${i}`;
      await scene.mongo.user({ _id, handle: `mover${i}` });
      await scene.mongo.users.updateOne({ _id }, { $set: { email: `mover${i}@mail.example` } });
      await scene.mongo.moods.insertMany(Array.from({ length: count }, (_, n) => moodDocument({ user: _id, mood: `mood ${n}` })));
      people.push({ _id, handle: `@mover${i}`, count });
    }
    refkey = await scene.refkey({
      REFKEY_ON_DELETE: 'unlink',
      REFKEY_PDS_ADMIN_PASSWORD: scene.pds.adminPassword,
      // FerretDB: the statements of all updates at a time must be fewer than 100, the mirror's among them.
      ...(scene.mongo.kind === 'ferretdb' && { REFKEY_MONGO_BATCH: '40' }),
    });
  });
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await scene?.close();
  });

  it('1: looks', async () => {
    await run(['status']);
    await run(['audit', '--report', report('before')], [1]);
    const { users } = await run(['accounts', '--report', report('before'), '--json']);
    assert.deepEqual(users.map((u) => [u.sub, u.count]), people.map((p) => [p._id, p.count]));
  });

  it('2: rehearses, and changes nothing', async () => {
    await run(['accounts', '--create', '--dry-run']);
    const { summary } = await run(['publish', 'moods', '--dry-run', '--report', report('dry'), '--json']);
    assert.equal(summary.skipped, 11);
    assert.equal((await scene.pds.listReposAll()).length, 0);
    for (const p of people) assert.equal((await user(p)).atproto, undefined);
  });

  it('3: accounts, for one and for all, and back', async () => {
    const create = ['accounts', '--create', '--report', report('accounts')];
    await run([...create, '--user', people[0].handle]);
    const [made] = readFileSync(path.join(report('accounts'), 'accounts-created.jsonl'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      .filter((line) => line.step === 'stored');
    await scene.pds.deleteAccount(made.did);
    await scene.mongo.users.updateOne({ 'atproto.did': made.did }, { $unset: { atproto: 1 } });
    const { users } = await run(['accounts', '--json']);
    assert.equal(users.length, 4);
    await run(create);
    for (const p of people) assert.ok((await user(p)).atproto.password);
  });

  it('4: one user, and back, and again', async () => {
    const [one] = people;
    const publish = ['publish', 'moods', '--user', one.handle, '--json'];
    const runs = [await run([...publish, '--limit', '1']), await run(publish)];
    await assertSynced(one);
    await assertAudited('--user', one.handle);
    const { did, password } = (await user(one)).atproto;
    const { accessJwt } = await scene.pds.call('com.atproto.server.createSession', {}, { input: { identifier: did, password } });
    for (const { rkey } of runs.flatMap((r) => r.records).filter((r) => r.outcome === 'created')) {
      const input = { repo: did, collection: MOOD, rkey };
      await scene.pds.call('com.atproto.repo.deleteRecord', {}, { input, headers: { authorization: `Bearer ${accessJwt}` } });
    }
    await untilUnlinked(one);
    await assertUntouched(one);
    assert.deepEqual(await records(one), []);
    await run(['audit', '--user', one.handle], [1]);
    await run(publish);
    await assertSynced(one);
    await assertAudited('--user', one.handle);
  });

  it('5 and 6: some, then all, until nothing is found', async () => {
    await run(['publish', 'moods', '--user', people[1].handle, '--user', people[2].handle, '--report', report('ten'), '--json']);
    await run(['publish', 'moods', '--report', report('all'), '--max-wait', '600']);
    const { summary } = await run(['publish', 'moods', '--report', report('all'), '--json']);
    assert.equal(summary.found, 0);
    for (const p of people) await assertSynced(p);
  });

  it('7: a duplicate goes by a plan, comes back by its undo file, and goes again; the audit comes to nothing', async () => {
    const [one] = people;
    const { did, password } = (await user(one)).atproto;
    const { accessJwt } = await scene.pds.call('com.atproto.server.createSession', {}, { input: { identifier: did, password } });
    const [{ value }] = await records(one);
    const input = { repo: did, collection: MOOD, record: value };
    await scene.pds.call('com.atproto.repo.createRecord', {}, { input, headers: { authorization: `Bearer ${accessJwt}` } });
    const undone = () => (existsSync(undo) ? readdirSync(undo).filter((name) => name.startsWith('repair-')) : []);
    const undo = path.join(refkey.dataDirectory, 'undo');
    await run(['audit', '--report', report('found')], [1]);
    await run(['repair', '--all', '--plan', report('plan.json')]);
    assert.equal((await records(one)).length, one.count + 1);
    await run(['repair', '--apply', report('plan.json')]);
    await assertSynced(one);
    assert.equal(undone().length, 1);
    await run(['repair', '--undo', path.join(undo, undone()[0])]);
    assert.equal((await records(one)).length, one.count + 1);
    await run(['repair', '--all', '--yes']);
    await assertSynced(one);
    await assertAudited('--report', report('after'));
    await run(['lexicon', 'validate', '--records']);
    await run(['lexicon', 'publish', '--user', people[0].handle]);
    await assertChecks(refkey);
  });

  it('back with the account and all of its records, and once more', async () => {
    const gone = people[1];
    const { did } = (await user(gone)).atproto;
    await scene.pds.deleteAccount(did);
    await untilUnlinked(gone);
    await assertUntouched(gone);
    await scene.mongo.users.updateOne({ 'atproto.did': did }, { $unset: { atproto: 1 } });
    const { users } = await run(['accounts', '--json']);
    assert.deepEqual(users.map((u) => u.sub), [gone._id]);
    await run(['accounts', '--create', '--report', report('accounts')]);
    assert.notEqual((await user(gone)).atproto.did, did);
    await run(['publish', 'moods']);
    await assertSynced(gone);
    await assertAudited();
  });
});
