// What happens on the PDS while refkey watches is in its answers, through stops and kills.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { MOOD, PAINTING, moodRecord, objectId, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import {
  assertChecks,
  assertIndexEqualsPds,
  explain,
  listAll,
  parts,
  seen,
  settled,
  soon,
  startScene,
  status,
  tid,
  unseen,
  untilIndexEqualsPds,
} from './scene.mjs';

describe('while refkey watches', () => {
  let scene;
  let refkey;
  let ada; // one for each test

  before(async () => {
    scene = await startScene({ mongo: false });
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  beforeEach(async () => {
    ada = await scene.stranger();
  });
  afterEach(async (t) => {
    explain(t, refkey);
    await assertIndexEqualsPds(refkey, scene.pds, [ada.did]);
  });

  const mood = (text, ref = objectId()) => moodRecord({ mood: text, ref });
  const create = (record, rkey) => scene.pds.createRecord(ada, MOOD, record, rkey);
  const byRef = async (ref) => (await refkey.xrpc('getByRef', { ref: String(ref) })).body;

  it('an account that is born then, and its first record', async () => {
    const ref = objectId();
    const record = await create(mood('first', ref));
    assert.equal((await seen(refkey, record)).value.mood, 'first');
    assert.equal((await byRef(ref)).uri, record.uri);
    const { body } = await refkey.xrpc('getRepoStatus', { repo: ada.did });
    assert.equal(body.rev, record.commit.rev);
  });

  it('an update, with its new value and cid', async () => {
    const [ref, other] = [objectId(), objectId()];
    const { rkey } = await seen(refkey, await create(mood('before', ref)));
    const same = await scene.pds.putRecord(ada, MOOD, rkey, mood('after', ref));
    assert.equal((await seen(refkey, same)).value.mood, 'after');
    assert.equal((await byRef(ref)).cid, same.cid);
    const moved = await scene.pds.putRecord(ada, MOOD, rkey, mood('moved', other));
    await seen(refkey, moved);
    assert.equal((await byRef(other)).cid, moved.cid);
    assert.equal((await byRef(ref)).error, 'RecordNotFound');
  });

  it('a deletion: neither its rkey nor its ref answers any more', async () => {
    const ref = objectId();
    const record = await create(mood('gone', ref));
    await seen(refkey, record);
    await scene.pds.deleteRecord(ada, MOOD, record.rkey);
    await unseen(refkey, record);
    assert.equal((await byRef(ref)).error, 'RecordNotFound');
    assert.deepEqual(await listAll(refkey, { collection: MOOD, repo: ada.did }), []);
    // … and the key may come again.
    const again = await create(mood('again', ref), record.rkey);
    await seen(refkey, again);
    assert.equal((await byRef(ref)).cid, again.cid);
  });

  it('many writes at once, of every kind', async () => {
    const keys = Array.from({ length: 60 }, () => tid());
    const first = keys.map((rkey, i) => ({
      action: 'create',
      collection: i % 3 ? MOOD : PAINTING,
      rkey,
      value: i % 3 ? mood(`${i}`) : paintingRecord({ code: `m${i}`, slug: `m.${i}`, ref: objectId() }),
    }));
    await scene.pds.applyWrites(ada, first);
    const second = first.flatMap(({ collection, rkey, value }, i) => {
      if (i % 4 === 0) return [{ action: 'delete', collection, rkey }];
      if (i % 4 === 1)
        return [{ action: 'update', collection, rkey, value: { ...value, when: new Date(0).toISOString() } }];
      return [];
    });
    second.push(
      ...Array.from({ length: 100 }, (_, i) => ({
        action: 'create',
        collection: MOOD,
        rkey: tid(),
        value: mood(`more ${i}`),
      })),
    );
    await scene.pds.applyWrites(ada, second);
    await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
    // Of other collections nothing is kept, and they do no harm.
    await scene.pds.createRecord(ada, 'app.bsky.feed.post', { text: 'hello', createdAt: new Date().toISOString() });
    const last = await create(mood('last'));
    await seen(refkey, last);
    const { body } = await refkey.xrpc('getRepoStatus', { repo: ada.did });
    assert.deepEqual(
      body.records.map((r) => r.collection),
      [MOOD, PAINTING],
    );
    assert.equal(
      body.records.reduce((sum, r) => sum + r.count, 0),
      60 - 15 + 100 + 1,
    );
  });

  it('a record that comes, changes and goes in one breath', async () => {
    const keys = Array.from({ length: 20 }, () => tid());
    for (const rkey of keys) {
      await create(mood('one'), rkey);
      await scene.pds.putRecord(ada, MOOD, rkey, mood('two'));
      await scene.pds.deleteRecord(ada, MOOD, rkey);
    }
    const last = await create(mood('last'));
    await seen(refkey, last);
    assert.deepEqual(
      (await listAll(refkey, { collection: MOOD, repo: ada.did })).map((r) => r.uri),
      [last.uri],
    );
  });

  it('the handle of a new account, and its change', async () => {
    const record = await create(mood('named'));
    const asked = (repo) => ({ repo, collection: MOOD, rkey: record.rkey });
    await refkey.until('getByRkey', asked(ada.handle), undefined, soon);
    const handle = `renamed-${ada.handle}`;
    await ada.agent.com.atproto.identity.updateHandle({ handle });
    await refkey.until('getByRkey', asked(handle), undefined, soon);
    await refkey.until('getByRkey', asked(ada.handle), ({ body }) => body.error === 'RecordNotFound', soon);
  });

  it('an account deactivated and activated: hidden, and back as it is then', async () => {
    const [ref, later] = [objectId(), objectId()];
    const record = await create(mood('hidden', ref));
    await seen(refkey, record);
    await scene.pds.deactivate(ada);
    await unseen(refkey, record);
    assert.equal((await byRef(ref)).error, 'RecordNotFound');
    const painted = await refkey.xrpc('resolve', { refs: [String(ref)], uris: [record.uri] });
    assert.deepEqual(painted.body, { records: [], missing: [{ ref: String(ref) }, { uri: record.uri }] });
    const listed = await refkey.xrpc('listRecords', { collection: MOOD });
    assert.ok(!listed.body.records.some((r) => r.did === ada.did));
    // It stays so over a restart.
    await refkey.restart();
    await refkey.ready();
    assert.equal((await byRef(ref)).error, 'RecordNotFound');
    await scene.pds.activate(ada);
    await seen(refkey, record);
    assert.equal((await byRef(ref)).uri, record.uri);
    const next = await create(mood('after', later));
    await seen(refkey, next);
    assert.equal((await byRef(later)).uri, next.uri);
  });

  it('a takedown and its end', async () => {
    const record = await create(mood('taken down'));
    await seen(refkey, record);
    await scene.pds.takedown(ada.did);
    await unseen(refkey, record);
    await scene.pds.takedown(ada.did, false);
    await seen(refkey, record);
  });

  it('what happens while it is stopped or dead, too', async () => {
    const ref = objectId();
    const kept = await create(mood('kept', ref));
    const changed = await create(mood('changed'));
    const gone = await create(mood('gone'));
    await seen(refkey, gone);
    for (const end of ['stop', 'kill']) {
      await refkey[end]();
      await scene.pds.putRecord(ada, MOOD, changed.rkey, mood(`changed before the ${end}`));
      await scene.pds.deleteRecord(ada, MOOD, end === 'stop' ? gone.rkey : kept.rkey);
      const more = await create(mood(`more after the ${end}`));
      await refkey.start();
      await refkey.ready();
      await seen(refkey, more);
      await untilIndexEqualsPds(refkey, scene.pds, [ada.did]);
      await assertChecks(refkey);
    }
    assert.equal((await byRef(ref)).error, 'RecordNotFound');
  });

  it('nothing twice when the stream starts anew', async () => {
    await seen(refkey, await create(mood('counted')));
    const before = await status(refkey);
    await refkey.restart();
    await refkey.ready();
    const now = await status(refkey);
    assert.deepEqual(now.records, before.records);
    assert.ok(now.cursor >= before.cursor);
  });
});

describe('a first start', () => {
  let scene;
  before(async () => {
    scene = await startScene({ mongo: false });
  });
  after(() => scene?.close());

  it('brings in every repo while records are written, and then is ready', async (t) => {
    const people = await Promise.all(Array.from({ length: 8 }, () => scene.stranger()));
    const batch = (n) =>
      Array.from({ length: n }, (_, i) => ({
        action: 'create',
        collection: MOOD,
        value: moodRecord({ mood: `m${i}`, ref: objectId() }),
      }));
    await Promise.all(people.map((p) => scene.pds.applyWrites(p, batch(120))));
    let writing = true;
    const written = [];
    const writer = (async () => {
      for (let i = 0; writing; i++) {
        const person = people[i % people.length];
        const record = await scene.pds.createRecord(person, MOOD, moodRecord({ mood: `live ${i}`, ref: objectId() }));
        written.push(record);
        if (i % 3 === 0) await scene.pds.deleteRecord(person, MOOD, record.rkey);
      }
    })();
    const refkey = await scene.refkey({}, { ready: false });
    try {
      await refkey.ready();
      await until(() => written.length > 60, { what: 'some records more', ...soon });
    } finally {
      writing = false;
      await writer;
    }
    await untilIndexEqualsPds(
      refkey,
      scene.pds,
      people.map((p) => p.did),
    );
    await settled(refkey);
    const { records, repos } = await status(refkey);
    const count = (await Promise.all(people.map((p) => scene.pds.listRecordsAll(p.did, MOOD)))).flat().length;
    assert.deepEqual([repos, records[0].count], [8, count]);
    await assertChecks(refkey);
    const [last] = written.slice(-1);
    t.diagnostic(`${count} records, ${written.length} of them live, the last ${parts(last.uri).rkey}`);
  });
});
