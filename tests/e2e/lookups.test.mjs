// What queries answer, on real records: the values that the PDS gives, in every way they can be found,
// and each answer as its lexicon says. What they refuse is in http.test.mjs.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Lexicons, parseLexiconDoc } from '@atproto/lexicon';
import {
  MOOD,
  PAINTING,
  moodRecord,
  objectId,
  oldMoodRecord,
  paintingDocument,
  paintingRecord,
} from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import {
  explain,
  judged,
  linked,
  listAll,
  parts,
  refusal,
  seen,
  settled,
  soon,
  startScene,
  status,
  tid,
} from './scene.mjs';

const group = 'computer.aesthetic.refkey.';
const lexiconFolder = fileURLToPath(new URL('../../lexicons', import.meta.url));
const lexiconFiles = () =>
  readdirSync(lexiconFolder, { recursive: true })
    .filter((name) => name.endsWith('.json'))
    .map((name) => `${lexiconFolder}/${name}`);

describe('lexicons', () => {
  it('are valid, one a method, one a kind of record', () => {
    const ids = lexiconFiles().map((file) => {
      const doc = parseLexiconDoc(JSON.parse(readFileSync(file, 'utf8')));
      assert.ok(file.endsWith(`${doc.id.split('.').at(-1)}.json`), `${file} holds ${doc.id}`);
      return doc.id;
    });
    assert.equal(new Set(ids).size, ids.length);
    const methods =
      'getByRef getByRkey resolve listRecords getPainting getRepoStatus getStatus listIssues requestResync deleteRecord forgetRepo';
    const missing = [MOOD, PAINTING, ...methods.split(' ').map((m) => group + m)].filter((id) => !ids.includes(id));
    assert.deepEqual(missing, []);
  });
});

