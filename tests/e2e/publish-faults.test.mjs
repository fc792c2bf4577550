// `refkey publish moods` when something goes wrong on the way: the PDS, its limits, MongoDB, a kill, a second one.
// Nothing twice, nothing missing.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { MOOD, moodDocument } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { publishing, users } from './publishing.mjs';
import { soon, startScene } from './scene.mjs';

describe('publish moods, whatever happens on the way', () => {
  let scene;
  let refkey;
  let writer, moods, records, publish, assertPublished;

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey();
    await refkey.stop();
    ({ writer, moods, records, publish, assertPublished } = publishing(scene, refkey));
  });
  after(() => scene?.close());

  describe('with a PDS that fails', () => {
    for (const [what, wrong] of Object.entries({
      'answers 500': { status: 500 },
      'answers 429': { status: 429, headers: { 'retry-after': '1' } },
      'resets': { reset: true },
      'writes, and its answer is cut off': { truncate: 0 },
      'is slow': { delay: 2000 },
      'never answers': { hang: true },
      'writes and never answers': { hold: true },
    })) {
      it(`that ${what}: nothing twice, nothing missing`, async () => {
        const person = await writer();
        const all = await moods(person, 30);
        const faults = ['com.atproto.repo.applyWrites', 'com.atproto.repo.listRecords'].map((method) =>
          scene.proxy.http(wrong, { method, times: wrong.hang || wrong.hold ? 1 : 2 }),
        );
        if (wrong.hang || wrong.hold) faults.pop().end();
        const { code, summary, shown } = await publish(...users(person), '--batch-size', '10');
        for (const fault of faults) assert.ok(fault.fired > 0, `${fault.method} did not go wrong`);
        assert.deepEqual([code, summary.created + summary.linked, summary.failed], [0, 30, 0], shown);
        assert.equal((await assertPublished(person, all)).length, 30);
      });
    }

    it('that deletes an account in the middle: told, and the others go on', async () => {
      const [gone, other] = [await writer(), await writer()];
      const theirs = await moods(gone, 3).then(() => moods(other, 2));
      let letGo;
      const fault = scene.proxy.http({ hold: new Promise((go) => (letGo = go)) }, { method: 'com.atproto.repo.applyWrites', times: 2 });
      const running = publish(...users(gone, other), '--batch-size', '1');
      await until(() => fault.held === 2, { what: 'both writing' });
      await scene.pds.deleteAccount(gone.did).finally(letGo);
      const { code, summary, shown } = await running; // what was not written before fails
      assert.deepEqual([code, summary.created + summary.linked + summary.failed], [summary.failed ? 1 : 0, 5], shown);
      await assertPublished(other, theirs);
    });

    it('for good: ends with 3, and goes on when it is back', async () => {
      const person = await writer();
      const all = await moods(person, 3);
      const fault = scene.proxy.http({ status: 503 }, { method: 'com.atproto.repo.applyWrites' });
      const { code, stderr, shown } = await publish(...users(person));
      fault.end();
      assert.equal(code, 3, shown);
      assert.match(stderr, /503/);
      const next = await publish(...users(person));
      assert.deepEqual([next.code, next.summary.created], [0, 3], next.shown);
      await assertPublished(person, all);
    });

    it('a limit that lasts longer than --max-wait: partial, the others go on', async () => {
      const [slow, quick] = [await writer(), await writer()];
      const all = [...(await moods(slow, 2)), ...(await moods(quick, 2))];
      const fault = scene.proxy.http(
        { status: 429, headers: { 'retry-after': '3600' } },
        { method: 'com.atproto.repo.applyWrites', times: 1 },
      );
      const { code, summary, shown } = await publish(...users(slow, quick), '--max-wait', '2');
      assert.equal(fault.fired, 1);
      assert.deepEqual([code, summary.created, summary.putOff, summary.failed], [1, 2, 2, 0], shown);
      const next = await publish(...users(slow, quick));
      assert.deepEqual([next.code, next.summary.created], [0, 2], next.shown);
      await assertPublished(slow, all.slice(0, 2));
      await assertPublished(quick, all.slice(2));
    });
  });

  it('a document that is deleted while a limit keeps the one before back is not published', async () => {
    const person = await writer();
    const [a, b] = await moods(person, 2); // by time, as they are published
    // Longer than a document that was read ahead counts as it was read.
    const limit = { status: 429, headers: { 'retry-after': '11' } };
    const fault = scene.proxy.http(limit, { method: 'com.atproto.repo.applyWrites', times: 1 });
    // … and what comes behind it is not done before the document is deleted.
    const { promise, resolve } = Promise.withResolvers();
    scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.applyWrites', times: 1 });
    const running = publish(...users(person), '--batch-size', '1');
    await until(() => fault.fired === 1, { what: 'the PDS is asked', ...soon });
    await scene.mongo.moods.updateOne({ _id: b._id }, { $set: { deleted: true } });
    resolve();
    const { code, summary, shown } = await running;
    assert.deepEqual([code, summary.created, summary.skipped, summary.failed], [0, 1, 1, 0], shown);
    await assertPublished(person, [a]);
  });

  it('killed between the yes of the PDS and the document: the same records, none twice', async () => {
    const person = await writer();
    const all = await moods(person, 25);
    let before = [];
    for (let round = 0; round < 3; round++) {
      const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const child = spawn(binary, ['publish', 'moods', ...users(person), '--batch-size', '5'], {
        env: refkey.env,
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      await until(() => fault.held === 1, { what: 'the PDS has said yes', ...soon });
      child.kill('SIGKILL');
      await ended;
      const now = (await records(person)).map((r) => r.uri).sort();
      assert.equal(now.length, 5 * (round + 1));
      for (const uri of before) assert.ok(now.includes(uri));
      before = now;
    }
    const { code, summary, shown } = await publish(...users(person));
    assert.equal(code, 0, shown);
    assert.equal(summary.created, 10, shown);
    const theirs = await assertPublished(person, all);
    assert.equal(theirs.length, 25);
    for (const uri of before) assert.ok(theirs.some((r) => r.uri === uri));
  });

  it('killed at any moment, again and again', async () => {
    const people = await Promise.all([writer(), writer(), writer(), writer()]);
    const all = await Promise.all(people.map((p) => moods(p, 15)));
    for (let round = 0; round < 6; round++) {
      const child = spawn(binary, ['publish', 'moods', ...users(...people), '--batch-size', '5'], {
        env: refkey.env,
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      const seen = scene.proxy.requests.length;
      await until(() => child.exitCode !== null || scene.proxy.requests.length > seen + 4 + round * 2, soon);
      child.kill('SIGKILL');
      await ended;
    }
    const { code, shown } = await publish(...users(...people));
    assert.equal(code, 0, shown);
    for (const [i, p] of people.entries()) assert.equal((await assertPublished(p, all[i])).length, 15);
  });

  it('MongoDB lost between two batches, and back: goes on', async () => {
    const person = await writer();
    const all = await moods(person, 6);
    const running = publish(...users(person), '--batch-size', '1', '--delay', '300');
    const writes = scene.proxy.count('com.atproto.repo.applyWrites');
    await until(() => scene.proxy.count('com.atproto.repo.applyWrites') > writes + 1, { what: 'two batches', ...soon });
    await scene.mongo.kill();
    await scene.mongo.start();
    let { code, shown } = await running;
    // A reading that fell into the gap ends the run; a write waits.
    if (code !== 0) {
      assert.equal(code, 3, shown);
      ({ code, shown } = await publish(...users(person)));
    }
    assert.equal(code, 0, shown);
    assert.equal((await assertPublished(person, all)).length, 6);
  });

  it('two at once that do not know of each other: each record once', async () => {
    const other = await scene.refkey();
    await other.stop();
    const person = await writer();
    const all = await moods(person, 40);
    const release = Promise.withResolvers();
    const fault = scene.proxy.http({ hold: release.promise }, { method: 'com.atproto.repo.applyWrites', times: 2 });
    const runs = [refkey, other].map((r) => r.run(['publish', 'moods', '--json', ...users(person)]));
    await until(() => fault.held === 2, { what: 'both are about to write', ...soon });
    release.resolve();
    for (const { code, stdout, stderr } of await Promise.all(runs)) {
      assert.equal(code, 0, stdout + stderr);
      const { summary } = JSON.parse(stdout);
      assert.equal(summary.created + summary.linked, 40, stdout + stderr);
    }
    assert.equal((await assertPublished(person, all)).length, 40);
  });
});

describe('publish moods on a PDS with limits', () => {
  const key = 'the-bypass-key';
  let scene;

  before(async () => {
    scene = await startScene({ proxy: true, pds: { rateLimitsEnabled: true, rateLimitBypassKey: key } });
  });
  after(() => scene?.close());

  it('keeps to them before they bite; REFKEY_PDS_BYPASS_KEY lifts them', async () => {
    const person = await scene.person();
    await scene.storePassword(person, person.password);
    const refkey = await scene.refkey();
    await refkey.stop();
    // 1,600 of the 1,666 records that an account may write in an hour.
    for (let i = 0; i < 8; i++) {
      const writes = Array.from({ length: 200 }, () => ({ action: 'create', collection: 'com.example.note', value: {} }));
      await scene.pds.applyWrites(person, writes);
    }
    const all = Array.from({ length: 100 }, (_, i) => moodDocument({ user: person.user, mood: `mood ${i}` }));
    await scene.mongo.moods.insertMany(all);
    const limited = async () => {
      const { code, stdout, stderr } = await refkey.run(['publish', 'moods', '--json', '--batch-size', '50', '--max-wait', '1']);
      assert.notEqual(stdout, '', stderr);
      return { code, ...JSON.parse(stdout).summary };
    };
    const first = await limited();
    assert.deepEqual([first.code, first.created, first.putOff, first.failed], [1, 66, 34, 0]);
    assert.deepEqual(scene.proxy.requests.filter((r) => r.status === 429), []);
    // What the first answer of the next run says comes with a refusal.
    const second = await limited();
    assert.deepEqual([second.code, second.created, second.putOff, second.failed], [1, 0, 34, 0]);
    refkey.settings.REFKEY_PDS_BYPASS_KEY = key;
    const lifted = await limited();
    assert.deepEqual([lifted.code, lifted.created, lifted.putOff], [0, 34, 0]);
    const refs = (await scene.pds.listRecordsAll(person.did, MOOD)).map((r) => r.value.ref);
    assert.deepEqual(refs.sort(), all.map((d) => String(d._id)).sort());
  });
});
