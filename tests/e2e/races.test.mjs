// A site that writes document, record and the record's key itself races with the firehose: whatever
// comes first, in the end there is one record and one document, and they name each other.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  MOOD,
  PAINTING,
  moodDocument,
  moodRecord,
  objectId,
  paintingDocument,
  paintingRecord,
} from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, explain, issues, linked, settled, soon, startScene, tid } from './scene.mjs';
import { seeded } from './random.mjs';

const steps = ['document', 'record', 'key'];
const orders = steps.flatMap((a) =>
  steps.filter((b) => b !== a).map((b) => [a, b, steps.find((c) => c !== a && c !== b)]),
);

describe('a site that writes document, record and key itself', () => {
  let scene;
  let refkey;
  let marker;
  let people;
  let serial = 0;
  before(async () => {
    scene = await startScene();
    [marker, ...people] = await scene.people(10); // whom refkey knows from the start
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  // One thing on its way to both sides; age: of its ref, in seconds.
  function thing(person, collection, age) {
    const n = ++serial;
    const base = { _id: objectId(age), user: person.user, when: new Date() };
    const it_ = collection === MOOD ? { ...base, mood: `mood ${n}` } : { ...base, code: `r${n}`, slug: `r.${n}` };
    const rkey = tid();
    const documents = scene.documents(collection);
    // The record's `when` is taken a little later than the document's.
    const record = (collection === MOOD ? moodRecord : paintingRecord)({
      ...it_,
      ref: it_._id,
      when: new Date(+it_.when + 3),
    });
    const document = (collection === MOOD ? moodDocument : paintingDocument)(it_);
    return {
      person,
      collection,
      rkey,
      document,
      record: async () => (it_.wrote = await scene.pds.createRecord(person, collection, record, rkey)),
      write: () => documents.insertOne(document),
      key: () => documents.updateOne({ _id: it_._id }, { $set: { 'atproto.rkey': rkey } }),
      get wrote() {
        return it_.wrote;
      },
    };
  }
  // Refkey may be first with a document, once its ref is old enough; the site is told so by MongoDB.
  async function act(t, step) {
    if (step !== 'document') return t[step]();
    try {
      return await t.write();
    } catch (e) {
      if (e.code !== 11000) throw e;
      assert.ok(Date.now() - t.document._id.getTimestamp() >= 60_000, 'inserted too early');
      return undefined;
    }
  }

  // Until refkey has looked at everything that happened before: work that came later is done.
  async function looked() {
    const t = thing(marker, MOOD, 3600);
    await t.write();
    await t.record();
    await linked(refkey, t.wrote);
  }

  async function assertOne(t) {
    await linked(refkey, t.wrote);
    const { _id } = t.document;
    const found = await scene
      .documents(t.collection)
      .find({ $or: [{ _id }, { 'atproto.rkey': t.rkey }] })
      .toArray();
    // Inserted by refkey, it has the record's `when`.
    const when = found[0] && +found[0].when === +t.document.when + 3 ? found[0].when : t.document.when;
    assert.deepEqual(found, [{ ...t.document, when, atproto: { rkey: t.rkey } }]);
    const { body } = await refkey.xrpc('getByRef', { ref: String(_id) });
    assert.deepEqual([body.uri, body.linked, body.duplicates], [t.wrote.uri, true, undefined]);
  }

  describe('with pauses', { concurrency: 6 }, () => {
    for (const [i, order] of orders.entries()) {
      const collection = i % 2 ? PAINTING : MOOD;
      it(`${order.join(', ')} (${collection.split('.').at(-1)})`, async () => {
        const person = people.pop();
        const t = thing(person, collection, 48);
        for (const step of order) {
          await act(t, step);
          await looked();
        }
        await assertOne(t);
        assert.equal(await scene.documents(collection).countDocuments({ user: person.user }), 1);
        assert.equal((await scene.pds.listRecordsAll(person.did, collection)).length, 1);
      });
    }
  });

  it('at once, in every order, many', async () => {
    const person = people.pop();
    const all = orders.flatMap((order) => Array.from({ length: 4 }, () => ({ order, t: thing(person, MOOD, 55) })));
    await Promise.all(
      all.map(async ({ order, t }) => {
        for (const step of order) await act(t, step);
      }),
    );
    for (const { t } of all) await assertOne(t);
    assert.equal(await scene.mongo.moods.countDocuments({ user: person.user }), all.length);
  });

  it('late, when refkey inserts what it found absent', async (t) => {
    const random = seeded(t);
    const person = people.pop();
    const all = orders.flatMap((order) => Array.from({ length: 6 }, () => ({ order, t: thing(person, MOOD, 58) })));
    await Promise.all(
      all.map(async ({ order, t: one }) => {
        for (const step of order) {
          await sleep(random() * 2500); // around the moment at which refkey looks again
          await act(one, step);
        }
      }),
    );
    for (const { t: one } of all) await assertOne(one);
    assert.equal(await scene.mongo.moods.countDocuments({ user: person.user }), all.length);
  });

  it('leaves nothing to be done, and no issue', async () => {
    await settled(refkey);
    assert.deepEqual(await issues(refkey), {});
    await assertChecks(refkey);
  });

  it('deleted by the site on both sides, in any order', async () => {
    const person = people.pop();
    const all = [
      ['record', 'document'],
      ['document', 'record'],
    ].flatMap((order) => [1, 2, 3].map(() => ({ order, t: thing(person, MOOD, 3600) })));
    for (const { t } of all) for (const step of steps) await act(t, step);
    for (const { t } of all) await assertOne(t);
    await Promise.all(
      all.map(async ({ order, t }) => {
        for (const step of order) {
          if (step === 'record') await scene.pds.deleteRecord(person, MOOD, t.rkey);
          else await scene.mongo.moods.updateOne({ _id: t.document._id }, { $set: { deleted: true } });
        }
      }),
    );
    for (const { t } of all) {
      await refkey.until(
        'getByRef',
        { ref: String(t.document._id) },
        ({ body }) => body.error === 'RecordNotFound',
        soon,
      );
    }
    await settled(refkey);
    await until(
      async () => (await scene.mongo.moods.countDocuments({ user: person.user, deleted: true })) === all.length,
      { what: 'all marked', ...soon },
    );
    assert.equal(await scene.mongo.moods.countDocuments({ user: person.user }), all.length);
  });
});
