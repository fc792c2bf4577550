// `refkey repair`: duplicates, orphans, unlinked and vanished, by plan and by undo file; nothing goes that
// is not in the undo file, and nothing that a rule does not name.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MOOD } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { entries, repairing, users } from './repairing.mjs';
import { assertChecks, failingDeletes, issues, settled, startScene } from './scene.mjs';

describe('repair', () => {
  let scene;
  let refkey;
  let folder;
  let repair, find, records, keys, undoFolder, undoFiles, writer, record, mood, moods, vanish, everything;

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'refkey-repair-'));
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey({ REFKEY_RECOVER: 'off', REFKEY_SWEEP_SECONDS: '1' });
    await refkey.stop();
    ({ repair, find, records, keys, undoFolder, undoFiles, writer, record, mood, moods, vanish, everything } = repairing(scene, refkey));
  });
  after(async () => {
    await scene?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('refuses what it cannot do with 2', async () => {
    const bad = path.join(folder, 'bad');
    writeFileSync(bad, '{"version":2}\n');
    const cut = path.join(folder, 'cut');
    writeFileSync(cut, `${JSON.stringify({ did: 'did:plc:a', collection: MOOD, rkey: 'a\u0000b', record: {} })}\n`);
    const cases = [
      [[], {}, /--duplicates/],
      [['--all', '--apply', bad], {}, /as it is/],
      [['--apply', bad, '--undo', bad], {}, /one or the other/],
      [['--apply', path.join(folder, 'none')], {}, /No such file/],
      [['--apply', bad], {}, /no plan/],
      [['--undo', bad], {}, /line 1/],
      [['--undo', cut], {}, /line 1/],
      [['--all', '--yes', '--plan', bad], {}, /dry run/],
      [['--all', '--batch-size', '201'], {}, /200/],
      [['--vanished'], { REFKEY_ON_DELETE: 'keep' }, /REFKEY_ON_DELETE/],
      [['--all', '--user', '@nobody-at-all'], {}, /nobody-at-all/],
      [['--all'], { REFKEY_MONGO_URI: '' }, /REFKEY_MONGO_URI/],
      [['--all'], { REFKEY_PDS_URL: '' }, /REFKEY_PDS_URL/],
      [['--all'], { REFKEY_SOURCE: 'relay' }, /relay/],
    ];
    for (const [args, env, message] of cases) {
      const { code, stdout, stderr } = await refkey.run(['repair', ...args], { env });
      assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
      assert.match(stderr, message);
      assert.equal(stdout, '');
    }
  });

  it('a dry run says what would be, and writes nothing', async () => {
    const person = await writer();
    const all = await everything(person);
    const before_ = [await records(person), await scene.mongo.moods.find({ user: person.user }).toArray()];
    for (const args of [['--all'], ['--all', '--yes', '--dry-run']]) {
      const { code, steps, summary, shown } = await repair(...args, ...users(person));
      assert.equal(code, 0, shown);
      assert.deepEqual([summary.dryRun, summary.link, summary.delete, summary.mark, summary.planned], [true, 3, 5, 0, 8], shown);
      assert.ok(steps.every((s) => s.outcome === 'planned'), shown);
      const gone = steps.filter((s) => s.action === 'delete').map((s) => s.rkey).sort();
      assert.deepEqual(gone, [all.named.rkeys[0], all.named.rkeys[1], all.unnamed.rkeys[1], ...all.orphan.rkeys].sort());
    }
    assert.deepEqual([await records(person), await scene.mongo.moods.find({ user: person.user }).toArray()], before_);
    assert.deepEqual(undoFiles(), []);
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('each kind does what it says and no more', async () => {
    const person = await writer();
    const all = await everything(person);
    const there = await keys(person);
    const less = (...gone) => there.filter((key) => !gone.flat().includes(key));

    const duplicates = await repair('--duplicates', '--yes', ...users(person));
    assert.deepEqual([duplicates.code, duplicates.summary.delete, duplicates.summary.link], [0, 3, 1], duplicates.shown);
    const doubles = [all.named.rkeys.slice(0, 2), all.unnamed.rkeys[1]].flat();
    assert.deepEqual(await keys(person), less(doubles));
    // The one that is kept is named now; others are as they were.
    assert.equal((await find(all.unnamed._id)).atproto.rkey, all.unnamed.rkeys[0]);
    assert.equal((await find(all.unlinked._id)).atproto, undefined);
    assert.equal((await find(all.named._id)).atproto.rkey, all.named.rkeys[2]);

    const orphans = await repair('--orphans', '--yes', ...users(person));
    assert.deepEqual([orphans.code, orphans.summary.delete, orphans.summary.link], [0, 2, 0], orphans.shown);
    assert.deepEqual(await keys(person), less(doubles, all.orphan.rkeys));
    assert.deepEqual((await find(all.orphan._id)).deleted, true);

    const unlinked = await repair('--unlinked', '--yes', ...users(person));
    assert.deepEqual([unlinked.code, unlinked.summary.delete, unlinked.summary.link], [0, 0, 2], unlinked.shown);
    assert.equal((await find(all.unlinked._id)).atproto.rkey, all.unlinked.rkeys[0]);
    assert.equal((await find(all.stale._id)).atproto.rkey, all.stale.rkeys[0]);
    assert.deepEqual(await keys(person), less(doubles, all.orphan.rkeys));

    // Everything that went is in undo files, of mode 0600, as it was.
    for (const { summary } of [duplicates, orphans]) assert.equal(statSync(summary.undo).mode & 0o777, 0o600);
    assert.equal(statSync(undoFolder()).mode & 0o777, 0o700);
    assert.equal(unlinked.summary.undo, null);
    const lines = [duplicates, orphans].flatMap(({ summary }) => entries(summary.undo));
    assert.deepEqual(lines.map((l) => l.rkey).sort(), [...doubles, ...all.orphan.rkeys].sort());
    for (const line of lines) {
      assert.deepEqual([line.did, line.collection, line.record.$type], [person.did, MOOD, MOOD]);
      assert.match(line.record.mood, /^mood \d$/);
    }

    const again = await repair('--all', '--yes', ...users(person));
    assert.deepEqual([again.code, again.steps], [0, []], again.shown);

    // Undone, the same records are there under the same keys; a second time they were there already.
    for (const [was, dry] of [[0, ['--dry-run']], [0, ['--yes', '--dry-run']], [0, []], [3, []], [3, ['--dry-run']]]) {
      const undo = await repair('--undo', duplicates.summary.undo, ...dry);
      assert.deepEqual([undo.code, undo.summary.create, undo.summary.failed], [0, 3, 0], undo.shown);
      assert.deepEqual([undo.summary.there, undo.summary.planned], [was, dry.length ? 3 - was : 0], undo.shown);
      assert.deepEqual(await keys(person), dry.length && !was ? less(doubles, all.orphan.rkeys) : less(all.orphan.rkeys));
    }
    await repair('--undo', orphans.summary.undo);
    const back = await records(person);
    assert.deepEqual(back.map((r) => r.uri.split('/').pop()).sort(), there);
    for (const line of lines) assert.equal(back.find((r) => r.uri.endsWith(line.rkey)).cid, line.cid);
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('prints what people read', async () => {
    const person = await writer();
    const { rkeys, _id } = await mood(person, 2);
    const dry = await refkey.run(['repair', '--all', '--user', `@${person.name}`]);
    assert.equal(dry.code, 0, dry.stderr);
    assert.equal(dry.stdout, `Mode: dry run
@${person.name} would be linked: ${MOOD} ${_id}, ${rkeys[0]} (unlinked)
@${person.name} would be deleted: at://${person.did}/${MOOD}/${rkeys[1]} (duplicates)
Dry run: nothing was written. To do it, run it again with --yes.
Linked:  1
Deleted: 1
Marked:  0
Failed:  0
`);
    assert.doesNotMatch(dry.stderr, /connected to MongoDB/, 'what goes without saying is not said');
    const live = await refkey.run(['repair', '--all', '--yes', '--user', `@${person.name}`, '--report', path.join(folder, 'report')]);
    assert.equal(live.code, 0, live.stderr);
    assert.match(live.stdout, new RegExp(`✅ deleted: at://${person.did}/${MOOD}/${rkeys[1]} \\(duplicates\\)`));
    assert.match(live.stdout, /Deleted: 1\n.*Undo file: .*\/undo\/repair-.*\.jsonl\n$/s);
    const done = await refkey.run(['repair', '--all', '--user', `@${person.name}`]);
    assert.match(done.stdout, /^Mode: dry run\nDry run: nothing was written\.\nLinked: {2}0\n/, 'there is nothing to do with --yes');
    const report = path.join(folder, 'report', 'repair.json');
    assert.equal(statSync(report).mode & 0o777, 0o600);
    assert.deepEqual(JSON.parse(readFileSync(report)).steps.map((s) => s.outcome), ['done', 'done']);
    const undo = async (...args) =>
      (await refkey.run(['repair', '--undo', JSON.parse(readFileSync(report)).summary.undo, ...args])).stdout;
    const none = 'Dry run: nothing was written.\nTo be put back:';
    assert.match(await undo('--dry-run'), new RegExp(`^Mode: dry run\n@\\S+ would be put back: at:.*\n${none} 1\nFailed: {2}0\n$`));
    assert.match(await undo(), /^Mode: undo\n@\S+ ✅ put back: at:.*\nPut back: 1\nFailed: {2}0\n$/);
    const there = '@\\S+ ✅ there already: at:.*';
    assert.match(await undo(), new RegExp(`^Mode: undo\n${there}\nPut back: 0\nThere already: 1\nFailed: {2}0\n$`));
    assert.match(await undo('--dry-run'), new RegExp(`^Mode: dry run\n${there}\n${none} 0\nThere already: 1\nFailed: {2}0\n$`));
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('--limit and --batch-size; running it again continues', async () => {
    const person = await writer();
    const { rkeys } = await mood(person, 6, 5);
    const looked = await refkey.run(['repair', '--duplicates', '--limit', '2', ...users(person)]);
    assert.match(looked.stdout, /\nThe limit was reached\.\n/);
    const first = await repair('--duplicates', '--yes', '--limit', '2', ...users(person));
    assert.deepEqual([first.code, first.summary.delete, first.summary.limited], [0, 2, true], first.shown);
    scene.proxy.requests.length = 0;
    const rest = await repair('--duplicates', '--yes', '--batch-size', '1', '--delay', '5', ...users(person));
    assert.deepEqual([rest.code, rest.summary.delete], [0, 3], rest.shown);
    assert.equal(scene.proxy.count('com.atproto.repo.applyWrites'), 3);
    assert.equal(scene.proxy.count('com.atproto.server.createSession'), 1);
    assert.deepEqual(await keys(person), [rkeys[5]]);
  });

  it('a user who fails does not keep the others; nobody sees a password', async () => {
    const [good, wrong, none, away] = [await writer(), await writer('hunter2-hunter2'), await scene.person(), await writer()];
    for (const p of [good, wrong, none, away]) await mood(p, 2, 0);
    await scene.pds.deactivate(away);
    const { code, steps, summary, stderr, shown } = await repair('--duplicates', '--yes', ...users(good, wrong, none, away));
    assert.equal(code, 1, shown);
    assert.deepEqual([summary.delete, summary.failed, summary.unread], [1, 2, 1], shown);
    const reason = (p) => steps.find((s) => s.did === p.did).reason;
    assert.match(reason(wrong), /AuthenticationRequired/);
    assert.match(reason(none), /no app password/);
    assert.match(stderr, /deactivated/);
    assert.doesNotMatch(shown, /hunter2/);
    assert.equal((await keys(good)).length, 1);
    assert.equal((await keys(wrong)).length, 2);
    await scene.mongo.moods.deleteMany({ user: { $in: [wrong.user, none.user, away.user] } });
  });

  it('a duplicate stays while its document cannot be made to name the one that is kept', async () => {
    const person = await writer();
    const { _id, rkeys } = await mood(person, 2, undefined, { atproto: 'not an object' });
    const { code, steps, summary, shown } = await repair('--all', '--yes', ...users(person));
    assert.deepEqual([code, summary.delete, summary.failed], [1, 0, 2], shown);
    assert.match(steps.find((s) => s.action === 'link').reason, /MongoDB refused it/);
    assert.equal(steps.find((s) => s.action === 'delete').reason, 'its document could not be linked');
    assert.deepEqual(await keys(person), rkeys);
    await scene.mongo.moods.deleteOne({ _id });
  });

  it('a full disk: nothing is deleted that is not in the undo file', async (t) => {
    const person = await writer();
    const { rkeys } = await mood(person, 3, 0);
    const full = undoFolder();
    mkdirSync(full, { recursive: true, mode: 0o700 });
    const kept = undoFiles().map((file) => [file, readFileSync(file)]);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'refkey-test', full], { stdio: 'pipe' });
    } catch {
      return t.skip('a small file system cannot be mounted here (that takes root)');
    }
    try {
      assert.throws(() => writeFileSync(path.join(full, 'fill'), Buffer.alloc(1 << 20)), /ENOSPC/);
      const { code, summary, stderr, shown } = await repair('--duplicates', '--yes', ...users(person));
      assert.equal(code, 1, shown);
      assert.match(stderr, /undo file cannot be written.*No space left/);
      assert.equal(summary.delete, 0);
      assert.deepEqual(readdirSync(full), ['fill']);
    } finally {
      execFileSync('umount', [full]);
    }
    assert.deepEqual(await keys(person), rkeys);
    assert.deepEqual(undoFiles().map((file) => [file, readFileSync(file)]), kept);
    const { code, summary, shown } = await repair('--duplicates', '--yes', ...users(person));
    assert.deepEqual([code, summary.delete], [0, 2], shown);
  });

  // What the machine says then is not what a wrong user or a wrong setting is told by.
  describe('a data folder that goes away meanwhile: 1, and nothing is deleted', () => {
    for (const [what, yes, method, message] of [
      ['before the undo file', ['--yes'], 'com.atproto.repo.listRecords', /undo file cannot be written, so nothing more is deleted: No such file/],
      ['before the next repo', [], 'com.atproto.sync.getRepo', /a repo cannot be read: .*No such file/],
    ]) {
      it(what, async () => {
        const [one, two] = [await writer(), await writer()];
        const there = [(await mood(one, 2, 0)).rkeys, (await mood(two, 2, 0)).rkeys];
        let letGo;
        const fault = scene.proxy.http({ hold: new Promise((resolve) => (letGo = resolve)) }, { method, times: 1 });
        const running = repair('--duplicates', ...yes, ...users(one, two));
        const away = path.join(folder, 'away');
        try {
          await until(() => fault.held, { what: method });
          renameSync(refkey.dataDirectory, away);
        } finally {
          letGo();
        }
        const { code, stderr, shown } = await running.finally(() => renameSync(away, refkey.dataDirectory));
        assert.equal(code, 1, shown);
        assert.match(stderr, message);
        assert.deepEqual([await keys(one), await keys(two)], there);
        const again = await repair('--duplicates', '--yes', ...users(one, two));
        assert.equal(again.code, 0, again.shown);
        assert.deepEqual([await keys(one), await keys(two)], there.map((rkeys) => [rkeys[0]]));
      });
    }
  });

  describe('with a side that fails', () => {
    for (const [what, wrong] of failingDeletes) {
      it(`a PDS that ${what}`, async () => {
        const person = await writer();
        const { rkeys } = await mood(person, 4, 3);
        const fault = scene.proxy.http(wrong, { method: 'com.atproto.repo.applyWrites', times: wrong.hold || wrong.hang ? 1 : 2 });
        const { code, summary, shown } = await repair('--duplicates', '--yes', '--batch-size', '2', ...users(person));
        assert.ok(fault.fired > 0);
        assert.deepEqual([code, summary.delete, summary.failed], [0, 3, 0], shown);
        assert.deepEqual(await keys(person), [rkeys[3]]);
        assert.deepEqual([...new Set(entries(summary.undo).map((e) => e.rkey))].sort(), rkeys.slice(0, 3));
      });
    }

    it('an account that is deleted in the middle: told, and the others go on', async () => {
      const [gone, other] = [await writer(), await writer()];
      await mood(gone, 3, 0);
      const { rkeys } = await mood(other, 2, 0);
      let letGo;
      const fault = scene.proxy.http({ hold: new Promise((resolve) => (letGo = resolve)) }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const running = repair('--duplicates', '--yes', '--batch-size', '1', ...users(gone, other));
      try {
        await until(() => fault.held, { what: 'a first batch' });
        await scene.pds.deleteAccount(gone.did);
      } finally {
        letGo();
      }
      const { code, steps, shown } = await running;
      // The second of them, unless it was deleted before.
      const second = steps[1].outcome;
      assert.equal(code, second === 'failed' ? 1 : 0, shown);
      assert.deepEqual(steps.map((s) => [s.did, s.outcome]), [[gone.did, 'done'], [gone.did, second], [other.did, 'done']], shown);
      assert.deepEqual(await keys(other), [rkeys[0]]);
      await scene.mongo.moods.deleteMany({ user: gone.user });
    });

    // The limit of reading a repo, and that of writing.
    for (const method of ['com.atproto.sync.getRepo', 'com.atproto.repo.applyWrites']) {
      it(`a limit of ${method} that lasts longer than --max-wait leaves the rest to another run`, async () => {
        const person = await writer();
        const { rkeys } = await mood(person, 2, 1);
        const fault = scene.proxy.http({ status: 429, headers: { 'retry-after': '3600', 'ratelimit-reset': String(Math.round(Date.now() / 1000) + 3600), 'ratelimit-remaining': '0' } }, { method });
        const { code, shown } = await repair('--duplicates', '--yes', '--max-wait', '2', ...users(person));
        fault.end();
        assert.equal(code, 1, shown);
        assert.deepEqual(await keys(person), rkeys);
        assert.equal((await repair('--duplicates', '--yes', ...users(person))).code, 0);
        assert.deepEqual(await keys(person), [rkeys[1]]);
      });
    }

    it('a PDS that fails for good: 3, and it goes on when that is back', async () => {
      const person = await writer();
      const { rkeys } = await mood(person, 2, 1);
      const fault = scene.proxy.http({ status: 503 }, { method: 'com.atproto.repo.listRecords' });
      const { code, stderr, shown } = await repair('--duplicates', '--yes', ...users(person));
      fault.end();
      assert.equal(code, 3, shown);
      assert.match(stderr, /the PDS: /);
      assert.deepEqual(await keys(person), rkeys);
      assert.equal((await repair('--duplicates', '--yes', ...users(person))).code, 0);
      assert.deepEqual(await keys(person), [rkeys[1]]);
    });
  });

  it('beside a running serve, which sees the end of it; one at a time', async () => {
    const person = await writer();
    const all = await everything(person);
    await refkey.start();
    await refkey.ready();
    try {
      await settled(refkey);
      const { promise, resolve } = Promise.withResolvers();
      const fault = scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const running = repair('--all', '--yes', ...users(person));
      await until(() => fault.held, { what: 'the first one writing' });
      const second = await repair('--all', '--yes', ...users(person));
      assert.equal(second.code, 2, second.shown);
      assert.match(second.stderr, /another/);
      resolve();
      const { code, summary, shown } = await running;
      assert.equal(code, 0, shown);
      assert.equal(summary.failed, 0, shown);
      assert.equal(path.dirname(summary.undo), undoFolder());
      await settled(refkey);
      const known = async () => JSON.parse((await refkey.run(['audit', '--json', '--index', '--user', person.did])).stdout).users[0];
      await until(async () => (await known()).found === 1, { what: 'the index knowing' });
      // Deleting records that no document names marks no document.
      for (const { _id } of [all.fine, all.named, all.unnamed, all.unlinked, all.stale]) {
        const document = await find(_id);
        assert.ok(!document.deleted && document.atproto.rkey, JSON.stringify(document));
      }
      const { code: after_, stdout } = await refkey.run(['audit', ...users(person)]);
      assert.equal(after_, 1, stdout);
      assert.match(stdout, /Issues:\n {2}- 1 mood not synced[^\n]*\n {2}- 1 ATProto record without a document[^\n]*\n\n$/);
    } finally {
      await refkey.stop();
    }
    await assertChecks(refkey);
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('vanished: documents whose records went in a copy that was not believed, when asked', async () => {
    const person = await writer();
    const many = await moods(person, 25);
    const kept = await mood(person, 1, 0);
    await vanish(person, many);
    await scene.pds.restart({ repoBackfillLimitMs: 86_400_000 });
    // One is there again, and one is written anew under another key.
    await record(person, many[0]._id, many[0].rkeys[0]);
    const anew = await record(person, many[1]._id);

    const others = await repair('--duplicates', '--orphans', '--unlinked', ...users(person));
    assert.deepEqual(others.steps.map((s) => [s.action, s.rkey]), [['link', anew.rkey]], others.shown);
    const { code, summary, shown } = await repair('--vanished', '--yes', ...users(person));
    assert.deepEqual([code, summary.mark, summary.delete, summary.link], [0, 23, 0, 0], shown);
    for (const { _id } of many.slice(2)) assert.deepEqual([(await find(_id)).deleted, (await find(_id)).atproto?.rkey], [true, undefined]);
    assert.deepEqual((await find(many[0]._id)).deleted, undefined);
    assert.deepEqual((await find(many[1]._id)).deleted, undefined);
    assert.equal((await find(kept._id)).atproto.rkey, kept.rkeys[0]);
    assert.equal((await issues(refkey)).vanished ?? 0, 2);
    assert.deepEqual((await repair('--vanished', '--yes', ...users(person))).steps, []);
    await assertChecks(refkey);
  });

  it('MongoDB lost in between: 3, and it goes on when that is back', async () => {
    const person = await writer();
    const { _id, rkeys } = await mood(person, 2);
    let letGo;
    const fault = scene.proxy.http({ hold: new Promise((resolve) => (letGo = resolve)) }, { method: 'com.atproto.sync.getRepo', times: 1 });
    const running = repair('--all', '--yes', ...users(person));
    await until(() => fault.held, { what: 'the repo being read' });
    await scene.mongo.kill();
    letGo();
    const { code, stderr, shown } = await running;
    await scene.mongo.start();
    assert.equal(code, 3, shown);
    assert.match(stderr, /MongoDB/);
    assert.deepEqual(await keys(person), rkeys);
    assert.equal((await repair('--all', '--yes', ...users(person))).code, 0);
    assert.deepEqual([await keys(person), (await find(_id)).atproto.rkey], [[rkeys[0]], rkeys[0]]);
  });
});
