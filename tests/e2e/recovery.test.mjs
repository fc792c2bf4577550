// The recovery table, a case a row, on records that appear while refkey watches. What takes a restart,
// a sweep or a gap is in recovery-later.test.mjs, first backfills in backfill.test.mjs, the command in
// recover.test.mjs, sites that write both sides in races.test.mjs.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { GUEST, MOOD, PAINTING, moodRecord, objectId, oldMoodRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { Rows, both, inserted, kinds } from './rows.mjs';
import {
  explain,
  issues,
  judged,
  linked,
  metrics,
  parts,
  seen,
  settled,
  soon,
  startScene,
  tid,
  unseen,
} from './scene.mjs';

let scene;
let refkey;
let rows;
let shared; // people whose documents are looked at by _id only
let spare; // people with nothing yet
const expected = {}; // kind of issue → how many of them the cases leave behind

let turn = 0;
const someone = () => shared[turn++ % shared.length]; // each time somebody else
const person = () => spare.pop() ?? assert.fail('more people are needed');
const leaves = (kind, count = 1) => (expected[kind] = (expected[kind] ?? 0) + count);

describe('recovery', () => {
  before(async () => {
    scene = await startScene();
    shared = await scene.people(6);
    spare = await scene.people(7);
    refkey = await scene.refkey({ REFKEY_SWEEP_SECONDS: '86400' });
    rows = new Rows(scene, refkey);
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  // Each case has people of its own, so that they can go on side by side.
  describe('of a record that has a ref', { concurrency: 6 }, () => {
    both('whose document has no rkey: it is set', async (collection) => {
      const p = someone();
      const thing = kinds[collection].thing(p);
      const document = await rows.insert(collection, thing, { likes: 7 });
      const { rkey } = await linked(refkey, await rows.publish(p, collection, thing));
      assert.deepEqual(await rows.find(collection, thing._id), { ...document, atproto: { rkey } });
    });

    it('whose document has no rkey and a stale uri: the uri is removed', async () => {
      const p = someone();
      const thing = kinds[PAINTING].thing(p);
      const document = await rows.insert(PAINTING, thing, {
        atproto: { uri: `at://${p.did}/${PAINTING}/${tid(9e7)}` },
      });
      const { rkey } = await linked(refkey, await rows.publish(p, PAINTING, thing));
      assert.deepEqual(await rows.find(PAINTING, thing._id), { ...document, atproto: { rkey } });
    });

    both('whose document names it: nothing', async (collection) => {
      const p = someone();
      const thing = kinds[collection].thing(p);
      const rkey = tid();
      const document = await rows.insert(collection, { ...thing, rkey, when: new Date(+thing.when - 7) });
      await linked(refkey, await rows.publish(p, collection, thing, rkey));
      assert.deepEqual(await rows.find(collection, thing._id), document);
    });

    both('whose document names a record that is not there: it is set to the one that is', async (collection) => {
      const p = someone();
      const thing = kinds[collection].thing(p);
      const document = await rows.insert(collection, { ...thing, rkey: tid(86_400_000) });
      const { rkey } = await linked(refkey, await rows.publish(p, collection, thing));
      assert.deepEqual(await rows.find(collection, thing._id), { ...document, atproto: { rkey } });
    });

    both('whose document names another live record: a duplicate, nothing is written', async (collection) => {
      leaves('duplicate');
      const p = someone();
      const thing = kinds[collection].thing(p);
      await rows.insert(collection, thing);
      const first = await linked(refkey, await rows.publish(p, collection, thing));
      const document = await rows.find(collection, thing._id);
      const second = await rows.publish(p, collection, thing);
      assert.equal((await judged(refkey, second)).linked, false);
      assert.deepEqual(await rows.find(collection, thing._id), document);
      const answer = await rows.byRef(thing);
      assert.deepEqual([answer.uri, answer.duplicates], [first.uri, [{ uri: second.uri }]]);
    });

    both(
      "whose document is somebody else's: a conflict, nothing is written, and it is never the answer",
      async (collection) => {
        leaves('conflict');
        const [owner, thief] = [someone(), someone()];
        const thing = kinds[collection].thing(owner);
        const document = await rows.insert(collection, thing);
        const stolen = await rows.publish(thief, collection, thing);
        assert.equal((await judged(refkey, stolen)).linked, false);
        assert.deepEqual(await rows.find(collection, thing._id), document);
        assert.equal((await rows.byRef(thing)).error, 'RecordNotFound');
        const own = await linked(refkey, await rows.publish(owner, collection, thing));
        assert.equal((await rows.byRef(thing)).uri, own.uri);
        assert.equal((await rows.byRef(thing)).duplicates, undefined);
        // Also when the thief touches it again.
        const again = await rows.republish(thief, collection, kinds[collection].change(thing), stolen.rkey);
        assert.equal((await judged(refkey, again)).linked, false);
        assert.equal((await rows.byRef(thing)).uri, own.uri);
        assert.deepEqual(await rows.find(collection, thing._id), { ...document, atproto: { rkey: own.rkey } });
        // And with the owner's gone it is not the answer either, the document is not the thief's.
        await rows.remove(owner, own);
        await rows.untilDocument(collection, thing._id, (d) => d[kinds[collection].gone] === true, 'marked');
        assert.equal((await rows.byRef(thing)).error, 'RecordNotFound');
        await settled(refkey);
        assert.deepEqual(await rows.find(collection, thing._id), {
          ...document,
          [kinds[collection].gone]: true,
          ...(await rows.leftOver(collection, thing)),
        });
      },
    );

    both(
      'whose document is marked as gone: an orphan, never brought back to life',
      async (collection, { gone, change }) => {
        leaves('orphan');
        const p = someone();
        const thing = kinds[collection].thing(p);
        const document = await rows.insert(collection, thing, { [gone]: true });
        const record = await rows.publish(p, collection, thing);
        assert.equal((await judged(refkey, record)).linked, false);
        const again = await rows.republish(p, collection, change(thing), record.rkey);
        assert.equal((await judged(refkey, again)).linked, false);
        await settled(refkey);
        assert.deepEqual(await rows.find(collection, thing._id), document);
      },
    );

    both('and no document: it is inserted', async (collection) => {
      const p = someone();
      const thing = kinds[collection].thing(p);
      const { rkey } = await linked(refkey, await rows.publish(p, collection, thing));
      assert.deepEqual(await rows.find(collection, thing._id), inserted(collection, thing, rkey));
    });

    both('and no document: not before the ref is 60 s old', async (collection) => {
      const p = someone();
      const thing = kinds[collection].thing(p, { _id: objectId(55) });
      const record = await seen(refkey, await rows.publish(p, collection, thing));
      await until(() => rows.find(collection, thing._id), { what: 'inserted', ...soon });
      const age = Date.now() - thing._id.getTimestamp();
      assert.ok(age >= 60_000, `inserted when the ref was ${age} ms old`);
      await linked(refkey, record);
      assert.deepEqual(await rows.find(collection, thing._id), inserted(collection, thing, record.rkey));
    });

    both('of a time far ahead: suspect, nothing', async (collection) => {
      leaves('suspect');
      const p = someone();
      const thing = kinds[collection].thing(p, { _id: objectId(-86_400) });
      assert.equal((await judged(refkey, await rows.publish(p, collection, thing))).linked, false);
      assert.equal(await rows.find(collection, thing._id), null);
    });

    it('in older spelling: text and mongoId', async () => {
      const p = someone();
      const [one, two] = [kinds[MOOD].thing(p), kinds[MOOD].thing(p)];
      const document = await rows.insert(MOOD, one);
      const older = (thing) => scene.pds.createRecord(p, MOOD, oldMoodRecord({ ...thing, ref: thing._id }));
      const first = await linked(refkey, await older(one));
      assert.deepEqual(await rows.find(MOOD, one._id), { ...document, atproto: { rkey: first.rkey } });
      const second = await linked(refkey, await older(two));
      assert.deepEqual(await rows.find(MOOD, two._id), inserted(MOOD, two, second.rkey));
      assert.equal((await rows.byRef(two)).uri, second.uri);
    });

    it('in capitals', async () => {
      const p = someone();
      const thing = kinds[MOOD].thing(p);
      const record = moodRecord({ ...thing, ref: String(thing._id).toUpperCase() });
      const { rkey } = await linked(refkey, await scene.pds.createRecord(p, MOOD, record));
      assert.deepEqual(await rows.find(MOOD, thing._id), inserted(MOOD, thing, rkey));
    });

    it('with a slug of image and recording', async () => {
      const p = someone();
      const thing = kinds[PAINTING].thing(p, { slug: `image${turn}:recording` });
      const { rkey } = await linked(refkey, await rows.publish(p, PAINTING, thing));
      assert.deepEqual(await rows.find(PAINTING, thing._id), inserted(PAINTING, thing, rkey));
    });

    it("in the guests' repo: a document without user", async () => {
      const guest = await scene.person('wanderers', GUEST);
      const thing = kinds[PAINTING].thing({});
      const known = kinds[PAINTING].thing({});
      const document = await rows.insert(PAINTING, known);
      const first = await linked(refkey, await rows.publish(guest, PAINTING, thing));
      assert.deepEqual(await rows.find(PAINTING, thing._id), {
        _id: thing._id,
        code: thing.code,
        slug: thing.slug,
        when: thing.when,
        bucket: 'art-aesthetic-computer',
        atproto: { rkey: first.rkey },
      });
      const second = await linked(refkey, await rows.publish(guest, PAINTING, known));
      assert.deepEqual(await rows.find(PAINTING, known._id), { ...document, atproto: { rkey: second.rkey } });
      // A guest's document is not a user's.
      leaves('conflict');
      const stolen = await rows.publish(someone(), PAINTING, known);
      assert.equal((await judged(refkey, stolen)).linked, false);
    });

    it('that two repos claim and no document has: inserted once, for the first', async () => {
      leaves('conflict');
      const [first, second] = [someone(), someone()];
      const thing = kinds[MOOD].thing(first);
      const one = await linked(refkey, await rows.publish(first, MOOD, thing));
      const other = await rows.publish(second, MOOD, thing);
      assert.equal((await judged(refkey, other)).linked, false);
      assert.equal((await rows.byRef(thing)).uri, one.uri);
      assert.deepEqual(await rows.find(MOOD, thing._id), inserted(MOOD, thing, one.rkey));
    });
  });

  describe('of a record without a ref of a document', { concurrency: 6 }, () => {
    for (const [how, ref] of [
      ['no ref', undefined],
      ['a ref that is no ObjectId', 'mood-17'],
    ]) {
      it(`${how}: inserted with an _id of its own, once`, async () => {
        const p = person();
        const thing = kinds[MOOD].thing(p);
        const record = await scene.pds.createRecord(p, MOOD, moodRecord({ ...thing, ref }));
        const view = await linked(refkey, record);
        assert.equal(view.ref, ref);
        const documents = await scene.mongo.moods.find({ user: p.user }).toArray();
        assert.equal(documents.length, 1);
        assert.deepEqual(documents, [inserted(MOOD, { ...thing, _id: documents[0]._id }, record.rkey)]);
        // Updated, it stays the same document.
        const changed = kinds[MOOD].change(thing);
        await linked(refkey, await scene.pds.putRecord(p, MOOD, record.rkey, moodRecord({ ...changed, ref })));
        await settled(refkey);
        assert.deepEqual(await scene.mongo.moods.find({ user: p.user }).toArray(), [
          inserted(MOOD, { ...changed, _id: documents[0]._id }, record.rkey),
        ]);
        // Deleted, it is marked.
        await rows.remove(p, record);
        await rows.untilDocument(MOOD, documents[0]._id, (d) => d.deleted === true && !d.atproto?.rkey, 'marked');
      });
    }

    both('that a document names already: nothing is inserted', async (collection, { record: make }) => {
      leaves('unlinked');
      const p = person();
      const thing = kinds[collection].thing(p);
      const rkey = tid();
      const document = await rows.insert(collection, { ...thing, rkey });
      const { _id, ...rest } = thing;
      await judged(refkey, await scene.pds.createRecord(p, collection, make(rest), rkey));
      await settled(refkey);
      assert.deepEqual(await scene.documents(collection).find({ user: p.user }).toArray(), [document]);
    });
  });

  describe('of a record that changes', { concurrency: 6 }, () => {
    both(
      "its fields, with the same ref: the document follows, what is not the record's stays",
      async (collection, { change }) => {
        const p = someone();
        const thing = kinds[collection].thing(p);
        const document = await rows.insert(collection, thing, { likes: 7, atproto: { note: 'kept' } });
        const { rkey } = await linked(refkey, await rows.publish(p, collection, thing));
        const changed = change(thing);
        await rows.republish(p, collection, changed, rkey);
        const field = collection === MOOD ? 'mood' : 'slug';
        const now = await rows.untilDocument(collection, thing._id, (d) => d[field] === changed[field], 'changed');
        assert.deepEqual(now, { ...document, [field]: changed[field], atproto: { ...now.atproto, rkey } });
        assert.equal(now.likes, 7);
      },
    );

    both('its ref: the old document goes as if the record did, the new one is linked', async (collection, { gone }) => {
      const p = someone();
      const [old, known] = [kinds[collection].thing(p), kinds[collection].thing(p)];
      const document = await rows.insert(collection, known);
      const { rkey } = await linked(refkey, await rows.publish(p, collection, old));
      await linked(refkey, await rows.republish(p, collection, known, rkey));
      assert.deepEqual(await rows.find(collection, known._id), { ...document, atproto: { rkey } });
      const left = await rows.untilDocument(collection, old._id, (d) => d[gone] === true, 'marked');
      assert.equal(left.atproto?.rkey, undefined);
      assert.equal((await rows.byRef(old)).error, 'RecordNotFound');
      assert.equal((await rows.byRef(known)).rkey, rkey);
    });

    it('its ref to one that no document has: inserted', async () => {
      const p = someone();
      const [old, next] = [kinds[MOOD].thing(p), kinds[MOOD].thing(p)];
      const { rkey } = await linked(refkey, await rows.publish(p, MOOD, old));
      await linked(refkey, await rows.republish(p, MOOD, next, rkey));
      assert.deepEqual(await rows.find(MOOD, next._id), inserted(MOOD, next, rkey));
      await rows.untilDocument(MOOD, old._id, (d) => d.deleted === true, 'marked');
    });

    both('by losing its ref: the link stays, an issue', async (collection, { record: make }) => {
      leaves('unlinked');
      const p = person();
      const thing = kinds[collection].thing(p);
      const { rkey } = await linked(refkey, await rows.publish(p, collection, thing));
      const document = await rows.find(collection, thing._id);
      const { _id, ...rest } = thing;
      await judged(refkey, await scene.pds.putRecord(p, collection, rkey, make(rest)));
      await settled(refkey);
      assert.deepEqual(await scene.documents(collection).find({ user: p.user }).toArray(), [document]);
    });
  });

  describe('of a record that is deleted', { concurrency: 6 }, () => {
    both('and linked: the document is marked and loses its rkey', async (collection, { gone }) => {
      const p = someone();
      const thing = kinds[collection].thing(p);
      const document = await rows.insert(collection, thing, { likes: 7 });
      const record = await rows.publish(p, collection, thing);
      await linked(refkey, record);
      await rows.remove(p, record);
      const now = await rows.untilDocument(collection, thing._id, (d) => d[gone] === true, 'marked');
      assert.equal(now.atproto?.rkey, undefined);
      assert.deepEqual({ ...now, atproto: undefined }, { ...document, [gone]: true, atproto: undefined });
      // Its ref stays deleted, whoever writes it again.
      leaves('orphan');
      const again = await rows.publish(p, collection, thing);
      assert.equal((await judged(refkey, again)).linked, false);
      assert.deepEqual(await rows.find(collection, thing._id), now);
    });

    both('while only its duplicate is linked: nothing', async (collection) => {
      const p = someone();
      const thing = kinds[collection].thing(p);
      const first = await linked(refkey, await rows.publish(p, collection, thing));
      const second = await rows.publish(p, collection, thing);
      assert.equal((await judged(refkey, second)).linked, false);
      await rows.remove(p, second);
      await unseen(refkey, second);
      await settled(refkey);
      assert.deepEqual(await rows.find(collection, thing._id), inserted(collection, thing, first.rkey));
      assert.equal((await rows.byRef(thing)).uri, first.uri);
    });

    it('in the repo of somebody who does not own the document: nothing', async () => {
      const [owner, thief] = [someone(), someone()];
      const thing = kinds[MOOD].thing(owner);
      const document = await rows.insert(MOOD, thing);
      const stolen = await rows.publish(thief, MOOD, thing);
      assert.equal((await judged(refkey, stolen)).linked, false);
      await rows.remove(thief, stolen);
      await unseen(refkey, stolen);
      await settled(refkey);
      assert.deepEqual(await rows.find(MOOD, thing._id), document);
    });
  });

  describe('of a record that MongoDB or its lexicon does not take', { concurrency: 6 }, () => {
    const invalid = {
      'a mood without text': [MOOD, ({ mood, ...rest }) => rest],
      'a mood that is a number': [MOOD, (r) => ({ ...r, mood: 5 })],
      'a mood of 5,001 bytes': [MOOD, (r) => ({ ...r, mood: 'é'.repeat(2500) + 'x' })],
      'a mood without when': [MOOD, ({ when, ...rest }) => rest],
      'a when that is no datetime': [MOOD, (r) => ({ ...r, when: 'yesterday' })],
      'a painting without code': [PAINTING, ({ code, ...rest }) => rest],
      'a painting with a long code': [PAINTING, (r) => ({ ...r, code: '12345678901' })],
      'a painting without imageUrl': [PAINTING, ({ imageUrl, ...rest }) => rest],
    };
    it('not as its lexicon wants it: in the index, never in MongoDB', async () => {
      const p = person();
      for (const [what, [collection, spoil]] of Object.entries(invalid)) {
        leaves('invalid');
        const thing = kinds[collection].thing(p);
        const value = spoil(kinds[collection].record({ ...thing, ref: thing._id }));
        const record = await scene.pds.createRecord(p, collection, value);
        const { body } = await scene.pds.xrpc('com.atproto.repo.getRecord', parts(record.uri));
        assert.deepEqual((await seen(refkey, record)).value, body.value, what);
        assert.equal((await rows.byRef(thing)).uri, record.uri, what);
      }
      const good = kinds[MOOD].thing(p, { mood: 'é'.repeat(2500) });
      await linked(refkey, await rows.publish(p, MOOD, good));
      await settled(refkey);
      assert.deepEqual(
        (await scene.mongo.moods.find({ user: p.user }).toArray()).map((d) => d._id),
        [good._id],
      );
      assert.equal(await scene.mongo.paintings.countDocuments({ user: p.user }), 0);
    });

    it('mended: inserted then', async () => {
      const p = someone();
      const thing = kinds[MOOD].thing(p);
      const { mood, ...bad } = moodRecord({ ...thing, ref: thing._id });
      const { rkey } = await scene.pds.createRecord(p, MOOD, bad);
      await linked(refkey, await rows.republish(p, MOOD, thing, rkey));
      assert.deepEqual(await rows.find(MOOD, thing._id), inserted(MOOD, thing, rkey));
    });

    it('with a code or slug that the user has already: rejected, and again when it changes', async () => {
      leaves('rejected', 1);
      const p = someone();
      const had = kinds[PAINTING].thing(p);
      await rows.insert(PAINTING, had);
      const sameCode = kinds[PAINTING].thing(p, { code: had.code });
      const sameSlug = kinds[PAINTING].thing(p, { slug: had.slug });
      const [one, two] = [await rows.publish(p, PAINTING, sameCode), await rows.publish(p, PAINTING, sameSlug)];
      for (const record of [one, two]) assert.equal((await judged(refkey, record)).linked, false);
      assert.equal(await rows.find(PAINTING, sameCode._id), null);
      assert.equal(await rows.find(PAINTING, sameSlug._id), null);
      const free = { ...sameCode, code: `free${turn}` };
      await linked(refkey, await rows.republish(p, PAINTING, free, one.rkey));
      assert.deepEqual(await rows.find(PAINTING, free._id), inserted(PAINTING, free, one.rkey));
    });

    it("with somebody else's code: a conflict, and not the answer to the code", async () => {
      leaves('conflict');
      const [owner, other] = [someone(), someone()];
      const had = kinds[PAINTING].thing(owner);
      const document = await rows.insert(PAINTING, had);
      const thing = kinds[PAINTING].thing(other, { code: had.code });
      assert.equal((await judged(refkey, await rows.publish(other, PAINTING, thing))).linked, false);
      assert.equal(await rows.find(PAINTING, thing._id), null);
      assert.deepEqual(await rows.find(PAINTING, had._id), document);
      assert.equal((await refkey.xrpc('getPainting', { code: had.code })).body.error, 'RecordNotFound');
    });

    it("updated to somebody else's code: a conflict, the link stays, the code is its owner's", async () => {
      leaves('conflict');
      const [owner, other] = [someone(), await scene.person()];
      const had = kinds[PAINTING].thing(owner);
      const thing = kinds[PAINTING].thing(other);
      await rows.insert(PAINTING, had);
      const document = await rows.insert(PAINTING, thing);
      const mine = await linked(refkey, await rows.publish(other, PAINTING, thing));
      const taking = await rows.republish(other, PAINTING, { ...thing, code: had.code }, mine.rkey);
      await settled(refkey);
      assert.equal((await linked(refkey, taking)).linked, true);
      assert.equal((await rows.byRef(thing)).uri, mine.uri);
      assert.deepEqual(await rows.find(PAINTING, thing._id), { ...document, atproto: { rkey: mine.rkey } });
      const theirs = await linked(refkey, await rows.publish(owner, PAINTING, had));
      const byCode = async () => (await refkey.xrpc('getPainting', { code: had.code })).body.uri;
      assert.equal(await byCode(), theirs.uri);
      // Nor by a look that only sees the link again.
      assert.equal((await refkey.run(['recover', '--user', other.user])).code, 0);
      assert.equal(await byCode(), theirs.uri);
    });
  });

  describe('of a repo', { concurrency: 6 }, () => {
    it('that no user has: kept in the index, recovered as soon as one has it', async () => {
      const nobody = await scene.stranger();
      const thing = kinds[MOOD].thing({ user: `auth0|${nobody.name}` });
      const painting = kinds[PAINTING].thing({ user: `auth0|${nobody.name}` });
      const record = await rows.publish(nobody, MOOD, thing);
      assert.equal((await judged(refkey, record)).linked, false);
      assert.equal((await rows.byRef(thing)).uri, record.uri);
      assert.equal(await rows.find(MOOD, thing._id), null);
      await rows.publish(nobody, PAINTING, painting);
      await scene.mongo.user({ _id: `auth0|${nobody.name}`, handle: nobody.name, did: nobody.did });
      await linked(refkey, record);
      await until(() => rows.find(PAINTING, painting._id), { what: 'the painting', ...soon });
      assert.deepEqual(await rows.find(MOOD, thing._id), inserted(MOOD, thing, record.rkey));
    });
  });

  it('every issue is told, and no other', async () => {
    await settled(refkey);
    assert.deepEqual(await issues(refkey), expected);
    // Nothing of all that is undone or done again by a restart.
    const earlier = await everything();
    await refkey.restart();
    await refkey.ready();
    await until(async () => (await metrics(refkey)).refkey_mongo_connected === 1, { what: 'connected', ...soon });
    await settled(refkey);
    assert.deepEqual(await everything(), earlier);
    assert.deepEqual(await issues(refkey), expected);
  });

  async function everything() {
    const sorted = (c) => scene.documents(c).find().sort({ _id: 1 }).toArray();
    return { moods: await sorted(MOOD), paintings: await sorted(PAINTING) };
  }
});
