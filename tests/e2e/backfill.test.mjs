// What a first start does to MongoDB with records that were there before: by REFKEY_RECOVER, and never
// bringing back what was erased.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  GUEST,
  MOOD,
  PAINTING,
  moodDocument,
  moodRecord,
  objectId,
  paintingDocument,
  paintingRecord,
} from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import {
  assertChecks,
  assertIndexEqualsPds,
  explain,
  issues,
  judged,
  linked,
  seen,
  settled,
  soon,
  startScene,
  status,
  tid,
} from './scene.mjs';

describe('a first start', () => {
  let scene;
  let refkey;
  let ada;
  let bea;
  let guest;
  let cases; // name → { collection, thing, record }
  let documents; // before
  const everything = async () => ({
    moods: await scene.mongo.moods.find().sort({ _id: 1 }).toArray(),
    paintings: await scene.mongo.paintings.find().sort({ _id: 1 }).toArray(),
  });

  before(async () => {
    scene = await startScene();
    [ada, bea] = await scene.people(2);
    guest = await scene.person('wanderers', GUEST);
    const nobody = await scene.stranger();
    let serial = 0;
    const mood = (p) => ({ _id: objectId(), user: p.user, mood: `mood ${++serial}`, when: new Date() });
    const painting = (p) => ({
      _id: objectId(),
      user: p === guest ? undefined : p.user,
      code: `b${++serial}`,
      slug: `b.${serial}`,
      when: new Date(),
    });
    const publish = async (p, collection, thing) => ({
      collection,
      thing,
      person: p,
      record: await scene.pds.createRecord(
        p,
        collection,
        (collection === MOOD ? moodRecord : paintingRecord)({ ...thing, ref: thing._id }),
      ),
    });
    const absent = mood(ada);
    const absentPainting = painting(guest);
    const unlinked = mood(ada);
    const had = mood(bea);
    const gone = mood(bea);
    const stolen = mood(bea);
    const twice = painting(bea);
    await scene.mongo.moods.insertMany([
      moodDocument(unlinked),
      moodDocument({ ...gone, deleted: true }),
      moodDocument(stolen),
    ]);
    cases = {
      absent: await publish(ada, MOOD, absent),
      absentPainting: await publish(guest, PAINTING, absentPainting),
      bare: await publish(ada, MOOD, { ...mood(ada), _id: undefined }),
      unlinked: await publish(ada, MOOD, unlinked),
      linked: await publish(bea, MOOD, had),
      orphan: await publish(bea, MOOD, gone),
      conflict: await publish(ada, MOOD, stolen),
      first: await publish(bea, PAINTING, twice),
      duplicate: await publish(bea, PAINTING, twice),
      unclaimed: await publish(nobody, MOOD, { ...mood(ada), user: 'nobody' }),
    };
    await scene.mongo.moods.insertOne(moodDocument({ ...had, rkey: cases.linked.record.rkey }));
    await scene.mongo.paintings.insertOne(paintingDocument({ ...twice, rkey: cases.first.record.rkey }));
    documents = await everything();
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  // Starts one with an index of its own, and waits until it has done what it does.
  async function startAnew(settings) {
    await refkey?.close();
    refkey = await scene.refkey(settings);
    for (const { record } of Object.values(cases)) await judged(refkey, record);
    await settled(refkey);
  }
  const with_ = (changes) => {
    const of = (list) => list.map((d) => ({ ...d, ...changes[String(d._id)] }));
    return { moods: of(documents.moods), paintings: of(documents.paintings) };
  };
  const rkeySet = () => ({ [cases.unlinked.thing._id]: { atproto: { rkey: cases.unlinked.record.rkey } } });

  it('REFKEY_RECOVER=off: documents get their keys, none is inserted', async () => {
    await startAnew({ REFKEY_RECOVER: 'off' });
    assert.deepEqual(await everything(), with_(rkeySet()));
    const told = await issues(refkey);
    assert.deepEqual(told, { absent: 3, orphan: 1, conflict: 1, duplicate: 1, unclaimed: 1 });
    // Neither for what appears later.
    const ref = objectId();
    const record = await scene.pds.createRecord(ada, MOOD, moodRecord({ ref }));
    assert.equal((await judged(refkey, record)).linked, false);
    await settled(refkey);
    assert.deepEqual(await everything(), with_(rkeySet()));
    await scene.pds.deleteRecord(ada, MOOD, record.rkey);
  });

  it('REFKEY_RECOVER=new, over users whose documents were erased: issue absent, nothing inserted', async () => {
    await startAnew({ REFKEY_RECOVER: 'new' });
    assert.deepEqual(await everything(), with_(rkeySet()));
    assert.deepEqual(await issues(refkey), { absent: 3, orphan: 1, conflict: 1, duplicate: 1, unclaimed: 1 });
    for (const name of ['absent', 'absentPainting', 'bare'])
      assert.equal((await seen(refkey, cases[name].record)).linked, false, name);
    // They are answered all the same.
    const { body } = await refkey.xrpc('getByRef', { ref: String(cases.absent.thing._id) });
    assert.equal(body.uri, cases.absent.record.uri);
  });

  it('… not at a restart or the sweeps that follow, and not after a gap, either', async () => {
    await refkey.restart({ REFKEY_SWEEP_SECONDS: '1' });
    const sweeps = async () => Number((await refkey.get('/metrics')).body.match(/^refkey_sweeps_total (\d+)$/m)[1]);
    await refkey.ready();
    await until(async () => (await sweeps()) >= 3, { what: 'three sweeps', ...soon });
    await settled(refkey);
    assert.deepEqual(await everything(), with_(rkeySet()));
    assert.equal((await issues(refkey)).absent, 3);
    // No event came since the start.
    assert.ok(Number.isInteger((await status(refkey)).lagSeconds));
    await assertIndexEqualsPds(refkey, scene.pds, [ada.did, bea.did, guest.did]);
  });

  it('… and what appears from then on is inserted', async () => {
    const [live, away] = [objectId(), objectId()];
    const one = await scene.pds.createRecord(ada, MOOD, moodRecord({ ref: live }));
    await linked(refkey, one);
    await refkey.kill();
    const two = await scene.pds.createRecord(ada, MOOD, moodRecord({ ref: away }));
    await refkey.start();
    await linked(refkey, two);
    assert.equal(await scene.mongo.moods.countDocuments({ _id: { $in: [live, away] } }), 2);
    for (const { rkey } of [one, two]) await scene.pds.deleteRecord(ada, MOOD, rkey);
    await until(
      async () => (await scene.mongo.moods.countDocuments({ _id: { $in: [live, away] }, deleted: true })) === 2,
      { what: 'marked', ...soon },
    );
    await scene.mongo.moods.deleteMany({ _id: { $in: [live, away] } });
  });

  it('REFKEY_RECOVER=all: what is absent is inserted, too', async () => {
    await startAnew({ REFKEY_RECOVER: 'all' });
    const { absent, absentPainting, bare } = cases;
    for (const { record } of [absent, absentPainting, bare]) await linked(refkey, record);
    const { moods, paintings } = with_(rkeySet());
    const derived = await scene.mongo.moods.findOne({ 'atproto.rkey': bare.record.rkey });
    const now = await everything();
    const byId = (a, b) => (String(a._id) < String(b._id) ? -1 : 1);
    assert.deepEqual(
      now.moods,
      [
        ...moods,
        moodDocument({ ...absent.thing, rkey: absent.record.rkey }),
        moodDocument({ ...bare.thing, _id: derived._id, rkey: bare.record.rkey }),
      ].sort(byId),
    );
    assert.deepEqual(
      now.paintings,
      [...paintings, paintingDocument({ ...absentPainting.thing, rkey: absentPainting.record.rkey })].sort(byId),
    );
    assert.deepEqual(await issues(refkey), { orphan: 1, conflict: 1, duplicate: 1, unclaimed: 1 });
    await assertChecks(refkey);
  });

  it('… once: a second index finds all of it linked and changes nothing', async () => {
    const earlier = await everything();
    await startAnew({ REFKEY_RECOVER: 'all' });
    assert.deepEqual(await everything(), earlier);
  });

  it('… the same _id for a record without ref, on every run', async () => {
    const { record } = cases.bare;
    const first = await scene.mongo.moods.findOne({ 'atproto.rkey': record.rkey });
    await scene.mongo.moods.deleteOne({ _id: first._id });
    await startAnew({ REFKEY_RECOVER: 'all' });
    await linked(refkey, record);
    assert.deepEqual(await scene.mongo.moods.findOne({ 'atproto.rkey': record.rkey }), first);
  });

  it('without MongoDB: index and queries only, said once', async () => {
    await refkey.close();
    refkey = await scene.refkey({ REFKEY_MONGO_URI: undefined });
    const record = await seen(refkey, cases.absent.record);
    assert.ok(!('linked' in record));
    assert.equal((await status(refkey)).mongo.connected, false);
    const said = refkey.log().filter((l) => /REFKEY_MONGO_URI/.test(l.message));
    assert.equal(said.length, 1);
    await assertIndexEqualsPds(refkey, scene.pds, [ada.did, bea.did, guest.did]);
  });

  it('of records with keys of every kind and length', async () => {
    const keys = ['self', '~a.b-c_d:e', 'a'.repeat(480), 'b'.repeat(512), tid()];
    const records = [];
    for (const rkey of keys)
      records.push(await scene.pds.createRecord(bea, MOOD, moodRecord({ ref: objectId() }), rkey));
    for (const record of records) await seen(refkey, record);
    await refkey.close();
    refkey = await scene.refkey({ REFKEY_MONGO_URI: undefined });
    await assertIndexEqualsPds(refkey, scene.pds, [bea.did]);
    for (const { rkey } of records) await scene.pds.deleteRecord(bea, MOOD, rkey);
    for (const { uri } of records)
      await refkey.until('resolve', { uris: uri }, ({ body }) => body.missing?.length === 1, soon);
    await assertIndexEqualsPds(refkey, scene.pds, [bea.did]);
    await assertChecks(refkey);
  });
});
