// `refkey publish` beside a site that goes on: what becomes of a document between being found and being written
// is seen, however long the PDS's limits keep it back.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { MOOD, moodDocument, moodRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { soon, startScene, tid } from './scene.mjs';

describe('publish, meanwhile', () => {
  let scene;
  let refkey;

  async function moods(person, n) {
    const when = Date.now() - 3_600_000;
    const all = Array.from({ length: n }, (_, i) => moodDocument({ user: person.user, when: new Date(when + i) }));
    await scene.mongo.moods.insertMany(all);
    return all; // by time, as they are published
  }
  const set = (d, update) => scene.mongo.moods.updateOne({ _id: d._id }, { $set: update });
  const refs = async ({ did }) => (await scene.pds.listRecordsAll(did, MOOD)).map((r) => r.value.ref);

  // The PDS refuses to write until the site has done it; then all is as the PDS likes it.
  async function publishWhile(meanwhile, seconds, ...args) {
    const limit = { status: 429, headers: { 'retry-after': `${seconds}` } };
    const fault = scene.proxy.http(limit, { method: 'com.atproto.repo.applyWrites' });
    const running = refkey.run(['publish', 'moods', '--json', ...args]);
    await until(() => fault.fired > 0, { what: 'the PDS is asked', ...soon });
    await meanwhile(fault);
    fault.end();
    const { code, stdout, stderr } = await running;
    const { summary, records } = JSON.parse(stdout);
    const { created, skipped, failed } = summary;
    return { shown: stdout + stderr, records, result: { code, created, skipped, failed } };
  }

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey();
    await refkey.stop();
  });
  after(() => scene?.close());
  afterEach(() => scene.proxy.honest());

  it('a document that came to be another user’s is not written to the first one’s repo', async () => {
    const [one, two] = await Promise.all([scene.writer(), scene.writer()]);
    const [a, b] = await moods(one, 2);
    // With a delay nothing is read ahead.
    const args = ['--user', one.user, '--batch-size', '1', '--delay', '1'];
    const { result, records, shown } = await publishWhile(() => set(b, { user: two.user }), 1, ...args);
    assert.deepEqual(result, { code: 0, created: 1, skipped: 1, failed: 0 }, shown);
    assert.equal(records.find((l) => l.ref === String(b._id)).reason, 'somebody else\'s meanwhile');
    assert.deepEqual(await refs(one), [String(a._id)]);
    assert.equal((await scene.mongo.moods.findOne({ _id: b._id })).atproto, undefined);
  });

  it('a batch that is kept back is looked at once more before it is written', async () => {
    const [one, two] = await Promise.all([scene.writer(), scene.writer()]);
    const [stays, deleted, removed, given, named] = await moods(one, 5);
    const meanwhile = () =>
      Promise.all([
        set(deleted, { deleted: true }),
        scene.mongo.moods.deleteOne({ _id: removed._id }),
        set(given, { user: two.user }),
        set(named, { atproto: { rkey: tid() } }),
      ]);
    // Longer than a document counts as it was read.
    const { result, shown } = await publishWhile(meanwhile, 11, '--user', one.user);
    assert.deepEqual(result, { code: 0, created: 1, skipped: 4, failed: 0 }, shown);
    assert.deepEqual(await refs(one), [String(stays._id)]);
  });

  // The lexicon asks for no results; a server that lost its disk, or another than a PDS, says so too.
  it('a user over whom the PDS fails ends nobody else’s part: the others are written, and it ends with 3', async () => {
    const [failing, fine] = await Promise.all([scene.writer(), scene.writer()]);
    const [lost, kept] = [await moods(failing, 2), await moods(fine, 2)];
    const query = (q) => q.get('repo') === failing.did;
    const fails = scene.proxy.http({ status: 503 }, { method: 'com.atproto.repo.listRecords', query });
    // Until it is asked no more for the one, while it is for the other.
    const givenUp = (limit) => {
      let [last, at] = [-1, 0];
      const quiet = () => {
        if (fails.fired !== last) [last, at] = [fails.fired, limit.fired];
        return last > 0 && limit.fired - at >= 6;
      };
      return until(quiet, { what: 'the one is given up, and the other goes on', ...soon });
    };
    const { result, records, shown } = await publishWhile(givenUp, 1, '--user', failing.user, '--user', fine.user);
    assert.deepEqual(result, { code: 3, created: 2, skipped: 0, failed: 2 }, shown);
    for (const l of records.filter((r) => r.outcome === 'failed')) assert.match(l.reason, /the PDS: HTTP 503/);
    assert.deepEqual((await refs(fine)).sort(), kept.map((d) => String(d._id)).sort());
    fails.end();
    const next = await refkey.run(['publish', 'moods', '--user', failing.user]);
    assert.equal(next.code, 0, next.stdout + next.stderr);
    assert.deepEqual((await refs(failing)).sort(), lost.map((d) => String(d._id)).sort());
  });

  describe('where users come one by one, a user over whom the PDS fails does not end the run', () => {
    const LIST = 'com.atproto.repo.listRecords';
    const WRITE = 'com.atproto.repo.applyWrites';
    // In the order in which they are published.
    async function pair() {
      const [failing, fine] = (await Promise.all([scene.writer(), scene.writer()])).sort((a, b) => (a.user < b.user ? -1 : 1));
      return { failing, fine, lost: await moods(failing, 2), kept: await moods(fine, 2), args: ['--user', failing.user, '--user', fine.user] };
    }
    async function publish(...args) {
      const { code, stdout, stderr } = await refkey.run(['publish', 'moods', '--json', ...args]);
      const { summary, records } = JSON.parse(stdout);
      return { shown: stdout + stderr, records, result: { code, created: summary.created, failed: summary.failed } };
    }
    // Nothing twice, and nothing is missing in the end.
    async function continued(...people) {
      const { result, shown } = await publish(...people.flatMap(([p]) => ['--user', p.user]));
      assert.equal(result.code, 0, shown);
      for (const [p, all] of people) assert.deepEqual((await refs(p)).sort(), all.map((d) => String(d._id)).sort());
    }

    for (const more of [['--delay', '1'], ['--limit', '2', '--batch-size', '1']]) {
      it(more.join(' '), async () => {
        const { failing, fine, lost, kept, args } = await pair();
        const fails = scene.proxy.http({ status: 503 }, { method: LIST, query: (q) => q.get('repo') === failing.did });
        const { result, records, shown } = await publish(...args, ...more);
        fails.end();
        assert.deepEqual(result, { code: 3, created: 2, failed: 2 }, shown);
        assert.deepEqual(records.filter((l) => l.outcome === 'failed').map((l) => l.ref).sort(), lost.map((d) => String(d._id)).sort());
        await continued([failing, lost], [fine, kept]);
      });
    }

    it('what it certainly did not write takes no place of the limit', async () => {
      const { failing, fine, lost, kept, args } = await pair();
      const next = () => scene.proxy.requests.some((r) => r.method === LIST && r.query.get('repo') === fine.did);
      const fails = scene.proxy.http({ reset: true }, { method: WRITE, query: () => !next() });
      // It is told of the one that failed, also where that is not the last.
      await scene.pds.createRecord(failing, MOOD, moodRecord({ ...lost[1], ref: lost[1]._id }));
      const { result, records, shown } = await publish(...args, '--limit', '3');
      assert.ok(fails.fired > 1);
      fails.end();
      assert.deepEqual(result, { code: 3, created: 2, failed: 1 }, shown);
      const theirs = records.filter((l) => l.did === failing.did).map((l) => [l.outcome, l.ref]);
      assert.deepEqual(theirs.sort(), [['failed', String(lost[0]._id)], ['linked', String(lost[1]._id)]], shown);
      assert.equal((await refs(fine)).length, 2);
      await continued([failing, lost], [fine, kept]);
    });

    it('what it may have written takes one', async () => {
      const { failing, fine, lost, kept, args } = await pair();
      const cut = scene.proxy.http({ truncate: 0 }, { method: WRITE, times: 1 });
      scene.proxy.http({ status: 503 }, { method: LIST, query: (q) => q.get('repo') === failing.did && cut.fired > 0 });
      const { result, shown } = await publish(...args, '--limit', '3');
      scene.proxy.honest();
      assert.deepEqual(result, { code: 3, created: 1, failed: 2 }, shown);
      assert.deepEqual([(await refs(failing)).length, (await refs(fine)).length], [2, 1]);
      await continued([failing, lost], [fine, kept]);
    });
  });

  it('a yes that does not say to what is looked into', async () => {
    const person = await scene.writer();
    const all = await moods(person, 3);
    const publish = async () => {
      const { code, stdout, stderr } = await refkey.run(['publish', 'moods', '--json', '--user', person.user]);
      return { code, shown: stdout + stderr, ...JSON.parse(stdout) };
    };
    const fault = scene.proxy.http({ status: 200, body: '{}' }, { method: 'com.atproto.repo.applyWrites', times: 1 });
    const { code, summary, records, shown } = await publish();
    assert.equal(fault.fired, 1);
    assert.deepEqual([code, summary.failed], [1, 3], shown);
    for (const { reason } of records) assert.equal(reason, 'the PDS said yes, and did not do it');
    assert.equal(await scene.mongo.moods.countDocuments({ user: person.user, atproto: { $exists: true } }), 0);

    const again = await publish();
    assert.deepEqual([again.code, again.summary.created], [0, 3], again.shown);
    assert.deepEqual((await refs(person)).sort(), all.map((d) => String(d._id)).sort());
  });

  it('a yes to a single one that is no JSON is looked into', async () => {
    const person = await scene.writer();
    const [d] = await moods(person, 1);
    const fault = scene.proxy.http({ instead: '<p>Welcome!</p>' }, { method: 'com.atproto.repo.applyWrites', times: 1 });
    const { code, stdout, stderr } = await refkey.run(['publish', 'moods', '--json', '--user', person.user]);
    assert.equal(fault.fired, 1);
    const { created, failed } = JSON.parse(stdout).summary;
    assert.deepEqual([code, created, failed], [0, 1, 0], stdout + stderr);
    assert.deepEqual(await refs(person), [String(d._id)]);
    assert.ok((await scene.mongo.moods.findOne({ _id: d._id })).atproto.rkey);
  });
});
