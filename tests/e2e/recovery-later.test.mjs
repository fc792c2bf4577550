// The recovery table where it takes a restart, a sweep, a gap or another setting: what MongoDB's side
// changes alone, repos that come back from a fetch with records missing, REFKEY_ON_DELETE.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { faults } from '../kit/proxy.mjs';
import { MOOD, moodRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { Rows, both, kinds } from './rows.mjs';
import {
  explain,
  issues,
  linked,
  metrics,
  parts,
  seen,
  settled,
  soon,
  startScene,
  tid,
  unseen,
  untilIndexEqualsPds,
} from './scene.mjs';

describe('recovery, later', () => {
  let scene;
  let refkey;
  let rows;
  let shared; // people whose documents are looked at by _id only
  let spare; // people with nothing yet
  let turn = 0;
  const someone = () => shared[turn++ % shared.length]; // each time somebody else
  const person = () => spare.pop() ?? assert.fail('more people are needed');

  before(async () => {
    scene = await startScene({ proxy: true });
    shared = await scene.people(2);
    spare = await scene.people(5);
    refkey = await scene.refkey({ REFKEY_SWEEP_SECONDS: '86400' });
    rows = new Rows(scene, refkey);
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  const removed = async (collection, thing) => {
    await scene.documents(collection).deleteOne({ _id: thing._id });
  };

  both('a document that was known and is removed: an orphan, inserted no more', async (collection, { change }) => {
    const p = someone();
    const thing = kinds[collection].thing(p);
    const { rkey } = await linked(refkey, await rows.publish(p, collection, thing));
    await removed(collection, thing);
    const earlier = (await issues(refkey)).orphan ?? 0;
    const again = await rows.republish(p, collection, change(thing), rkey);
    await refkey.until(
      'getByRkey',
      parts(again.uri),
      ({ body }) => body.cid === again.cid && body.linked === false,
      soon,
    );
    assert.equal((await issues(refkey)).orphan, earlier + 1);
    assert.equal(await rows.find(collection, thing._id), null);
  });

  it('a removal and other changes on the MongoDB side alone show at the sweep', async () => {
    const [p, q] = [someone(), someone()];
    const [gone, marked, stolen, named] = [1, 2, 3, 4].map(() => kinds[MOOD].thing(p));
    const records = [];
    for (const thing of [gone, marked, stolen, named])
      records.push(await linked(refkey, await rows.publish(p, MOOD, thing)));
    await removed(MOOD, gone);
    await scene.mongo.moods.updateOne({ _id: marked._id }, { $set: { deleted: true }, $unset: { atproto: 1 } });
    await scene.mongo.moods.updateOne({ _id: stolen._id }, { $set: { user: q.user } });
    await scene.mongo.moods.updateOne({ _id: named._id }, { $unset: { atproto: 1 } });
    await refkey.restart({ REFKEY_SWEEP_SECONDS: '1' });
    await refkey.ready();
    for (const record of records.slice(0, 3)) {
      await refkey.until('getByRkey', parts(record.uri), ({ body }) => body.linked === false, soon);
    }
    await rows.untilDocument(MOOD, named._id, (d) => d.atproto?.rkey === records[3].rkey, 'linked again');
    assert.equal(await rows.find(MOOD, gone._id), null);
    assert.equal((await rows.byRef(stolen)).error, 'RecordNotFound');
    // A document that is brought back is linked again.
    await scene.mongo.moods.updateOne({ _id: marked._id }, { $unset: { deleted: 1 } });
    await linked(refkey, records[1]);
    assert.equal((await rows.find(MOOD, marked._id)).atproto.rkey, records[1].rkey);
    await refkey.restart({ REFKEY_SWEEP_SECONDS: '86400' });
    await refkey.ready();
  });

  describe('a user whose DID changed in MongoDB', () => {
    const changes = {
      'to another': () => ({ $set: { 'atproto.did': `did:plc:${'z'.repeat(24)}` } }),
      'to none': () => ({ $unset: { atproto: 1 } }),
    };
    const deletions = {
      'whose record is deleted': (p, { rkey }) => scene.pds.deleteRecord(p, MOOD, rkey),
      'whose account is deleted': (p) => scene.pds.deleteAccount(p.did),
    };
    for (const [to, change] of Object.entries(changes)) {
      for (const [what, remove] of Object.entries(deletions)) {
        it(`${to}, ${what} before a sweep: the document stays`, async () => {
          const p = await scene.person();
          const thing = kinds[MOOD].thing(p);
          const record = await linked(refkey, await rows.publish(p, MOOD, thing));
          const before = await rows.find(MOOD, thing._id);
          await scene.mongo.users.updateOne({ _id: p.user }, change());
          await remove(p, record);
          await unseen(refkey, record);
          await settled(refkey);
          assert.deepEqual(await rows.find(MOOD, thing._id), before);
        });
      }
    }
  });

  it('an account that is gone before the stream says that it is deleted: its documents are marked', async () => {
    const p = await scene.person();
    const thing = kinds[MOOD].thing(p);
    const record = await linked(refkey, await rows.publish(p, MOOD, thing));
    const ofRepo = { method: 'com.atproto.sync.getRepo', query: (q) => q.get('did') === p.did };
    // To be fetched, which goes wrong until the account is gone.
    const away = scene.proxy.http({ status: 503 }, ofRepo);
    await unseenCommit(p, () => rows.publish(p, MOOD, kinds[MOOD].thing(p)));
    await rows.publish(p, MOOD, kinds[MOOD].thing(p));
    await until(() => away.fired, { what: 'the repo being asked for', ...soon });
    scene.proxy.stall();
    try {
      await scene.pds.deleteAccount(p.did);
      away.end();
      const isGone = (r) => r.method === ofRepo.method && ofRepo.query(r.query) && r.status === 400;
      await until(() => scene.proxy.requests.some(isGone), { what: 'the answer that there is none', ...soon });
    } finally {
      scene.proxy.stall(false);
    }
    await unseen(refkey, record);
    await rows.untilDocument(MOOD, thing._id, (d) => d.deleted === true, 'marked');
  });

  it('a user with a new DID shows at the sweep', async () => {
    const [p, q] = [person(), person()];
    const thing = kinds[MOOD].thing(p);
    const old = await linked(refkey, await rows.publish(p, MOOD, thing));
    // The account moves to another DID: the record of the new one is the owner's now.
    await scene.mongo.users.deleteOne({ _id: q.user });
    await scene.mongo.users.updateOne({ _id: p.user }, { $set: { 'atproto.did': q.did } });
    await refkey.restart({ REFKEY_SWEEP_SECONDS: '1' });
    await refkey.until('getByRkey', parts(old.uri), ({ body }) => body.linked === false, soon);
    const own = await linked(refkey, await rows.publish(q, MOOD, thing));
    assert.equal((await rows.find(MOOD, thing._id)).atproto.rkey, own.rkey);
    assert.equal((await rows.byRef(thing)).uri, own.uri);
    await refkey.restart({ REFKEY_SWEEP_SECONDS: '86400' });
    await refkey.ready();
  });

  // A commit that is lost on the way.
  async function unseenCommit(p, change) {
    const lost = scene.proxy.stream(faults.drop, {
      when: (f) => f.type === '#commit' && f.body.repo === p.did,
      times: 1,
    });
    await change();
    await until(() => lost.fired === 1, { what: 'the commit was lost', ...soon });
  }

  // A repo that changed unseen: the next commit shows it.
  async function unseenChange(p, change) {
    await unseenCommit(p, change);
    return seen(refkey, await rows.publish(p, MOOD, kinds[MOOD].thing(p)));
  }

  async function manyLinked(p, count) {
    const things = Array.from({ length: count }, () => kinds[MOOD].thing(p));
    const keys = things.map(() => tid());
    await scene.pds.applyWrites(
      p,
      things.map((thing, i) => ({
        action: 'create',
        collection: MOOD,
        rkey: keys[i],
        value: moodRecord({ ...thing, ref: thing._id }),
      })),
    );
    await until(
      async () => (await scene.mongo.moods.countDocuments({ user: p.user, 'atproto.rkey': { $in: keys } })) === count,
      { what: 'all inserted', ...soon },
    );
    await settled(refkey);
    return { things, keys };
  }
  const deletes = (keys) => keys.map((rkey) => ({ action: 'delete', collection: MOOD, rkey }));

  it('a few records missing in a newer copy: as if deleted', async () => {
    const p = person();
    const { things, keys } = await manyLinked(p, 30);
    await unseenChange(p, () => scene.pds.applyWrites(p, deletes(keys.slice(0, 20))));
    await untilIndexEqualsPds(refkey, scene.pds, [p.did]);
    for (const [i, { _id }] of things.entries()) {
      const document = await rows.untilDocument(MOOD, _id, (d) => Boolean(d.deleted) === i < 20, 'as the record');
      assert.equal(document.atproto?.rkey, i < 20 ? undefined : keys[i]);
    }
  });

  it('too many missing in a newer copy: the documents stay, issue vanished', async () => {
    const p = person();
    const { keys } = await manyLinked(p, 30);
    const documents = await scene.mongo.moods
      .find({ 'atproto.rkey': { $in: keys } })
      .sort({ _id: 1 })
      .toArray();
    await unseenChange(p, () => scene.pds.applyWrites(p, deletes(keys.slice(0, 25))));
    await untilIndexEqualsPds(refkey, scene.pds, [p.did]);
    await until(async () => (await issues(refkey)).vanished === 25, { what: '25 vanished', ...soon });
    await settled(refkey);
    assert.deepEqual(
      await scene.mongo.moods
        .find({ 'atproto.rkey': { $in: keys } })
        .sort({ _id: 1 })
        .toArray(),
      documents,
    );
  });

  it('a copy that is older than what is held: refused', async () => {
    const p = person();
    const { keys } = await manyLinked(p, 3);
    const old = await scene.pds.call('com.atproto.sync.getRepo', { did: p.did });
    const { things } = await manyLinked(p, 2);
    const stale = scene.proxy.http(
      { status: 200, body: old, headers: { 'content-type': 'application/vnd.ipld.car' } },
      { method: 'com.atproto.sync.getRepo', times: 1 },
    );
    const earlier = (await metrics(refkey))['refkey_refused_total{reason="rev_older"}'];
    const lost = scene.proxy.stream(faults.drop, {
      when: (f) => f.type === '#commit' && f.body.repo === p.did,
      times: 1,
    });
    await rows.publish(p, MOOD, kinds[MOOD].thing(p));
    await until(() => lost.fired === 1, { what: 'the commit was lost', ...soon });
    await rows.publish(p, MOOD, kinds[MOOD].thing(p));
    await until(() => stale.fired === 1, { what: 'the old copy was given', ...soon });
    await until(async () => (await metrics(refkey))['refkey_refused_total{reason="rev_older"}'] === earlier + 1, {
      what: 'refused',
      ...soon,
    });
    await untilIndexEqualsPds(refkey, scene.pds, [p.did]);
    await settled(refkey);
    const rkeys = (await scene.mongo.moods.find({ user: p.user }).toArray()).map((d) => d.atproto?.rkey);
    assert.equal(rkeys.filter(Boolean).length, 3 + 2 + 2);
    for (const key of keys) assert.ok(rkeys.includes(key));
    assert.equal(things.length, 2);
  });

  // Both come in one go: refkey was away, so that the document's rkey is not set yet.
  async function createdAndDeletedUnseen(p, collection) {
    const thing = kinds[collection].thing(p);
    const document = await rows.insert(collection, thing);
    await refkey.stop();
    const record = await rows.publish(p, collection, thing);
    await rows.remove(p, record);
    await refkey.start();
    await refkey.ready();
    await settled(refkey);
    return { thing, document };
  }

  both('deleted before the site could set its rkey: marked', async (collection, { gone }) => {
    const { thing, document } = await createdAndDeletedUnseen(someone(), collection);
    assert.deepEqual(await rows.find(collection, thing._id), {
      ...document,
      [gone]: true,
      ...(await rows.leftOver(collection, thing)),
    });
  });

  for (const how of ['unlink', 'keep']) {
    both(
      `REFKEY_ON_DELETE=${how}: a deleted record's document ${how === 'keep' ? 'stays as it is' : 'loses its rkey'}`,
      async (collection) => {
        const p = someone();
        if (refkey.settings.REFKEY_ON_DELETE !== how) await refkey.restart({ REFKEY_ON_DELETE: how });
        await refkey.ready();
        const thing = kinds[collection].thing(p);
        const document = await rows.insert(collection, thing, { likes: 7 });
        const record = await rows.publish(p, collection, thing);
        await linked(refkey, record);
        await rows.remove(p, record);
        await unseen(refkey, record);
        await settled(refkey);
        const now = await rows.find(collection, thing._id);
        if (how === 'keep') {
          assert.deepEqual(now, { ...document, atproto: { rkey: record.rkey } });
        } else {
          assert.equal(now.atproto?.rkey, undefined);
          assert.deepEqual({ ...now, atproto: undefined }, { ...document, atproto: undefined });
        }
      },
    );
  }
});
