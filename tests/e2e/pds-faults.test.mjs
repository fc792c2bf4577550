// The PDS goes away, comes back, forgets what it sent or is put back to an older copy: refkey resumes,
// nothing is missing, nothing that was deleted meanwhile is still served, and no document pays for it.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { MOOD, PAINTING, moodDocument, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, explain, issues, linked, metrics, seen, settled, soon, startScene, status, tid, unseen, untilIndexEqualsPds } from './scene.mjs';

const DAY = 24 * 3600 * 1000;

describe('a PDS that', () => {
  let scene;
  let refkey;
  let ada;
  let bea;

  before(async () => {
    scene = await startScene();
    [ada, bea] = await scene.people(2);
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  afterEach(async (t) => {
    explain(t, refkey);
    await assertChecks(refkey);
  });

  const dids = () => [ada.did, bea.did];
  const create = (person, text, ref = objectId()) =>
    scene.pds.createRecord(person, MOOD, moodRecord({ mood: text, ref })).then((r) => ({ ...r, ref }));
  const mood = ({ ref }) => scene.mongo.moods.findOne({ _id: ref });
  const healthy = (yes) =>
    until(async () => (await refkey.get('/xrpc/_health')).status === (yes ? 200 : 503), { ...soon, what: yes ? 'healthy' : 'not healthy' });
  // Linked, and nothing left to do.
  async function settledMoods(person, count) {
    const made = [];
    for (let i = 0; i < count; i++) made.push(await create(person, `mood ${i}`));
    for (const one of made) await linked(refkey, one);
    return made;
  }

  it('is gone for a while: hits are answered, health says why, and it resumes by itself', async () => {
    const [kept, deleted] = await settledMoods(ada, 2);
    await scene.pds.kill();
    await healthy(false);
    const health = await refkey.get('/xrpc/_health');
    assert.equal(health.body.error, 'NotReady');
    assert.match(health.body.message, /firehose/);
    assert.equal((await seen(refkey, kept)).linked, true);
    await scene.pds.start();
    await scene.pds.deleteRecord(ada, MOOD, deleted.rkey);
    const born = await create(ada, 'after the restart');
    await linked(refkey, born);
    await unseen(refkey, deleted);
    await healthy(true);
    await settled(refkey);
    assert.equal((await mood(deleted)).deleted, true);
  });

  it('restarts with its stream open: nothing is lost on the way', async () => {
    const before = await create(bea, 'before');
    await scene.pds.restart();
    const behind = await create(bea, 'behind');
    await linked(refkey, before);
    await linked(refkey, behind);
  });

  it('no longer has what was sent while refkey was down (#info OutdatedCursor): the sweep finds it', async () => {
    const [kept, deleted, updated] = await settledMoods(ada, 3);
    await refkey.stop();
    await scene.pds.deleteRecord(ada, MOOD, deleted.rkey);
    await scene.pds.putRecord(ada, MOOD, updated.rkey, moodRecord({ mood: 'other words', ref: updated.ref }));
    const created = await create(ada, 'created meanwhile');
    const newcomer = await scene.person();
    const first = await create(newcomer, 'of somebody new');
    // Nothing but the newest is left to be replayed.
    await scene.pds.restart({ repoBackfillLimitMs: 1 });
    const later = await create(bea, 'later');
    await refkey.start();
    await refkey.ready();
    await untilIndexEqualsPds(refkey, scene.pds, [...dids(), newcomer.did]);
    for (const one of [kept, created, later]) await linked(refkey, one);
    await unseen(refkey, deleted);
    await settled(refkey);
    assert.equal((await mood(deleted)).deleted, true, 'a record deleted meanwhile marks its document');
    assert.equal((await mood(updated)).mood, 'other words', 'a record updated meanwhile updates its document');
    assert.equal((await mood(created)).atproto.rkey, created.rkey, 'a known repo’s new record is recovered');
    // A repo that was never in is fetched for the first time: its refs may have been erased.
    await seen(refkey, first);
    assert.equal(await mood(first), null);
    assert.equal((await issues(refkey)).absent, 1);
    await scene.pds.restart({ repoBackfillLimitMs: DAY });
    await scene.mongo.moods.insertOne(moodDocument({ _id: first.ref, user: newcomer.user }));
  });

  it('loses more of a repo at once than is believed: removed from the index, the documents stay', async () => {
    const many = await scene.person();
    const made = [];
    await scene.pds.applyWrites(
      many,
      Array.from({ length: 40 }, (_, i) => {
        const ref = objectId();
        made.push({ ref, rkey: undefined });
        return { action: 'create', collection: MOOD, value: moodRecord({ mood: `many ${i}`, ref }) };
      }),
    );
    await until(async () => (await scene.mongo.moods.countDocuments({ user: many.user })) === 40, { ...soon, what: '40 documents' });
    await settled(refkey);
    await refkey.stop();
    const records = await scene.pds.listRecordsAll(many.did, MOOD);
    await scene.pds.applyWrites(
      many,
      records.slice(0, 30).map(({ uri }) => ({ action: 'delete', collection: MOOD, rkey: uri.split('/').pop() })),
    );
    await scene.pds.restart({ repoBackfillLimitMs: 1 });
    await create(bea, 'newest');
    await refkey.start();
    await refkey.ready();
    await untilIndexEqualsPds(refkey, scene.pds, [many.did]);
    await settled(refkey);
    assert.equal((await issues(refkey)).vanished, 30);
    assert.equal(await scene.mongo.moods.countDocuments({ user: many.user, deleted: true }), 0);
    assert.equal(await scene.mongo.moods.countDocuments({ user: many.user, 'atproto.rkey': { $exists: true } }), 40);
    await scene.pds.restart({ repoBackfillLimitMs: DAY });
  });

  it('asks for no repo when nothing differs', async () => {
    const { refkey_resyncs_total: before } = await metrics(refkey);
    const sweeps = (await metrics(refkey)).refkey_sweeps_total;
    await refkey.restart({ REFKEY_SWEEP_SECONDS: '1' });
    await refkey.ready();
    await until(async () => (await metrics(refkey)).refkey_sweeps_total >= 2, { ...soon, what: 'two sweeps' });
    assert.equal((await metrics(refkey)).refkey_resyncs_total, 0, `${before} resyncs and ${sweeps} sweeps before`);
    await refkey.restart({ REFKEY_SWEEP_SECONDS: undefined });
    await refkey.ready();
  });

  it('takes an account down and puts it back: hidden meanwhile, its documents untouched', async () => {
    const [one] = await settledMoods(bea, 1);
    await scene.pds.takedown(bea.did, true);
    await unseen(refkey, one);
    assert.equal((await refkey.xrpc('getByRef', { ref: String(one.ref) })).body.error, 'RecordNotFound');
    assert.deepEqual((await refkey.xrpc('listRecords', { collection: MOOD })).body.records.filter((r) => r.did === bea.did), []);
    assert.equal((await mood(one)).atproto.rkey, one.rkey);
    await scene.pds.takedown(bea.did, false);
    await seen(refkey, one);
    assert.equal((await mood(one)).deleted, undefined);
  });

  it('was put back to an older copy: nothing is marked deleted, issue vanished, and new commits go on', async () => {
    const [old] = await settledMoods(ada, 1);
    await settled(refkey);
    await scene.pds.stop();
    const copy = await scene.pds.copyData();
    await scene.pds.start();
    const [lost, other] = await settledMoods(ada, 2);
    await scene.pds.deleteRecord(ada, MOOD, old.rkey);
    await unseen(refkey, old);
    const newcomer = await scene.person();
    const [gone] = await settledMoods(newcomer, 1);
    await settled(refkey);
    const vanished = (await issues(refkey)).vanished ?? 0;
    const { cursor } = await status(refkey);

    await scene.pds.stop();
    await scene.pds.restoreData(copy);
    await scene.pds.start();
    await until(async () => ((await issues(refkey)).vanished ?? 0) >= vanished + 3, { ...soon, what: 'issues vanished' });
    for (const one of [lost, other, gone]) {
      assert.equal((await mood(one)).deleted, undefined, 'a document was marked deleted');
      assert.equal((await mood(one)).atproto.rkey, one.rkey);
      await unseen(refkey, one);
    }
    await untilIndexEqualsPds(refkey, scene.pds, dids());
    const born = await create(ada, 'life goes on');
    await linked(refkey, born);
    const now = await status(refkey);
    assert.ok(now.cursor < cursor, `the cursor follows the new numbering: ${now.cursor}, before ${cursor}`);
    await healthy(true);
    assert.ok(await scene.documents(PAINTING));
  });
});

describe('a PDS whose list of repos has no end', () => {
  let scene;
  let refkey;
  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  it('is compared with the index all the same, as far as it says anything new', async () => {
    const ada = await scene.stranger();
    const made = await scene.pds.createRecord(ada, MOOD, moodRecord({ ref: objectId() }));
    let cursor = 0;
    // Its rev is never the one held: each time the repo differs.
    const page = () => JSON.stringify({ cursor: `${cursor++}`, repos: [{ did: ada.did, rev: tid(), active: true }] });
    scene.proxy.http({ status: 200, headers: { 'content-type': 'application/json' }, body: page }, { method: 'com.atproto.sync.listRepos' });
    refkey = await scene.refkey({ REFKEY_SWEEP_SECONDS: '1' });
    await seen(refkey, made);
    await until(async () => (await metrics(refkey)).refkey_sweeps_total >= 2, { ...soon, what: 'another sweep' });
  });
});
