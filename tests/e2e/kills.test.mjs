// kill -9 at random moments while people write: after the last start the index equals the PDS, MongoDB
// equals the contract's table, and no document is there twice. The moments come from a seed, which is
// printed; REFKEY_TEST_SEED runs it again.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as moment } from 'node:timers/promises';
import { MOOD, PAINTING, moodDocument, moodRecord, objectId, paintingDocument, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, explain, seen, settled, soon, startScene, untilIndexEqualsPds } from './scene.mjs';

const KILLS = 50;
const CHECK_EVERY = 10;

// A small generator with a seed (xorshift32).
function dice(seed) {
  let state = seed >>> 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return { below: (n) => Math.floor(next() * n), one: (list) => list[Math.floor(next() * list.length)] };
}

// What one person does, and what must come of it.
class Writer {
  constructor(scene, person, roll) {
    Object.assign(this, { scene, person, roll, live: [], gone: [] });
  }

  async step() {
    const choice = this.roll.below(10);
    if (choice < 5 || this.live.length < 3) await this.#create();
    else if (choice < 8) await this.#update();
    else await this.#remove();
  }

  // A mood or a painting; every second one has its document first, as the site writes it.
  async #create() {
    const { mongo, pds } = this.scene;
    const ref = objectId();
    const hex = String(ref).slice(-9);
    const documentFirst = this.roll.below(2) === 0;
    const one = { ref, documentFirst, collection: this.roll.below(3) ? MOOD : PAINTING };
    if (one.collection === MOOD) {
      one.record = moodRecord({ mood: `mood ${hex}`, ref });
      one.document = moodDocument({ _id: ref, user: this.person.user, mood: one.record.mood, when: new Date(one.record.when) });
    } else {
      one.record = paintingRecord({ code: hex, slug: `slug.${hex}`, ref });
      one.document = paintingDocument({ _id: ref, user: this.person.user, code: hex, slug: `slug.${hex}`, when: new Date(one.record.when) });
    }
    if (documentFirst) await this.scene.documents(one.collection).insertOne(one.document);
    const { uri, cid, rkey } = await pds.createRecord(this.person, one.collection, one.record);
    assert.ok(mongo);
    this.live.push(Object.assign(one, { uri, cid, rkey }));
  }

  // The words of a mood, the time of a painting.
  async #update() {
    const one = this.roll.one(this.live);
    if (one.collection === MOOD) one.record = { ...one.record, mood: `${one.record.mood} +` };
    else one.record = { ...one.record, when: new Date(Date.parse(one.record.when) + 1000).toISOString() };
    await this.scene.pds.putRecord(this.person, one.collection, one.rkey, one.record);
    one.updated = true;
  }

  async #remove() {
    const [one] = this.live.splice(this.roll.below(this.live.length), 1);
    await this.scene.pds.deleteRecord(this.person, one.collection, one.rkey);
    this.gone.push(one);
  }

  async assertDocuments() {
    for (const one of this.live) {
      const { _id, ...document } = await this.scene.documents(one.collection).findOne({ _id: one.ref });
      const { _id: ref, ...fields } = one.document;
      assert.equal(String(_id), String(ref));
      const own = one.collection === MOOD ? { mood: one.record.mood } : { code: one.record.code, slug: one.record.slug };
      assert.deepEqual(document, { ...fields, ...own, when: new Date(one.record.when), atproto: { rkey: one.rkey } }, one.uri);
    }
    for (const one of this.gone) {
      const document = await this.scene.documents(one.collection).findOne({ _id: one.ref });
      // Created and deleted again before MongoDB was asked: nothing to insert.
      if (!document && !one.documentFirst) continue;
      assert.ok(document, `the document of ${one.uri} was removed`);
      assert.equal(document[one.collection === MOOD ? 'deleted' : 'nuked'], true, `${one.uri} is gone, its document is not`);
      assert.equal(document.atproto?.rkey, undefined, `${one.uri} is gone, its document still names it`);
    }
  }
}

describe('killed at random moments', () => {
  const seed = Number(process.env.REFKEY_TEST_SEED ?? (Date.now() & 0xffffff));
  let scene;
  let refkey;
  let people;

  before(async () => {
    scene = await startScene();
    people = await scene.people(4);
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  it(`${KILLS} kills lose nothing and double nothing (REFKEY_TEST_SEED=${seed})`, { timeout: 600_000 }, async () => {
    const roll = dice(seed);
    const writers = people.map((person) => new Writer(scene, person, roll));
    // From the first event on there is a cursor, and every later one is seen. What happens in a downtime
    // before that is only found by the sweep, which cannot tell a record that was updated from a new one.
    await writers[0].step();
    await seen(refkey, writers[0].live[0]);
    let writing = true;
    let steps = 0;
    const busy = writers.map(async (writer) => {
      for (; writing; steps++) await writer.step();
    });
    try {
      let started;
      for (let kill = 0; kill < KILLS; kill++) {
        await until(() => steps > kill, { what: 'another step', ...soon });
        await moment(20 + roll.below(400)); // not a wait for anything: the random moment
        await refkey.kill();
        const failure = await started;
        if (failure) assert.match(failure.message, /SIGKILL/);
        if (kill % CHECK_EVERY === 0) await assertChecks(refkey);
        started = refkey.start().then(
          () => undefined,
          (e) => e,
        );
        // Every third is hit wherever it is by then, also before it listens.
        if (kill % 3) await started;
      }
      assert.equal(await started, undefined);
    } finally {
      writing = false;
      await Promise.all(busy);
    }
    await refkey.ready();
    await untilIndexEqualsPds(refkey, scene.pds, people.map((p) => p.did));
    await settled(refkey, { every: 100 });
    for (const writer of writers) await writer.assertDocuments();
    const refs = writers.flatMap((w) => [...w.live, ...w.gone]);
    for (const collection of [MOOD, PAINTING]) {
      const known = new Set(refs.filter((one) => one.collection === collection).map((one) => String(one.ref)));
      for (const { _id } of await scene.documents(collection).find({}, { projection: { _id: 1 } }).toArray()) {
        assert.ok(known.has(String(_id)), `${_id} is a document that nobody wrote`);
      }
    }
    await assertChecks(refkey);
  });
});
