// Codes of paintings: a record that says the code of somebody else's document is a conflict, and never the
// answer to the code, whatever else it is. Where its own document would be written is in recovery.test.mjs.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { GUEST, PAINTING, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { Rows, kinds } from './rows.mjs';
import { assertChecks, explain, issues, judged, linked, seen, settled, soon, startScene } from './scene.mjs';

describe('codes', () => {
  let scene;
  let refkey;
  let rows;
  let owner;
  let other;

  before(async () => {
    scene = await startScene();
    [owner, other] = await scene.people(2);
    refkey = await scene.refkey({ REFKEY_SWEEP_SECONDS: '86400' });
    rows = new Rows(scene, refkey);
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  const painting = (p, more) => kinds[PAINTING].thing(p, more);
  const byCode = async (code, more) => (await refkey.xrpc('getPainting', { code, ...more })).body;
  const conflicts = async () => (await issues(refkey)).conflict ?? 0;
  const publish = (p, thing) => rows.publish(p, PAINTING, thing);
  const untilAnswer = (code, uri) =>
    until(async () => assert.equal((await byCode(code)).uri, uri) ?? true, { what: `the code ${code} answers ${uri}`, ...soon });
  const untilNone = (code) =>
    until(async () => assert.equal((await byCode(code)).error, 'RecordNotFound') ?? true, { what: `nothing answers ${code}`, ...soon });
  // The audit of one person: kinds of finding by rkey.
  async function audited(p, ...args) {
    const { stdout, stderr } = await refkey.run(['audit', '--json', '--user', p.did, ...args]);
    assert.notEqual(stdout, '', stderr);
    return Object.fromEntries(JSON.parse(stdout).users.flatMap((u) => u.findings).map(({ rkey, kind }) => [rkey, kind]));
  }

  it('of a record that is linked: the link stays, a conflict', async () => {
    const earlier = await conflicts();
    const had = painting(owner);
    const thing = painting(other);
    await rows.insert(PAINTING, had);
    const document = await rows.insert(PAINTING, thing);
    const record = await linked(refkey, await publish(other, { ...thing, code: had.code }));
    assert.deepEqual(await rows.find(PAINTING, thing._id), { ...document, atproto: { rkey: record.rkey } });
    assert.equal((await rows.byRef(thing)).uri, record.uri);
    assert.equal((await byCode(had.code)).error, 'RecordNotFound');
    assert.equal((await byCode(had.code, { repo: other.did })).error, 'RecordNotFound');
    assert.equal(await conflicts(), earlier + 1);
    await settled(refkey);
    assert.equal((await audited(other))[record.rkey], 'conflicts');
    assert.equal((await audited(other, '--index'))[record.rkey], 'conflicts');
    // Nor once it is updated; with its own code it is one no longer.
    const again = await rows.republish(other, PAINTING, { ...thing, code: had.code, slug: `${thing.slug}:x` }, record.rkey);
    await linked(refkey, again);
    await settled(refkey);
    assert.equal((await byCode(had.code)).error, 'RecordNotFound');
    assert.deepEqual(await rows.find(PAINTING, thing._id), { ...document, atproto: { rkey: record.rkey } });
    const own = await rows.republish(other, PAINTING, thing, record.rkey);
    await linked(refkey, own);
    await settled(refkey);
    assert.equal((await byCode(thing.code)).uri, own.uri);
    assert.equal(await conflicts(), earlier);
    assert.equal((await audited(other))[record.rkey], undefined);
  });

  it('of a record whose repo is no user’s: a conflict', async () => {
    const earlier = await conflicts();
    const stranger = await scene.stranger();
    const had = painting(owner);
    await rows.insert(PAINTING, had);
    const record = await publish(stranger, painting({}, { code: had.code }));
    assert.equal((await judged(refkey, record)).linked, false);
    assert.equal((await byCode(had.code)).error, 'RecordNotFound');
    assert.equal(await conflicts(), earlier + 1);
  });

  it('of a guest’s document: a conflict, too', async () => {
    const had = painting({});
    const thing = painting(other, { code: had.code });
    await rows.insert(PAINTING, { ...had, user: undefined });
    assert.equal((await judged(refkey, await publish(other, thing))).linked, false);
    assert.equal((await byCode(had.code)).error, 'RecordNotFound');
    assert.equal(await rows.find(PAINTING, thing._id), null);
  });

  describe('at the sweep', () => {
    before(async () => {
      await refkey.restart({ REFKEY_SWEEP_SECONDS: '1' });
      await refkey.ready();
    });

    it('a document that takes the code of a record: a conflict from then on, until it is free', async () => {
      const stranger = await scene.stranger();
      const had = painting(owner);
      const records = {
        valid: await publish(stranger, painting({}, { code: had.code })),
        invalid: await scene.pds.createRecord(stranger, PAINTING, { ...paintingRecord({ ...had, ref: painting({})._id }), slug: 5 }),
      };
      await judged(refkey, records.valid);
      await seen(refkey, records.invalid);
      const earlier = await conflicts();
      assert.equal((await byCode(had.code)).uri, records.valid.uri);
      await rows.insert(PAINTING, had);
      await untilNone(had.code);
      await until(async () => assert.equal(await conflicts(), earlier + 2) ?? true, { what: 'two conflicts', ...soon });
      const own = await linked(refkey, await publish(owner, had));
      assert.equal((await byCode(had.code)).uri, own.uri);
      await scene.pds.deleteRecord(owner, PAINTING, own.rkey);
      await rows.untilDocument(PAINTING, had._id, (d) => d.nuked, 'marked');
      await untilNone(had.code);
      await scene.mongo.paintings.deleteOne({ _id: had._id });
      await untilAnswer(had.code, records.valid.uri);
      await until(async () => assert.equal(await conflicts(), earlier) ?? true, { what: 'no conflict', ...soon });
      await scene.pds.deleteRecord(stranger, PAINTING, records.valid.rkey);
      await untilAnswer(had.code, records.invalid.uri);
    });

    it('the code of a linked record is free: found by it again, and nothing is written', async () => {
      const had = painting(owner);
      const thing = painting(other);
      await rows.insert(PAINTING, had);
      await rows.insert(PAINTING, thing);
      const record = await linked(refkey, await publish(other, { ...thing, code: had.code }));
      const document = await rows.find(PAINTING, thing._id);
      assert.equal((await byCode(had.code)).error, 'RecordNotFound');
      await scene.mongo.paintings.deleteOne({ _id: had._id });
      await untilAnswer(had.code, record.uri);
      await settled(refkey);
      assert.deepEqual(await rows.find(PAINTING, thing._id), document);
    });

    it('… but what an update brought, then', async () => {
      const had = painting(owner);
      const thing = painting(other);
      await rows.insert(PAINTING, had);
      await rows.insert(PAINTING, thing);
      const first = await linked(refkey, await publish(other, thing));
      const taking = await rows.republish(other, PAINTING, { ...thing, code: had.code }, first.rkey);
      await linked(refkey, taking);
      await settled(refkey);
      assert.equal((await rows.find(PAINTING, thing._id)).code, thing.code);
      await scene.mongo.paintings.deleteOne({ _id: had._id });
      await rows.untilDocument(PAINTING, thing._id, (d) => d.code === had.code, 'the new code');
      await untilAnswer(had.code, taking.uri);
    });

    it('the document with the code is the owner’s own by now: no conflict', async () => {
      const had = painting(owner);
      const thing = painting(other);
      await rows.insert(PAINTING, had);
      await rows.insert(PAINTING, thing);
      const record = await linked(refkey, await publish(other, { ...thing, code: had.code }));
      assert.equal((await byCode(had.code)).error, 'RecordNotFound');
      await scene.mongo.paintings.updateOne({ _id: had._id }, { $set: { user: other.user } });
      await untilAnswer(had.code, record.uri);
    });

    it('and the index agrees with itself', async () => {
      await settled(refkey);
      await assertChecks(refkey);
    });
  });
});