describe('queries', () => {
  let scene;
  let refkey;
  let ada;
  let bea;
  const answers = []; // all good ones
  const wrote = {}; // name → what the PDS acknowledged, and its ref
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  );
  const day = (n) => new Date(Date.UTC(2026, 0, n, 12));

  before(async () => {
    scene = await startScene();
    [ada, bea] = await scene.people(2);
    const blob = (await ada.agent.uploadBlob(png, { encoding: 'image/png' })).data.blob.toJSON();
    const refs = {};
    const write = async (name, person, collection, make, id = objectId()) => {
      refs[name] = id && String(id);
      wrote[name] = {
        ref: refs[name],
        person,
        ...(await scene.pds.createRecord(person, collection, make(id && String(id)))),
      };
    };
    await write('plain', ada, MOOD, (ref) => moodRecord({ ref, when: day(1) }));
    await write('text', ada, MOOD, (ref) =>
      moodRecord({ ref, when: day(2), mood: '„ruhig“ \\ " \u0001\u2028 🌙 e\u0301 </script>' }),
    );
    await write('older', bea, MOOD, (ref) => oldMoodRecord({ ref, when: day(3) }));
    await write('bare', bea, MOOD, () => moodRecord({ when: day(4) }), null);
    await write('rich', ada, MOOD, (ref) => ({
      ...moodRecord({ ref, when: day(5) }),
      many: [1, -2, 9007199254740991, true, false, null, [], {}, { a: { b: ['c'] } }],
      link: { $link: 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm' },
      bytes: { $bytes: 'AAECAwQF/w' },
      'a key "of" ünusual\tform': '',
    }));
    const painting = { code: 'abc', slug: '2026.1.1.12.00.00.000', when: day(1) };
    await write('painting', ada, PAINTING, (ref) => ({
      ...paintingRecord({ ...painting, ref }),
      thumbnail: blob,
      acUrl: 'https://aesthetic.computer/painting~abc',
    }));
    await write('recorded', bea, PAINTING, (ref) =>
      paintingRecord({ ref, code: 'abd', slug: '2026.1.2.1:2026.1.2.2', when: day(2) }),
    );
    await write('sameSlug', bea, PAINTING, (ref) =>
      paintingRecord({ ref, code: 'abe', slug: painting.slug, when: day(3) }),
    );
    refkey = await scene.refkey({
      REFKEY_RECOVER: 'all',
      REFKEY_HOSTNAME: 'refkey.example.org',
      REFKEY_ADMIN_PASSWORD: 'open-sesame',
    });
    await settled(refkey);
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  // An answer that must be good, and as its lexicon says.
  async function ask(method, params = {}) {
    const { status: code, headers, body } = await refkey.xrpc(method, params);
    assert.equal(code, 200, JSON.stringify(body));
    assert.match(headers.get('content-type'), /^application\/json/);
    assert.equal(headers.get('access-control-allow-origin'), '*');
    answers.push({ method, params, body });
    return body;
  }

  const refuseXrpc = (methodAndQuery, ...more) => refusal(refkey, `/xrpc/${group}${methodAndQuery}`, ...more);

  // What the PDS itself gives for the record.
  async function original({ uri }) {
    const { repo, collection, rkey } = parts(uri);
    return scene.pds.call('com.atproto.repo.getRecord', { repo, collection, rkey });
  }

  it('give each value as the PDS does, by ref and by rkey', async () => {
    for (const [name, { ref, uri, cid, rkey, person }] of Object.entries(wrote)) {
      const theirs = await original({ uri });
      assert.equal(theirs.cid, cid);
      const { collection } = parts(uri);
      const view = await ask('getByRkey', { repo: person.did, collection, rkey });
      assert.deepEqual({ uri: view.uri, cid: view.cid, value: view.value }, theirs, name);
      const { indexedAt, value, ...rest } = view;
      assert.deepEqual(rest, { uri, cid, did: person.did, collection, rkey, ...(ref && { ref }), linked: true }, name);
      assert.ok(Date.now() - Date.parse(indexedAt) < 600_000 && Date.parse(indexedAt) <= Date.now() + 1000);
      if (ref) assert.deepEqual(await ask('getByRef', { ref }), view, name);
    }
  });

  it('find a ref in any case of its hex, in its collection only', async () => {
    const { ref, uri } = wrote.plain;
    assert.equal((await ask('getByRef', { ref: ref.toUpperCase() })).uri, uri);
    assert.equal((await ask('getByRef', { ref, collection: MOOD })).uri, uri);
    await refuseXrpc(`getByRef?ref=${ref}&collection=${PAINTING}`, 400, 'RecordNotFound');
  });

  it('find an account by its handle, in any case', async () => {
    const { uri, rkey } = wrote.plain;
    const byHandle = (repo) => refkey.until('getByRkey', { repo, collection: MOOD, rkey }, undefined, soon);
    assert.equal((await byHandle(ada.handle)).body.uri, uri);
    assert.equal((await byHandle(ada.handle.toUpperCase())).body.uri, uri);
    assert.equal((await ask('getRepoStatus', { repo: ada.handle })).did, ada.did);
    assert.equal((await ask('listRecords', { repo: ada.handle, collection: PAINTING })).records.length, 1);
  });

  it('name the other records of the owner with the ref', async () => {
    const { ref, uri } = wrote.plain;
    const others = [];
    for (let i = 0; i < 12; i++)
      others.push(await scene.pds.createRecord(ada, MOOD, moodRecord({ ref, mood: `again ${i}`, when: day(i + 1) })));
    for (const other of others) assert.equal((await judged(refkey, other)).linked, false);
    const view = await ask('getByRef', { ref });
    assert.equal(view.uri, uri);
    assert.equal(view.duplicateCount, 12);
    assert.equal(view.duplicates.length, 10);
    for (const { uri: other } of view.duplicates) assert.ok(others.some((o) => o.uri === other));
    for (const other of others) await scene.pds.deleteRecord(ada, MOOD, other.rkey);
    await until(async () => !('duplicates' in (await ask('getByRef', { ref }))), { what: 'no duplicates', ...soon });
    assert.equal((await scene.mongo.moods.findOne({ 'atproto.rkey': wrote.plain.rkey })).deleted, undefined);
  });

  it('resolve many in the order asked, and name the missing', async () => {
    const { plain, text, rich, painting } = wrote;
    const absent = String(objectId());
    const gone = `at://${ada.did}/${MOOD}/${tid()}`;
    const stranger = `at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/${MOOD}/${tid()}`;
    const some = await ask('resolve', {
      refs: [painting.ref, absent, text.ref],
      uris: [gone, rich.uri, stranger, plain.uri],
    });
    assert.deepEqual(
      some.records.map((r) => r.uri),
      [painting.uri, text.uri, rich.uri, plain.uri],
    );
    assert.deepEqual(some.missing, [{ ref: absent }, { uri: gone }, { uri: stranger }]);
    const byHandle = `at://${ada.handle}/${MOOD}/${plain.rkey}`;
    assert.equal((await ask('resolve', { uris: [byHandle] })).records[0].uri, plain.uri);
    const hundred = Array.from({ length: 100 }, () => String(objectId()));
    assert.equal((await ask('resolve', { refs: hundred })).missing.length, 100);
    const query = (n) =>
      new URLSearchParams(
        hundred
          .concat(absent)
          .slice(0, n)
          .map((ref) => ['refs', ref]),
      );
    await refuseXrpc(`resolve?${query(101)}`, 400, 'InvalidRequest', /100/);
    await refuseXrpc(`resolve?${query(100)}&uris=${plain.uri}`, 400, 'InvalidRequest', /100/);
    await refuseXrpc('resolve', 400, 'InvalidRequest', /refs|uris/);
    // All of the longest there may be fit into one question.
    const long = Array.from({ length: 100 }, (_, i) => 'x'.repeat(62) + String(i).padStart(2, '0'));
    assert.equal((await ask('resolve', { refs: long })).missing.length, 100);
  });

  it('find a record without a ref by the _id of the document that came of it', async () => {
    const odd = await scene.pds.createRecord(bea, MOOD, moodRecord({ ref: 'no-object-id', when: day(6) }));
    const bare = await scene.pds.createRecord(bea, MOOD, moodRecord({ when: day(7) }));
    await linked(refkey, odd);
    await linked(refkey, bare);
    const documentOf = ({ rkey }) => scene.mongo.moods.findOne({ 'atproto.rkey': rkey });
    const [oddId, bareId] = [String((await documentOf(odd))._id), String((await documentOf(bare))._id)];
    for (const [id, record, ref] of [
      [oddId, odd, 'no-object-id'],
      [bareId, bare, undefined],
    ]) {
      const view = await ask('getByRef', { ref: id });
      assert.deepEqual([view.uri, view.ref, view.linked], [record.uri, ref, true]);
      assert.deepEqual(await ask('getByRef', { ref: id.toUpperCase(), collection: MOOD }), view);
      assert.deepEqual((await ask('resolve', { refs: [id] })).records, [view]);
      await refuseXrpc(`getByRef?ref=${id}&collection=${PAINTING}`, 400, 'RecordNotFound');
    }
    assert.equal((await ask('getByRef', { ref: 'no-object-id' })).uri, odd.uri);
    // Somebody else's record that names the document does not take it away.
    const claim = await scene.pds.createRecord(ada, MOOD, moodRecord({ ref: bareId, when: day(8) }));
    await seen(refkey, claim);
    assert.equal((await ask('getByRef', { ref: bareId })).uri, bare.uri);
    assert.equal((await judged(refkey, claim)).linked, false);
    assert.equal((await ask('getByRef', { ref: bareId })).uri, bare.uri);
    for (const [person, { uri, rkey }] of [
      [bea, odd],
      [bea, bare],
      [ada, claim],
    ]) {
      await scene.pds.deleteRecord(person, MOOD, rkey);
      await refkey.until('getByRkey', parts(uri), ({ status: s }) => s === 400, soon);
    }
    for (const id of [oddId, bareId]) await refuseXrpc(`getByRef?ref=${id}`, 400, 'RecordNotFound');
    assert.deepEqual((await ask('resolve', { refs: [bareId, oddId] })).missing, [{ ref: bareId }, { ref: oddId }]);
  });

  it('list a collection by when, page by page', async () => {
    const order = (records) => records.map((r) => Date.parse(r.value.when));
    const newest = await listAll(refkey, { collection: MOOD });
    assert.equal(newest.length, 5);
    assert.deepEqual(
      order(newest),
      [5, 4, 3, 2, 1].map((n) => +day(n)),
    );
    for (const limit of [1, 2, 3, 4, 5]) {
      assert.deepEqual(await listAll(refkey, { collection: MOOD, limit }), newest, `limit ${limit}`);
      const reverse = await listAll(refkey, { collection: MOOD, limit, reverse: true });
      assert.deepEqual(reverse, newest.toReversed(), `limit ${limit}, reverse`);
    }
    const page = await ask('listRecords', { collection: MOOD, limit: 5 });
    assert.ok(!('cursor' in page));
    const theirs = await listAll(refkey, { collection: MOOD, repo: bea.did });
    assert.deepEqual(
      theirs.map((r) => r.uri),
      [wrote.bare.uri, wrote.older.uri],
    );
    const between = { since: new Date(day(2) - 1).toISOString(), until: new Date(+day(4) + 1).toISOString() };
    const some = await ask('listRecords', { collection: MOOD, ...between });
    assert.deepEqual(
      order(some.records),
      [4, 3, 2].map((n) => +day(n)),
    );
    const up = await listAll(refkey, { collection: MOOD, ...between, reverse: true, limit: 1 });
    assert.deepEqual(
      order(up),
      [2, 3, 4].map((n) => +day(n)),
    );
    const none = await ask('listRecords', { collection: MOOD, since: day(20).toISOString() });
    assert.deepEqual(none, { records: [] });
    const single = await ask('listRecords', { collection: PAINTING, repo: ada.did });
    assert.deepEqual(single.records[0], await ask('getByRef', { ref: wrote.painting.ref }));
  });

  it('go on with a cursor where the page ended, whatever comes before it', async () => {
    const first = await ask('listRecords', { collection: MOOD, limit: 2 });
    const newer = await scene.pds.createRecord(ada, MOOD, moodRecord({ when: day(9) }));
    await linked(refkey, newer);
    const rest = await ask('listRecords', { collection: MOOD, limit: 100, cursor: first.cursor });
    assert.equal(rest.records.length, 3);
    await scene.pds.deleteRecord(ada, MOOD, newer.rkey);
    await refkey.until('getByRkey', parts(newer.uri), ({ status: s }) => s === 400, soon);
    assert.deepEqual(await ask('listRecords', { collection: MOOD, limit: 100, cursor: first.cursor }), rest);
  });

  it('find a painting by its code or slug', async () => {
    const { painting, recorded, sameSlug } = wrote;
    assert.equal((await ask('getPainting', { code: 'abc' })).uri, painting.uri);
    assert.equal((await ask('getPainting', { slug: '2026.1.2.1:2026.1.2.2' })).uri, recorded.uri);
    const slug = '2026.1.1.12.00.00.000';
    assert.equal((await ask('getPainting', { slug, repo: ada.did })).uri, painting.uri);
    assert.equal((await ask('getPainting', { slug, repo: bea.handle })).uri, sameSlug.uri);
    assert.ok([painting.uri, sameSlug.uri].includes((await ask('getPainting', { slug })).uri));
    assert.deepEqual(await ask('getPainting', { code: 'abc' }), await ask('getByRef', { ref: painting.ref }));
    await refuseXrpc('getPainting?code=nope', 400, 'RecordNotFound');
    await refuseXrpc(`getPainting?code=abc&repo=${bea.did}`, 400, 'RecordNotFound');
    await refuseXrpc('getPainting', 400, 'InvalidRequest', /code|slug/);
    await refuseXrpc('getPainting?code=abc&slug=abc', 400, 'InvalidRequest', /code|slug/);
  });

  it('answer a code with the painting of its document', async () => {
    const document = paintingDocument({ user: bea.user, code: 'thief', slug: 'thief' });
    await scene.mongo.paintings.insertOne(document);
    const claim = await scene.pds.createRecord(
      ada,
      PAINTING,
      paintingRecord({ code: 'thief', slug: 'thief', ref: objectId() }),
    );
    assert.equal((await judged(refkey, claim)).linked, false);
    await refuseXrpc('getPainting?code=thief', 400, 'RecordNotFound');
    const true_ = await scene.pds.createRecord(
      bea,
      PAINTING,
      paintingRecord({ code: 'thief', slug: 'thief', ref: document._id }),
    );
    await linked(refkey, true_);
    assert.equal((await ask('getPainting', { code: 'thief' })).uri, true_.uri);
    for (const [person, { rkey }] of [
      [ada, claim],
      [bea, true_],
    ])
      await scene.pds.deleteRecord(person, PAINTING, rkey);
    await refkey.until('getPainting', { code: 'thief' }, ({ body }) => body.error === 'RecordNotFound', soon);
  });

  it('tell the state of the service and of a repo', async () => {
    await settled(refkey);
    const now = await ask('getStatus');
    const { version, source, cursor, lagSeconds, repos, desynchronized, records, mongo, ...rest } = now;
    assert.deepEqual(rest, {});
    assert.match(version, /^\d+\.\d+\.\d+/);
    assert.equal(source, scene.pds.url);
    assert.ok(Number.isInteger(cursor) && cursor > 0);
    assert.ok(Number.isInteger(lagSeconds) && lagSeconds >= 0 && lagSeconds < 600);
    assert.deepEqual([repos, desynchronized], [2, 0]);
    assert.deepEqual(records, [
      { collection: MOOD, count: 5 },
      { collection: PAINTING, count: 3 },
    ]);
    assert.deepEqual(mongo, { connected: true, pending: 0 });
    const health = await refkey.get('/xrpc/_health');
    assert.deepEqual([health.status, health.body], [200, { version }]);

    const repo = await ask('getRepoStatus', { repo: ada.did });
    assert.equal(repo.did, ada.did);
    const listed = (await scene.pds.listReposAll()).find((r) => r.did === ada.did);
    assert.equal(repo.rev, listed.rev);
    assert.deepEqual(repo.records, [
      { collection: MOOD, count: 3 },
      { collection: PAINTING, count: 1 },
    ]);
    await refuseXrpc('getRepoStatus?repo=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', 400, 'RepoNotFound');
    await refuseXrpc('getRepoStatus?repo=nobody.test', 400, 'RepoNotFound');
    await refuseXrpc('getRepoStatus', 400, 'InvalidRequest', /repo/);
  });

  it('move the cursor of the status with the stream', async () => {
    const { cursor } = await status(refkey);
    const record = await scene.pds.createRecord(ada, MOOD, moodRecord({ when: day(9) }));
    await seen(refkey, record);
    assert.ok((await status(refkey)).cursor > cursor);
    await scene.pds.deleteRecord(ada, MOOD, record.rkey);
    await refkey.until('getByRkey', parts(record.uri), ({ status: s }) => s === 400, soon);
  });

  it('are each as their lexicon says', () => {
    const lexicons = new Lexicons(lexiconFiles().map((file) => JSON.parse(readFileSync(file, 'utf8'))));
    for (const { method, params, body } of answers) {
      lexicons.assertValidXrpcParams(group + method, params);
      lexicons.assertValidXrpcOutput(group + method, body);
    }
    const methods = 'getByRef getByRkey getPainting getRepoStatus getStatus listRecords resolve'.split(' ');
    assert.deepEqual([...new Set(answers.map((a) => a.method))].sort(), methods);
  });
});

describe('a service that is not ready', () => {
  let scene;
  let refkey;
  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  it('answers hits, and misses with NotReady', async () => {
    const ada = await scene.stranger();
    const ref = String(objectId());
    const record = await scene.pds.createRecord(ada, MOOD, moodRecord({ ref }));
    refkey = await scene.refkey();
    await seen(refkey, record);
    const slow = scene.proxy.http({ hang: true }, { method: 'com.atproto.sync.listRepos' });
    await refkey.restart();
    await until(() => slow.fired > 0, { what: 'listRepos was asked', ...soon });
    const health = await refkey.get('/xrpc/_health');
    assert.equal(health.status, 503);
    assert.equal(health.body.error, 'NotReady');
    assert.equal((await refkey.xrpc('getByRef', { ref })).status, 200);
    const params = { repo: ada.did, collection: MOOD, rkey: tid() };
    for (const [method, query] of [
      ['getByRef', { ref: String(objectId()) }],
      ['getByRkey', params],
    ]) {
      const miss = await refkey.xrpc(method, query);
      assert.deepEqual([miss.status, miss.body.error], [503, 'NotReady'], method);
    }
    scene.proxy.honest();
    await refkey.restart();
    await refkey.ready();
    assert.equal((await refkey.xrpc('getByRkey', params)).body.error, 'RecordNotFound');
  });

  it('answers misses once it was ready, whether or not anybody asked then', async () => {
    await refkey.restart();
    const logged = (what) =>
      until(() => refkey.log().some(({ message }) => what.test(message ?? '')), { what: String(what), ...soon });
    await logged(/^compared with the source/);
    await scene.proxy.down();
    await logged(/^the connection ended/);
    const miss = await refkey.xrpc('getByRef', { ref: String(objectId()) });
    assert.deepEqual([miss.status, miss.body.error], [400, 'RecordNotFound']);
    assert.equal((await refkey.get('/xrpc/_health')).status, 503);
    await scene.proxy.up();
    await refkey.ready();
  });
});
