// What `serve` publishes for a user whose repo the index is known to have whole: without a listing, as a write
// that the PDS makes only from the commit that the index is at. Whatever came between is found all the same.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { MOOD, moodDocument, moodRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, explain, settled, soon, startScene } from './scene.mjs';
import { Site, smallBatches } from './site.mjs';

// A machine that stands still at the wrong moment has a repo listed that need not be; hardly each time.
const tries = 10;

describe('a repo that the index has whole', () => {
  let scene;
  let site;
  let refkey;

  before(async () => {
    scene = await startScene({ proxy: true });
    site = new Site(scene);
    refkey = await scene.refkey({ REFKEY_PUBLISH: 'exclusive', ...smallBatches(scene) });
  });
  afterEach((t) => {
    scene?.proxy.honest();
    explain(t, refkey);
  });
  after(() => scene?.close());

  const asked = (method, fits) => scene.proxy.requests.filter((r) => r.method === `com.atproto.repo.${method}` && fits(r)).length;
  const listings = ({ did }) => asked('listRecords', ({ query }) => query.get('repo') === did);
  const refusals = () => asked('applyWrites', ({ status }) => status === 400);

  // Until the index is where the PDS is.
  const level = ({ did }) =>
    until(
      async () => {
        const { rev } = await scene.pds.call('com.atproto.sync.getLatestCommit', { did });
        const { body } = await refkey.xrpc('getRepoStatus', { repo: did });
        return body.rev === rev && !body.desynchronized;
      },
      { what: 'the index is level', ...soon },
    );

  // Somebody for whom the last document was published without a listing.
  async function known(person) {
    person ??= await scene.writer();
    for (let i = 0; i < tries; i++) {
      await level(person);
      const before = listings(person);
      await site.published(person, await site.post(person));
      if (listings(person) === before) {
        await level(person);
        return person;
      }
    }
    assert.fail('its repo is listed each time');
  }

  const key = (d) => until(async () => (await site.find(d)).atproto?.rkey, { what: `${d.mood} has a key`, ...soon });
  const withRef = async (person, d) => (await site.records(person)).filter((r) => r.value.ref === String(d._id));

  it('is not listed again, however many documents there are', async () => {
    const person = await scene.writer();
    for (let i = 0; i < 3; i++) await known(person);
    const all = await site.posts(person, 30);
    for (const d of all) await site.published(person, d);
    await known(person);
    await settled(refkey);
  });

  it('after a restart is listed first', async () => {
    const person = await known();
    await refkey.stop();
    await refkey.start();
    await refkey.ready();
    await level(person);
    const before = listings(person);
    await site.published(person, await site.post(person));
    assert.ok(listings(person) > before);
    await known(person);
  });

  for (const [what, between] of Object.entries({
    'the very record, under a key of its own': (person, d) => scene.pds.createRecord(person, MOOD, moodRecord({ ...d, ref: d._id })),
    'something else': (person) => scene.pds.createRecord(person, 'app.bsky.feed.post', { text: 'hello', createdAt: new Date().toISOString() }),
  })) {
    it(`somebody else has written meanwhile: ${what}`, async () => {
      let refused = 0;
      for (let i = 0; i < tries && !refused; i++) {
        const person = await known();
        const d = moodDocument({ user: person.user, mood: `meanwhile ${i}` });
        const [listed, before] = [listings(person), refusals()];
        // The stream tells nothing of it.
        scene.proxy.stall();
        const written = await between(person, d);
        await scene.mongo.moods.insertOne(d);
        const rkey = await key(d);
        const theirs = await withRef(person, d);
        assert.deepEqual(theirs.map((r) => r.uri.split('/').pop()), [rkey]);
        if (written.uri.includes(MOOD)) assert.equal(theirs[0].uri, written.uri);
        assert.ok(listings(person) > listed, 'it was found without a listing');
        refused = refusals() - before;
        scene.proxy.stall(false);
        await known(person);
        assert.equal((await withRef(person, d)).length, 1);
      }
      assert.ok(refused, 'the PDS was never asked for a commit that had passed');
    });
  }

  for (const [what, wrong] of Object.entries({
    'answers 500': { status: 500 },
    'does it, and its answer is cut off': { truncate: 0 },
  })) {
    it(`a PDS that ${what}: nothing twice`, async () => {
      const person = await known();
      const fault = scene.proxy.http(wrong, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const all = await site.posts(person, 5);
      for (const d of all) await site.published(person, d);
      assert.equal(fault.fired, 1);
      await known(person);
      for (const d of all) assert.equal((await withRef(person, d)).length, 1);
    });
  }

  it('killed between the yes of the PDS and the document: the same record', async () => {
    const person = await known();
    const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', times: 1 });
    const d = await site.post(person);
    await until(() => fault.held === 1, { what: 'the PDS has said yes', ...soon });
    await refkey.kill();
    const [record] = await withRef(person, d);
    await refkey.start();
    await refkey.ready();
    assert.equal((await site.published(person, d)).uri, record.uri);
    await known(person);
    await settled(refkey);
    await assertChecks(refkey);
  });
});
