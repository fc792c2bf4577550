// The dual write, by REFKEY_PUBLISH in serve (by `publish --watch`: publish-watch-command.test.mjs): what
// MongoDB gets is on the PDS, what is deleted there goes; nothing twice, and nothing that a user deleted comes back.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { GUEST, MOOD, moodDocument, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, explain, linked, metrics, settled, soon, startScene, status, tid } from './scene.mjs';
import { Site, smallBatches } from './site.mjs';

const publishing = async (refkey) => (await status(refkey)).mongo.publish;
const untilPublishing = (refkey, figures) =>
  until(
    async () => {
      assert.deepEqual(await publishing(refkey), figures);
      return true;
    },
    { what: `publish is ${JSON.stringify(figures)}`, ...soon },
  );

describe('REFKEY_PUBLISH=exclusive', () => {
  let scene;
  let site;
  let refkey;

  before(async () => {
    scene = await startScene({ proxy: true });
    site = new Site(scene);
    refkey = await scene.refkey({ REFKEY_PUBLISH: 'exclusive', ...smallBatches(scene) });
  });
  afterEach((t) => explain(t, refkey));
  after(async () => {
    scene?.proxy.honest();
    await scene?.close();
  });

  it('a new document is on the PDS, and each once', async () => {
    const people = await Promise.all([scene.writer(), scene.writer(), scene.writer()]);
    const young = await site.post(people[0], { _id: objectId(0) });
    const all = await Promise.all(people.map((p) => site.posts(p, 7)));
    const record = await site.published(people[0], young);
    assert.deepEqual(record.value, { $type: MOOD, ...moodRecord({ ...young, ref: young._id }) });
    for (const [i, p] of people.entries()) for (const d of all[i]) await linked(refkey, await site.published(p, d));
    await settled(refkey);
    for (const [i, p] of people.entries()) assert.equal((await site.records(p)).length, all[i].length + (i ? 0 : 1));
    await untilPublishing(refkey, { waiting: 0, failing: 0 });
  });

  it('the account may come after the document', async () => {
    const name = scene.name();
    const user = await scene.mongo.user({ _id: `auth0|${name}`, handle: name });
    const d = await site.post({ user });
    const stranger = await scene.stranger(name);
    await scene.mongo.users.updateOne({ _id: user }, { $set: { atproto: { did: stranger.did, password: stranger.password } } });
    await site.published(stranger, d);
  });

  it("guests' documents go to the guest's repo", async () => {
    const guest = await scene.writer({ user: GUEST });
    await site.published(guest, await site.post({}));
  });

  it('a deleted document takes its record, and no other', async () => {
    const person = await scene.writer();
    const [gone, stays] = await site.posts(person, 2);
    await site.published(person, gone);
    const kept = await site.published(person, stays);
    // A second record of the same document, and one of the user's own.
    await scene.pds.createRecord(person, MOOD, moodRecord({ mood: 'again', ref: gone._id }));
    await scene.pds.createRecord(person, MOOD, moodRecord({ mood: 'my own' }));
    await site.set(gone, { $set: { deleted: true } });
    const now = await site.withdrawn(person, gone);
    assert.equal(now.deleted, true);
    assert.deepEqual((await site.records(person)).map((r) => r.value.mood).sort(), [stays.mood, 'my own'].sort());
    assert.equal((await site.find(stays)).atproto.rkey, kept.uri.split('/').pop());
  });

  it('a deleted document that names the record of another gives up the key alone', async () => {
    const person = await scene.writer();
    const d = await site.post(person);
    const { uri } = await site.published(person, d);
    const other = await site.post(person, { deleted: true, rkey: uri.split('/').pop() });
    const nothing = await site.post(person, { deleted: true, rkey: tid() });
    await site.withdrawn(person, other);
    await site.withdrawn(person, nothing);
    await site.published(person, d);
  });

  it('a deleted document whose key can be none of a record is left alone', async () => {
    const person = await scene.writer();
    await site.post(person, { rkey: 'a\0b', deleted: true });
    await site.post(person, { rkey: 'a b', deleted: true });
    await site.published(person, await site.post(person));
    await untilPublishing(refkey, { waiting: 0, failing: 0 });
  });

  it('a document that comes back to life is published again', async () => {
    const person = await scene.writer();
    const d = await site.post(person);
    const first = await site.published(person, d);
    for (let i = 0; i < 2; i++) {
      await site.set(d, { $set: { deleted: true } });
      await site.withdrawn(person, d);
      await site.set(d, i ? { $set: { deleted: false } } : { $unset: { deleted: 1 } });
      const again = await site.published(person, d);
      assert.deepEqual([again.uri, again.value], [first.uri, first.value]);
      await linked(refkey, again);
    }
    await settled(refkey);
    assert.ok(!(await site.find(d)).deleted);
  });

  it('what a user deletes on the PDS stays deleted', async () => {
    const person = await scene.writer();
    const d = await site.post(person);
    const record = await site.published(person, d);
    await linked(refkey, record);
    await scene.pds.deleteRecord(person, MOOD, record.uri.split('/').pop());
    await until(async () => (await site.find(d)).deleted, { what: 'the document is marked', ...soon });
    // Another document, published after that, says that a look was between.
    await site.published(person, await site.post(person));
    await settled(refkey);
    const now = await site.withdrawn(person, d);
    assert.equal(now.deleted, true);
  });

  it('a record of a document that has no key yet is linked, not written again', async () => {
    const [person, other] = [await scene.writer(), await scene.writer()];
    for (let i = 0; i < 5; i++) {
      const d = moodDocument({ user: person.user, mood: `both ${i}` });
      const record = moodRecord({ ...d, ref: d._id });
      const writes = [() => scene.mongo.moods.insertOne(d), () => scene.pds.createRecord(person, MOOD, record)];
      if (i % 2) writes.reverse();
      // Refkey is busy with somebody else and hears nothing of the PDS, until both are there.
      const { promise, resolve } = Promise.withResolvers();
      const busy = scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      await site.post(other);
      await until(() => busy.held === 1, { what: 'it is busy', ...soon });
      scene.proxy.stall();
      await writes[0]();
      await writes[1]();
      scene.proxy.stall(false);
      resolve();
      await site.published(person, d);
    }
    await settled(refkey);
  });

  it('what the index has pending work for is left to recovery', async () => {
    const [person, other] = [await scene.writer(), await scene.writer()];
    // Its document may still come, so recovery looks again in some minutes; another one's record, linked, shows that it has looked.
    const d = moodDocument({ _id: objectId(-200), user: person.user });
    const record = await scene.pds.createRecord(person, MOOD, moodRecord({ ...d, ref: d._id }));
    const known = await site.post(other, { rkey: tid() });
    await linked(refkey, await scene.pds.createRecord(other, MOOD, moodRecord({ ...known, ref: known._id }), known.atproto.rkey));
    await site.post(person, d);
    // The second of two that come one after the other is found when all is done that was due with the first.
    for (let i = 0; i < 2; i++) await site.published(other, await site.post(other));
    assert.equal((await site.find(d)).atproto, undefined);
    await scene.mongo.moods.deleteOne({ _id: d._id });
    await scene.pds.deleteRecord(person, MOOD, record.rkey);
    await settled(refkey);
  });

  it('one who fails holds up nobody, shows, and is tried again', async () => {
    const [wrong, good] = [await scene.writer({ password: 'hunter2-hunter2' }), await scene.writer()];
    const all = await site.posts(wrong, 2);
    const long = await site.post(good, { mood: 'x'.repeat(5001) });
    await untilPublishing(refkey, { waiting: 3, failing: 3 });
    await site.published(good, await site.post(good));
    const late = await site.post(wrong);
    await untilPublishing(refkey, { waiting: 4, failing: 4 });
    await scene.storePassword(wrong, wrong.appPassword);
    for (const d of [...all, late]) await site.published(wrong, d);
    await site.set(long, { $set: { mood: 'short' } });
    await site.published(good, { ...long, mood: 'short' });
    await untilPublishing(refkey, { waiting: 0, failing: 0 });
    const { stdout } = await refkey.run(['status']);
    assert.match(stdout, /^publish +0 documents wait, 0 of them failed/m);
    assert.ok(!refkey.child.lines.some((line) => line.includes('hunter2')));
    const failures = (await metrics(refkey)).refkey_publish_failures_total;
    assert.ok(failures >= 3, `${failures} failures`);
  });

  it('an app password that is taken back: the next one is used', async () => {
    const person = await scene.writer();
    await site.published(person, await site.post(person));
    await person.agent.com.atproto.server.revokeAppPassword({ name: 'site' });
    const d = await site.post(person);
    const { data } = await person.agent.com.atproto.server.createAppPassword({ name: 'new' });
    await scene.storePassword(person, data.password);
    await site.published(person, d);
  });

  it('one user after another costs one login each', async () => {
    const people = [await scene.writer(), await scene.writer()];
    const before = scene.proxy.count('com.atproto.server.createSession');
    for (let i = 0; i < 3; i++) for (const p of people) await site.published(p, await site.post(p));
    assert.equal(scene.proxy.count('com.atproto.server.createSession') - before, 2);
  });

  for (const [what, wrong] of Object.entries({
    'answers 500': { status: 500 },
    'answers 429': { status: 429, headers: { 'retry-after': '1' } },
    'resets': { reset: true },
    'does it, and its answer is cut off': { truncate: 0 },
    'is slow': { delay: 2000 },
  })) {
    it(`a PDS that ${what}: nothing twice, nothing missing`, async () => {
      // One whose repo may be known by the index, and one who is listed first.
      const [person, fresh] = [await scene.writer(), await scene.writer()];
      const old = await site.post(person);
      await site.published(person, old);
      const faults = ['applyWrites', 'listRecords'].map((name) =>
        scene.proxy.http(wrong, { method: `com.atproto.repo.${name}`, times: 2 }),
      );
      const all = await site.posts(person, 5);
      const first = await site.post(fresh);
      await site.set(old, { $set: { deleted: true } });
      for (const d of all) await site.published(person, d);
      await site.published(fresh, first);
      await site.withdrawn(person, old);
      for (const fault of faults) assert.ok(fault.fired > 0, `${fault.method} did not go wrong`);
      assert.equal((await site.records(person)).length, 5);
    });
  }

  it('one repo over which the PDS always fails holds up nobody', async () => {
    const [broken, good] = [await scene.writer(), await scene.writer()];
    const fault = scene.proxy.http(
      { status: 500 },
      { method: 'com.atproto.repo.listRecords', query: (q) => q.get('repo') === broken.did },
    );
    const d = await site.post(broken);
    await until(() => fault.fired > 0, { what: 'it fails', ...soon });
    await site.published(good, await site.post(good));
    fault.end();
    await site.published(broken, d);
  });

  it('the PDS away, and back', async () => {
    const person = await scene.writer();
    const old = await site.post(person);
    await site.published(person, old);
    await scene.proxy.down();
    const all = await site.posts(person, 3);
    await site.set(old, { $set: { deleted: true } });
    await until(async () => (await refkey.get('/xrpc/_health')).status === 503, { what: 'refkey sees it', ...soon });
    await scene.proxy.up();
    for (const d of all) await site.published(person, d);
    await site.withdrawn(person, old);
  });

  it('MongoDB away, and back', async () => {
    const person = await scene.writer();
    const old = await site.post(person);
    const first = await site.published(person, old);
    const fault = scene.proxy.http({ delay: 1500 }, { method: 'com.atproto.repo.applyWrites', times: 1 });
    const d = await site.post(person);
    await until(() => fault.fired === 1, { what: 'it writes', ...soon });
    await scene.mongo.kill();
    await until(async () => (await site.records(person)).length === 2, { what: 'written', ...soon });
    await scene.mongo.start();
    await site.published(person, d);
    await site.published(person, old);
    assert.equal((await site.records(person)).filter((r) => r.uri === first.uri).length, 1);
    await site.published(person, await site.post(person));
  });

  it('killed between the yes of the PDS and the document: the same record', async () => {
    const person = await scene.writer();
    for (let i = 0; i < 2; i++) {
      const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const d = await site.post(person);
      await until(() => fault.held === 1, { what: 'the PDS has said yes', ...soon });
      await refkey.kill();
      const [record] = (await site.records(person)).filter((r) => r.value.ref === String(d._id));
      assert.ok(record);
      // The second time, the user deletes it before refkey is back.
      if (i) await scene.pds.deleteRecord(person, MOOD, record.uri.split('/').pop());
      await refkey.start();
      await refkey.ready();
      if (i) {
        await site.published(person, await site.post(person));
        await settled(refkey);
        assert.equal((await site.withdrawn(person, d)).deleted, true);
      } else {
        assert.equal((await site.published(person, d)).uri, record.uri);
      }
    }
  });

  it('deleted while it is being published, and killed before its document has the key: the record goes', async () => {
    const person = await scene.writer();
    for (const killed of [false, true]) {
      const { promise, resolve } = Promise.withResolvers();
      const fault = scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const d = await site.post(person);
      await until(() => fault.held === 1, { what: 'the PDS has said yes', ...soon });
      if (killed) await refkey.kill();
      await site.set(d, { $set: { deleted: true } });
      resolve();
      if (killed) await refkey.start();
      await site.withdrawn(person, d);
    }
    await site.published(person, await site.post(person));
    // One that somebody else made is left to `refkey repair`.
    const ref = objectId();
    await scene.mongo.moods.insertOne(moodDocument({ _id: ref, user: person.user, deleted: true }));
    await scene.pds.createRecord(person, MOOD, moodRecord({ mood: 'not ours', ref }));
    await settled(refkey);
    await site.published(person, await site.post(person));
    assert.ok((await site.records(person)).some((r) => r.value.ref === String(ref)));
    await scene.mongo.moods.deleteOne({ _id: ref });
  });

  it('killed between a deletion and the document: the key goes', async () => {
    const person = await scene.writer();
    const [d, stays] = await site.posts(person, 2);
    for (const one of [d, stays]) await linked(refkey, await site.published(person, one));
    await settled(refkey);
    const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', times: 1 });
    // The stream would tell of the deletion, too.
    scene.proxy.stall();
    await site.set(d, { $set: { deleted: true } });
    await until(() => fault.held === 1, { what: 'the PDS has said yes', ...soon });
    await refkey.kill();
    scene.proxy.stall(false);
    assert.ok((await site.find(d)).atproto.rkey);
    await refkey.start();
    await site.withdrawn(person, d);
    await site.published(person, stays);
  });

  it('killed at any moment, again and again', async () => {
    const people = await Promise.all([scene.writer(), scene.writer(), scene.writer()]);
    const live = [];
    const gone = [];
    for (let round = 0; round < 6; round++) {
      for (const p of people) live.push(...(await site.posts(p, 3)).map((d) => [p, d]));
      const taken = live.splice(0, round ? 3 : 0);
      for (const [, d] of taken) await site.set(d, { $set: { deleted: true } });
      gone.push(...taken);
      const seen = scene.proxy.requests.length;
      await until(async () => scene.proxy.requests.length > seen + round * 3 || (await site.done(people)), soon);
      await refkey.kill();
      await refkey.start();
    }
    for (const [p, d] of live) await site.published(p, d);
    for (const [p, d] of gone) await site.withdrawn(p, d);
    for (const p of people) assert.equal((await site.records(p)).length, live.filter(([q]) => q === p).length);
    await refkey.ready();
    await settled(refkey);
    await assertChecks(refkey);
  });

  it('`publish` beside it waits for its turn; a second watch is refused', async () => {
    const person = await scene.writer();
    const fault = scene.proxy.http({ delay: 1500 }, { method: 'com.atproto.repo.listRecords', times: 1 });
    const all = await site.posts(person, 20);
    await until(() => fault.fired === 1, { what: 'a turn is under way', ...soon });
    const [once, watch] = await Promise.all([
      refkey.run(['publish', 'moods', '--json', '--user', person.did]),
      refkey.run(['publish', 'moods', '--watch']),
    ]);
    assert.equal(once.code, 0, once.stdout + once.stderr);
    assert.equal(watch.code, 2, watch.stdout + watch.stderr);
    assert.match(watch.stderr, /REFKEY_PUBLISH/);
    for (const d of all) await site.published(person, d);
    assert.equal((await site.records(person)).length, 20);
  });

  it('what a forgotten user posts is not published', async () => {
    const [person, other] = [await scene.writer(), await scene.writer()];
    await site.published(person, await site.post(person));
    const { code, stdout, stderr } = await refkey.run(['forget', `@${person.name}`, '--yes']);
    assert.equal(code, 0, stdout + stderr);
    const d = await site.post(person);
    await site.published(other, await site.post(other));
    assert.deepEqual(await site.records(person), []);
    await untilPublishing(refkey, { waiting: 0, failing: 0 });
    await scene.mongo.moods.deleteOne({ _id: d._id });
  });

  it('counts what it does', async () => {
    const before = await metrics(refkey);
    const person = await scene.writer();
    const d = await site.post(person);
    await site.published(person, d);
    // Its key may be there by way of the stream, before it is counted.
    const created = async () => (await metrics(refkey)).refkey_publish_created_total;
    await until(async () => (await created()) > before.refkey_publish_created_total, { what: 'it is counted', ...soon });
    await site.set(d, { $set: { deleted: true } });
    await site.withdrawn(person, d);
    const now = await until(
      async () => {
        const m = await metrics(refkey);
        const left = m.refkey_publish_waiting + m.refkey_publish_failing;
        return m.refkey_publish_deleted_total > before.refkey_publish_deleted_total && left === 0 && m;
      },
      { what: 'the deletion is counted, and nothing waits', ...soon },
    );
    assert.equal(now.refkey_publish_created_total - before.refkey_publish_created_total, 1);
    assert.equal(now.refkey_publish_deleted_total - before.refkey_publish_deleted_total, 1);
  });

  it('ends cleanly in the middle, and goes on', async () => {
    const person = await scene.writer();
    const fault = scene.proxy.http({ delay: 1000 }, { method: 'com.atproto.repo.applyWrites', times: 1 });
    const all = await site.posts(person, 5);
    await until(() => fault.fired === 1, { what: 'it writes', ...soon });
    await refkey.stop();
    await refkey.start();
    for (const d of all) await site.published(person, d);
    assert.equal((await site.records(person)).length, 5);
  });
});

describe('REFKEY_PUBLISH=on', () => {
  let scene;
  let site;
  let refkey;

  before(async () => {
    scene = await startScene({ proxy: true });
    site = new Site(scene);
    refkey = await scene.refkey({ REFKEY_PUBLISH: 'on' });
  });
  afterEach((t) => explain(t, refkey));
  after(() => scene?.close());

  it('leaves what is young to the site', async () => {
    const person = await scene.writer();
    // Young for some minutes, whatever the clocks do: a ref may be five minutes ahead.
    const young = await site.post(person, { _id: objectId(-200) });
    const gone = await site.post(person, { _id: objectId(-200), deleted: true, rkey: tid() });
    const odd = await site.post(person, { _id: objectId(-3600) });
    await site.published(person, await site.post(person, { _id: objectId(61) }));
    await site.published(person, odd);
    assert.equal((await site.records(person)).length, 2);
    assert.ok((await site.find(gone)).atproto.rkey);
    await untilPublishing(refkey, { waiting: 2, failing: 0 });
    await scene.mongo.moods.deleteMany({ _id: { $in: [young._id, gone._id] } });
  });
});
