// `refkey repair --plan` and `--apply`: what was looked at is done, that alone, and only while both sides are
// as they were.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MOOD, moodDocument, moodRecord, objectId } from '../kit/shapes.mjs';
import { repairing, users } from './repairing.mjs';
import { startScene } from './scene.mjs';

describe('repair by plan', () => {
  let scene;
  let refkey;
  let folder;
  let repair, find, keys, undoFiles, writer, record, mood, everything;

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-plan-'));
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_SWEEP_SECONDS: '1' });
    await refkey.stop();
    ({ repair, find, keys, undoFiles, writer, record, mood, everything } = repairing(scene, refkey));
  });
  after(async () => {
    await scene?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const plan = () => path.join(folder, `plan-${plan.count++}.json`);
  plan.count = 0;

  it('does what the plan has, once', async () => {
    const [one, two] = [await writer(), await writer()];
    const [a, b] = [await everything(one), await mood(two, 2, 1)];
    const file = plan();
    const dry = await repair('--all', '--plan', file, ...users(one, two));
    assert.equal(dry.code, 0, dry.shown);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(JSON.parse(readFileSync(file)).pds, scene.proxy.url);
    const next = plan();
    const said = await refkey.run(['repair', '--all', '--plan', next, ...users(one, two)]);
    assert.ok(said.stdout.endsWith(`\nPlan:    ${next}, carried out by: refkey repair --apply ${next}\n`), said.stdout + said.stderr);
    // By another way to the same PDS, which might be another PDS.
    const other = await refkey.run(['repair', '--json', '--apply', file], { env: { REFKEY_PDS_URL: scene.pds.url } });
    assert.deepEqual([other.code, other.stdout], [2, ''], other.stderr);
    assert.ok(other.stderr.includes(`made for the PDS at ${scene.proxy.url}, and REFKEY_PDS_URL is ${scene.pds.url}`), other.stderr);
    const { code, summary, steps, shown } = await repair('--apply', file);
    assert.equal(code, 0, shown);
    assert.deepEqual([summary.delete, summary.link], [dry.summary.delete, dry.summary.link]);
    const told = (list) => list.map(({ outcome, ...step }) => step);
    assert.deepEqual(told(steps), told(dry.steps));
    assert.deepEqual(await keys(two), [b.rkeys[1]]);
    assert.equal((await find(a.stale._id)).atproto.rkey, a.stale.rkeys[0]);
    // It is spent: the PDS has moved.
    const again = await repair('--apply', file);
    assert.equal(again.code, 1, again.shown);
    assert.match(again.stderr, /moved since the plan was made/);
    const changed = JSON.parse(readFileSync(file));
    changed.users[0].user = 'nobody';
    writeFileSync(file, JSON.stringify(changed));
    const nobody = await repair('--apply', file);
    assert.equal(nobody.code, 1, nobody.shown);
    assert.match(nobody.stderr, /the plan: no such user: nobody, so nothing is done/);
  });

  it('with a limit, has so many', async () => {
    const person = await writer();
    const { rkeys } = await mood(person, 3, 0);
    const file = plan();
    const dry = await repair('--all', '--plan', file, '--limit', '1', ...users(person));
    assert.deepEqual([dry.steps.length, dry.summary.limited], [1, true], dry.shown);
    const { code, shown } = await repair('--apply', file);
    assert.equal(code, 0, shown);
    assert.deepEqual(await keys(person), [rkeys[0], rkeys[2]]);
  });

  for (const [what, move] of Object.entries({
    'a record was written': (p) => record(p, objectId()),
    'a record was deleted': (p, m) => scene.pds.deleteRecord(p, MOOD, m.rkeys[1]),
    'a record was changed': (p, m) => scene.pds.putRecord(p, MOOD, m.rkeys[1], moodRecord({ mood: 'other', ref: m._id })),
    'the document was changed': (p, m) => scene.mongo.moods.updateOne({ _id: m._id }, { $set: { 'atproto.rkey': m.rkeys[1] } }),
    'the document was deleted': (p, m) => scene.mongo.moods.updateOne({ _id: m._id }, { $set: { deleted: true } }),
    'another document came': (p) => scene.mongo.moods.insertOne(moodDocument({ user: p.user })),
    'the account went': (p) => scene.pds.deactivate(p),
    'the user went': (p) => scene.mongo.users.deleteOne({ _id: p.user }),
  })) {
    it(`refuses all of it where ${what}`, async () => {
      const [one, two] = [await writer(), await writer()];
      const still = await mood(one, 2, 0);
      const moved = await mood(two, 2, 0);
      const file = plan();
      await repair('--all', '--plan', file, ...users(one, two));
      await move(two, moved);
      const files = undoFiles();
      const { code, steps = [], stderr, shown } = await repair('--apply', file);
      assert.equal(code, 1, shown);
      assert.match(stderr, /make a new one/);
      assert.deepEqual(steps, []);
      assert.deepEqual(await keys(one), still.rkeys);
      assert.deepEqual(undoFiles(), files);
      await scene.mongo.moods.deleteMany({ user: { $in: [one.user, two.user] } });
    });
  }

  it('says at once where a plan cannot be written, and writes over nothing', async () => {
    const there = path.join(folder, 'there');
    const victim = path.join(folder, 'victim');
    const link = path.join(folder, 'link');
    writeFileSync(there, 'mine\n');
    symlinkSync(victim, link);
    scene.proxy.requests.length = 0;
    const cases = [
      ['/nope/x', /--plan \/nope\/x: No such file or directory/],
      [`${folder}/none/`, /--plan .*: No such file or directory/],
      ['', /--plan is empty/],
      [folder, /--plan .*: there is something already/],
      [there, /--plan .*: there is something already/],
      [link, /--plan .*: there is something already/],
      [path.join(there, 'x'), /--plan .*: Not a directory/],
      ['/proc/refkey', /--plan \/proc\/refkey: /],
      [path.join(folder, 'x'.repeat(300)), /--plan .*: File name too long/],
    ];
    for (const [file, message] of cases) {
      const { code, stdout, stderr } = await refkey.run(['repair', '--all', '--plan', file]);
      assert.equal(code, 2, `${file}: ${stdout}${stderr}`);
      assert.match(stderr, message);
      assert.equal(stdout, '');
    }
    assert.equal(scene.proxy.count('com.atproto.sync.getRepo'), 0);
    assert.equal(readFileSync(there, 'utf8'), 'mine\n');
    assert.equal(statSync(victim, { throwIfNoEntry: false }), undefined);
    assert.deepEqual(readdirSync(folder).filter((name) => /\.\d+$/.test(name)), []);
  });

  it('is of all that can be read; where not everybody was looked at, there is none', async () => {
    const [one, away] = [await writer(), await writer()];
    const { rkeys } = await mood(one, 2, 0);
    await mood(away, 2, 0);
    await scene.pds.deactivate(away);
    const file = plan();
    const dry = await repair('--all', '--plan', file, ...users(one, away));
    assert.deepEqual([dry.code, dry.summary.unread, dry.summary.complete], [1, 1, true], dry.shown);
    assert.deepEqual(JSON.parse(readFileSync(file)).users.map((u) => u.user), [one.user]);
    const { code, shown } = await repair('--apply', file);
    assert.equal(code, 0, shown);
    assert.deepEqual(await keys(one), [rkeys[0]]);

    const another = plan();
    const fault = scene.proxy.http({ status: 503 }, { method: 'com.atproto.sync.getRepo' });
    const lost = await repair('--all', '--plan', another, ...users(one));
    fault.end();
    assert.equal(lost.code, 3, lost.shown);
    assert.match(lost.stderr, /no plan was written/);
    assert.equal(statSync(another, { throwIfNoEntry: false }), undefined);
    await scene.mongo.moods.deleteMany({ user: { $in: [one.user, away.user] } });
  });

  it('a full disk is said of the plan, and leaves none', async (t) => {
    const person = await writer();
    await mood(person, 2, 0);
    const small = path.join(folder, 'small');
    mkdirSync(small);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'refkey-test', small], { stdio: 'pipe' });
    } catch {
      return t.skip('a small file system cannot be mounted here (that takes root)');
    }
    try {
      assert.throws(() => writeFileSync(path.join(small, 'fill'), Buffer.alloc(1 << 20)), /ENOSPC/);
      const { code, stderr, shown } = await repair('--all', '--plan', path.join(small, 'plan'), ...users(person));
      assert.equal(code, 1, shown);
      assert.match(stderr, /the plan .*small\/plan cannot be written: No space left/);
      assert.deepEqual(readdirSync(small), ['fill']);
    } finally {
      execFileSync('umount', [small]);
    }
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('edited by hand: steps may be taken out; what is anything else is refused', async () => {
    const person = await writer();
    const { rkeys, _id } = await mood(person, 4, 0);
    const other = await mood(person, 1, 0);
    const file = plan();
    await repair('--all', '--plan', file, ...users(person));
    const made = JSON.parse(readFileSync(file));
    const edit = (change) => {
      const edited = structuredClone(made);
      change(edited, edited.users[0]);
      const name = plan();
      writeFileSync(name, JSON.stringify(edited));
      return name;
    };
    const step = made.users[0].steps[0];
    const files = undoFiles();
    const cases = {
      'a record that is linked': [(all, user) => (user.steps[0].rkey = rkeys[0]), 1, /moved since/],
      'a record of another document': [(all, user) => (user.steps[0] = { ...step, rkey: other.rkeys[0], ref: String(other._id) }), 1, /moved since/],
      'another cid': [(all, user) => (user.steps[0].cid = user.steps[1].cid), 1, /moved since/],
      'another action': [(all, user) => (user.steps[0].action = 'mark'), 1, /moved since/],
      'one step twice': [(all, user) => user.steps.push(step), 1, /moved since/],
      'another order': [(all, user) => user.steps.reverse(), 1, /moved since/],
      'a user twice': [(all, user) => all.users.push(user), 1, /make a new one/],
      'another rev': [(all, user) => (user.rev = '3jzfcijpj2z2a'), 1, /moved since/],
      'no rev': [(all, user) => (user.rev = null), 1, /moved since/],
      'other documents': [(all, user) => (user.documents = '0'.repeat(64)), 1, /moved since/],
      'no kinds': [(all) => (all.kinds = []), 1, /moved since/],
      'kinds that are none': [(all) => (all.kinds = 7), 1, /moved since/],
      'steps that are none': [(all, user) => (user.steps = [1, null, 'x']), 1, /moved since/],
      'another version': [(all) => (all.version = 2), 2, /no plan/],
      'no PDS': [(all) => delete all.pds, 2, /no plan/],
      'another PDS': [(all) => (all.pds = 'https://pds.example'), 2, /made for the PDS at https:\/\/pds\.example, and REFKEY_PDS_URL is http:\/\/\S+$/m],
      'another REFKEY_ON_DELETE': [(all) => (all.onDelete = 'unlink'), 2, /REFKEY_ON_DELETE/],
      'a user that is none': [(all, user) => (user.user = 5), 2, /lacks a part/],
      'no list': [(all) => (all.users = {}), 2, /no plan/],
    };
    for (const [what, [change, expected, message]] of Object.entries(cases)) {
      const { code, stderr, shown } = await repair('--apply', edit(change));
      assert.equal(code, expected, `${what}: ${shown}`);
      assert.match(stderr, message, what);
    }
    for (const [text, message] of [['', /the plan: it is none of --plan: /], ['[1', /the plan: it is none/], ['{"version":1,"version":1}', /the plan: it is none/], ['[]', /no plan/]]) {
      const name = plan();
      writeFileSync(name, text);
      const { code, stderr, stdout, shown } = await repair('--apply', name);
      assert.equal(code, 2, shown);
      assert.match(stderr, message);
      assert.equal(stdout, '');
    }
    for (const [name, message] of [['/dev/zero', /the plan: it is no file/], [folder, /the plan: .*directory/]]) {
      const { code, stderr, shown } = await repair('--apply', name);
      assert.equal(code, 2, shown);
      assert.match(stderr, message);
    }
    assert.deepEqual(undoFiles(), files);
    assert.equal((await keys(person)).length, 5);
    const { code, summary, shown } = await repair('--apply', edit((all, user) => user.steps.splice(1, 1)));
    assert.deepEqual([code, summary.delete], [0, 2], shown);
    assert.deepEqual(await keys(person), [rkeys[0], rkeys[2], other.rkeys[0]].sort());
    assert.equal((await find(_id)).atproto.rkey, rkeys[0]);
  });
});
