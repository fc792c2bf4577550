// `refkey repair` killed at each of its steps, and run again: it comes to the same end, and the undo files of both
// runs put back all that went.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { until } from '../kit/wait.mjs';
import { entries, repairing, users } from './repairing.mjs';
import { assertChecks, settled, startScene, untilIndexEqualsPds } from './scene.mjs';

describe('repair, killed', () => {
  let scene;
  let refkey;
  let folder;
  let repair, find, records, keys, undoFiles, writer, everything;

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-kills-'));
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_SWEEP_SECONDS: '1' });
    await refkey.stop();
    ({ repair, find, records, keys, undoFiles, writer, everything } = repairing(scene, refkey));
  });
  after(async () => {
    await scene?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  // Killed once the nth request of this method is under way.
  async function killed(args, method, nth, wrong) {
    let seen = 0;
    const fault = scene.proxy.http(wrong, { method, times: 1, query: () => seen++ === nth });
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', binary, 'repair', ...args], { env: refkey.env, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal ?? code)));
    await Promise.race([
      until(() => (wrong.hold ? fault.held : fault.fired), { what: `${method} ${nth}` }),
      ended.then((how) => assert.fail(`it ended before: ${how}`)),
    ]);
    child.kill('SIGKILL');
    assert.equal(await ended, 'SIGKILL');
    fault.end();
  }

  // Both look at the repo twice: --yes counts orphans first, --apply looks whether a side has moved.
  for (const [when, method, nth, wrong, moved] of [
    ['while it looks at the repo', 'com.atproto.sync.getRepo', 0, { hang: true }, false],
    ['while it reads the repo', 'com.atproto.sync.getRepo', 1, { hang: true }, false],
    ['behind the documents, before it looks at the records', 'com.atproto.repo.listRecords', 0, { hang: true }, true],
    ['behind the undo file, before it logs in', 'com.atproto.server.createSession', 0, { hang: true }, true],
    ['before the PDS deletes', 'com.atproto.repo.applyWrites', 0, { hang: true }, true],
    ['after the PDS deleted some', 'com.atproto.repo.applyWrites', 0, { hold: true }, true],
    ['between two batches', 'com.atproto.repo.applyWrites', 1, { hang: true }, true],
    ['after the PDS deleted the last, before the end', 'com.atproto.repo.applyWrites', 2, { hold: true }, true],
  ]) {
    for (const by of ['--yes', '--apply']) {
      it(`${by}: ${when}`, async () => {
        const person = await writer();
        const all = await everything(person);
        const there = await records(person);
        const had = undoFiles();
        const plan = path.join(folder, `${person.name}.json`);
        if (by === '--apply') assert.equal((await repair('--all', '--plan', plan, ...users(person))).code, 0);
        const args = by === '--apply' ? ['--apply', plan] : ['--all', '--yes', ...users(person)];
        await killed([...args, '--batch-size', '2'], method, nth, wrong);

        const again = await repair(...args);
        if (by === '--apply' && moved) {
          // A plan is for what was: the rest takes a new one.
          assert.equal(again.code, 1, again.shown);
          assert.match(again.stderr, /moved since the plan was made, so nothing is done/);
          assert.equal((await repair('--all', '--yes', ...users(person))).code, 0);
        } else {
          assert.equal(again.code, 0, again.shown);
        }
        const gone = [all.named.rkeys[0], all.named.rkeys[1], all.unnamed.rkeys[1], ...all.orphan.rkeys].sort();
        assert.deepEqual(await keys(person), there.map((r) => r.uri.split('/').pop()).filter((key) => !gone.includes(key)).sort());
        for (const document of [all.unnamed, all.unlinked, all.stale]) assert.equal((await find(document._id)).atproto.rkey, document.rkeys[0]);
        assert.deepEqual((await repair('--all', '--yes', ...users(person))).steps, []);

        const files = undoFiles().filter((file) => !had.includes(file));
        assert.deepEqual([...new Set(files.flatMap(entries).map((e) => e.rkey))].sort(), gone);
        for (const file of files) {
          const undo = await repair('--undo', file);
          assert.deepEqual([undo.code, undo.summary.failed], [0, 0], undo.shown);
        }
        assert.deepEqual(await records(person), there);
        await scene.mongo.moods.deleteMany({ user: person.user });
      });
    }
  }

  // serve links what it sees, in the order in which it sees it, once it knows the user.
  async function linkedByServe(person, all) {
    await untilIndexEqualsPds(refkey, scene.pds, [person.did]);
    await until(async () => (await find(all.unnamed._id)).atproto?.rkey, { what: 'a document being linked' });
    await settled(refkey);
  }

  // Ctrl-C, and a second one where twice is set, while a request hangs. ms: how long it then took.
  async function interrupted(args, method, { twice = false } = {}) {
    const fault = scene.proxy.http({ hang: true }, { method });
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', binary, 'repair', '--json', ...args], { env: refkey.env });
    let stdout = '';
    child.stdout.on('data', (data) => (stdout += data));
    const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
    await until(() => fault.fired, { what: method });
    const since = Date.now();
    child.kill('SIGINT');
    if (twice) {
      // Once it was heard, the next one is not caught any more.
      const caught = () => BigInt(`0x${/^SigCgt:\s*(\S+)$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]}`) & 2n;
      await until(() => !caught(), { what: 'the first one being heard' });
      child.kill('SIGINT');
    }
    const how = await ended;
    fault.end();
    return { how, ms: Date.now() - since, ...(stdout && !twice && JSON.parse(stdout)) };
  }

  for (const beside of [false, true]) {
    it(`Ctrl-C ends a request that hangs, ${beside ? 'also of a running serve' : 'and keeps what was done'}`, async () => {
      if (beside) await refkey.start().then(() => refkey.ready());
      try {
        for (const method of ['com.atproto.repo.listRecords', 'com.atproto.server.createSession', 'com.atproto.repo.applyWrites']) {
          // A request hangs for 15 s by itself. The machine may stand still so long, but hardly each time.
          const took = [];
          do {
            const person = await writer();
            const all = await everything(person);
            if (beside) await linkedByServe(person, all);
            const there = await keys(person);
            const args = ['--duplicates', '--yes', ...users(person)];
            const { how, ms, summary } = await interrupted(args, method);
            took.push(ms);
            assert.equal(how, 1);
            assert.deepEqual([summary.stopped, summary.delete, summary.failed], [true, 0, 0]);
            assert.deepEqual(await keys(person), there);
            let again;
            await until(async () => (again = await repair(...args)).code !== 2, { what: 'its turn' });
            assert.deepEqual([again.code, again.summary.failed], [0, 0], again.shown);
            assert.ok(again.summary.delete >= 3, again.shown);
            await scene.mongo.moods.deleteMany({ user: person.user });
          } while (took.at(-1) > 10_000 && took.length < 3);
          assert.ok(took.at(-1) <= 10_000, `${method}: ${took} ms`);
        }
      } finally {
        await refkey.stop();
      }
    });
  }

  it('a second Ctrl-C ends it at once', async () => {
    const person = await writer();
    await everything(person);
    const { how } = await interrupted(['--all', '--yes', ...users(person)], 'com.atproto.repo.listRecords', { twice: true });
    assert.ok(how === 'SIGINT' || how === 1, `${how}`); // 1: it had ended by the first
    assert.equal((await repair('--all', '--yes', ...users(person))).code, 0);
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('beside a running serve: the command killed, and serve killed under it', async () => {
    await refkey.start();
    await refkey.ready();
    try {
      for (const who of ['command', 'serve']) {
        const person = await writer();
        const all = await everything(person);
        await linkedByServe(person, all);
        const there = await records(person);
        const kept = [];
        for (const { _id } of [all.named, all.unnamed]) kept.push((await find(_id)).atproto.rkey);
        const had = undoFiles();
        const args = ['--all', '--yes', ...users(person)];
        if (who === 'command') {
          await killed([...args, '--batch-size', '2'], 'com.atproto.repo.applyWrites', 0, { hold: true });
        } else {
          const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', times: 1 });
          const running = repair(...args, '--batch-size', '2');
          await until(() => fault.held, { what: 'serve writing' });
          await refkey.kill();
          const { code, stderr, shown } = await running;
          assert.equal(code, 3, shown);
          assert.match(stderr, /did not answer to the end/);
          await refkey.start();
          await refkey.ready();
        }
        // Until what is under way in serve has ended, another one is refused.
        let again;
        await until(async () => (again = await repair(...args)).code !== 2, { what: 'its turn' });
        assert.equal(again.code, 0, again.shown);
        const gone = [...all.named.rkeys, ...all.unnamed.rkeys, ...all.orphan.rkeys].filter((key) => !kept.includes(key));
        assert.equal(gone.length, 5);
        assert.deepEqual(await keys(person), there.map((r) => r.uri.split('/').pop()).filter((key) => !gone.includes(key)).sort());
        const files = undoFiles().filter((file) => !had.includes(file));
        for (const file of files) assert.equal((await repair('--undo', file)).code, 0);
        assert.deepEqual(await records(person), there);
      }
    } finally {
      await refkey.stop();
    }
    await assertChecks(refkey);
  });

  it('--undo itself, between two repos: run again, all is there once', async () => {
    const people = [await writer(), await writer()];
    for (const person of people) await everything(person);
    const there = await Promise.all(people.map(records));
    const { code, summary, shown } = await repair('--all', '--yes', ...users(...people));
    assert.deepEqual([code, summary.delete], [0, 10], shown);
    for (const [nth, wrong] of [[0, { hold: true }], [0, { hang: true }]])
      await killed(['--undo', summary.undo], 'com.atproto.repo.applyWrites', nth, wrong);
    const undo = await repair('--undo', summary.undo);
    assert.deepEqual([undo.code, undo.summary.create], [0, 10], undo.shown);
    assert.deepEqual(await Promise.all(people.map(records)), there);
    await assertChecks(refkey);
  });
});
