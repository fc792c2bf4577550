// `refkey delete`: single ones, on both sides, by ref and by URI; again changes nothing, others stay.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, afterEach, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { GUEST, MOOD, moodDocument, moodRecord, objectId, PAINTING, paintingDocument, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, explain, failingDeletes, judged, linked, named, otherPds, seen, settled, soon, startScene, tid, unseen } from './scene.mjs';

describe('delete', () => {
  let scene;
  let refkey;
  let count = 0;

  const writer = (user) => scene.writer({ user });
  const uri = (person, { rkey }, collection = MOOD) => `at://${person.did}/${collection}/${rkey}`;

  // A mood on both sides: { document, record }. record: changes of it; document: of it.
  async function mood(person, { record = {}, document = {} } = {}) {
    const d = moodDocument({ user: person.user, mood: `mood ${count++}`, rkey: tid(), ...document });
    // First, or refkey might make one for the record.
    await scene.mongo.moods.insertOne(d);
    const theirs = await scene.pds.createRecord(person, MOOD, { ...moodRecord({ ...d, ref: d._id }), ...record }, d.atproto?.rkey);
    return { document: d, record: theirs };
  }
  async function painting(person) {
    const d = paintingDocument({ user: person.user, code: `d${count}`, slug: `slug/${count++}`, rkey: tid() });
    if (person.user === GUEST) delete d.user;
    await scene.mongo.paintings.insertOne(d);
    const theirs = await scene.pds.createRecord(person, PAINTING, paintingRecord({ ...d, ref: d._id }), d.atproto.rkey);
    return { document: d, record: theirs };
  }
  const find = (d, collection = MOOD) => scene.documents(collection).findOne({ _id: d._id });
  const rkeys = async (person, collection = MOOD) =>
    (await scene.pds.listRecordsAll(person.did, collection)).map((r) => r.uri.split('/').pop()).sort();

  async function del(...args) {
    const { code, stdout, stderr } = await refkey.run(['delete', '--json', ...args.map(String)]);
    const shown = `delete ${args.join(' ')}: ${code}\n${stdout}${stderr}`;
    return { code, stderr, shown, ...(stdout && JSON.parse(stdout)) };
  }
  async function assertGone(d, collection = MOOD) {
    const { atproto, ...rest } = d;
    assert.deepEqual(await find(d, collection), {
      ...rest,
      ...(atproto && { atproto: {} }),
      [collection === MOOD ? 'deleted' : 'nuked']: true,
    });
  }
  async function started() {
    if (!refkey.running) await refkey.start();
    await refkey.ready();
  }

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  afterEach((t) => {
    scene.proxy.honest();
    explain(t, refkey);
  });

  it('refuses wrong usage with 2, and says of each name that stands for nothing', async () => {
    for (const args of [[], ['--yes', 'x'], ['--limit', '2', 'x']]) assert.equal((await del(...args)).code, 2);
    const person = await writer();
    const cases = [
      [String(objectId()), 'unknown', ''],
      ['nothing-of-the-kind', 'unknown', ''],
      ['x'.repeat(65), 'failed', /neither a ref nor/],
      ['at://', 'failed', /AT-URI/],
      [`at://${person.did}`, 'failed', /names no record/],
      [`at://${person.did}/app.bsky.feed.post/3kaaaaaaaaa22`, 'failed', /names no record/],
      [`at://nobody.test/${MOOD}/3kaaaaaaaaa22`, 'failed', /handle is not known, or not verified/],
      [`at://@nobody-at-all/${MOOD}/3kaaaaaaaaa22`, 'failed', /no such user: @nobody-at-all/],
      [`at://@poor/${MOOD}/3kaaaaaaaaa22`, 'failed', /no ATProto account/],
      [`at://@${person.name}/not a collection/x`, 'failed', /AT-URI/],
      [`at://@/${MOOD}/3kaaaaaaaaa22`, 'failed', /no such user: @$/],
      [`at://${person.name}/${MOOD}/3kaaaaaaaaa22`, 'failed', /an @handle of the site/],
    ];
    await scene.mongo.user({ _id: 'auth0|poor', handle: 'poor' });
    const { code, records, summary, shown } = await del(...cases.map(([name]) => name));
    assert.equal(code, 1, shown);
    assert.deepEqual(records.map((r) => [r.name, r.outcome]), cases.map(([name, outcome]) => [name, outcome]));
    for (const [i, [, , reason]] of cases.entries()) assert.match(records[i].reason, reason || /^$/);
    assert.deepEqual([summary.unknown, summary.failed, summary.deleted], [2, 10, 0]);
  });

  for (const beside of [true, false]) {
    for (const mode of beside ? ['soft', 'keep'] : ['soft']) {
      it(`by ref and by URI, ${beside ? `beside a serve with ON_DELETE=${mode}` : 'without a serve'}`, async () => {
        await refkey.stop();
        await refkey.start({ REFKEY_ON_DELETE: mode });
        await refkey.ready();
        const [ada, bea] = await Promise.all([writer(), writer()]);
        const [one, two, other] = [await mood(ada), await mood(ada), await mood(ada)];
        const [three, kept] = [await painting(bea), await mood(bea)];
        for (const { record } of [one, two, other, three, kept]) await linked(refkey, record);
        await named(refkey, bea);
        await settled(refkey);
        if (!beside) await refkey.stop();
        const names = [String(one.document._id).toUpperCase(), `at://@${ada.name}/${MOOD}/${two.record.rkey}`, `at://${bea.name}.test/${PAINTING}/${three.record.rkey}`];

        const dry = await del('--dry-run', ...names);
        assert.deepEqual([dry.code, dry.summary.deleted, dry.summary.dryRun], [0, 3, true], dry.shown);
        assert.deepEqual(dry.records.map((r) => r.records), [[one.record.uri], [two.record.uri], [three.record.uri]]);
        assert.deepEqual(await find(one.document), one.document);
        assert.equal((await rkeys(ada)).length, 3);

        const { code, records, shown } = await del(...names);
        assert.equal(code, 0, shown);
        assert.deepEqual(records.map((r) => [r.name, r.outcome, r.records]), [
          [names[0], 'deleted', [one.record.uri]],
          [names[1], 'deleted', [two.record.uri]],
          [names[2], 'deleted', [three.record.uri]],
        ]);
        assert.deepEqual(await rkeys(ada), [other.record.rkey]);
        assert.deepEqual(await rkeys(bea, PAINTING), []);
        await assertGone(one.document);
        await assertGone(two.document);
        await assertGone(three.document, PAINTING);
        assert.deepEqual(await find(other.document), other.document);
        const again = await del(...names);
        assert.deepEqual([again.code, again.summary.already], [0, 3], again.shown);

        await started();
        await unseen(refkey, one.record);
        await unseen(refkey, three.record);
        await settled(refkey);
        await assertGone(one.document);
        await assertGone(three.document, PAINTING);
        await linked(refkey, other.record);
        await assertChecks(refkey);
      });
    }
  }

  it('by a ref all of its duplicates go, by a URI that one alone', async () => {
    await refkey.restart({ REFKEY_ON_DELETE: 'soft' });
    await refkey.ready();
    const person = await writer();
    const { document: d, record } = await mood(person);
    const more = [];
    for (let i = 0; i < 2; i++) more.push(await scene.pds.createRecord(person, MOOD, moodRecord({ ...d, ref: d._id })));
    await linked(refkey, record);
    for (const r of more) await judged(refkey, r);
    const one = await del(more[0].uri);
    assert.deepEqual([one.code, one.records[0].outcome, one.records[0].document], [0, 'deleted', null], one.shown);
    assert.deepEqual(await rkeys(person), [record.rkey, more[1].rkey].sort());
    await settled(refkey);
    assert.deepEqual(await find(d), d);
    const all = await del(d._id);
    assert.deepEqual(all.records[0].records.sort(), [record.uri, more[1].uri].sort(), all.shown);
    assert.deepEqual(await rkeys(person), []);
    await assertGone(d);
  });

  it('by a ref more of them go than one request takes', async () => {
    const person = await writer();
    const { document: d, record } = await mood(person);
    await linked(refkey, record);
    const create = { action: 'create', collection: MOOD, value: moodRecord({ ...d, ref: d._id }) };
    const more = (await scene.pds.applyWrites(person, Array(200).fill(create))).results;
    for (const r of more) await seen(refkey, r);
    const all = await del(d._id);
    assert.equal(all.code, 0, all.shown);
    assert.deepEqual(all.records[0].records.sort(), [record, ...more].map((r) => r.uri).sort());
    assert.deepEqual(await rkeys(person), []);
    await assertGone(d);
  });

  it("somebody else's document stays, whatever the record says", async () => {
    const [ada, eve] = await Promise.all([writer(), writer()]);
    const { document: d, record } = await mood(ada);
    const false1 = await scene.pds.createRecord(eve, MOOD, moodRecord({ ...d, ref: d._id }));
    await linked(refkey, record);
    await seen(refkey, false1);
    const gone = await del(false1.uri);
    assert.deepEqual([gone.code, gone.records[0].document], [0, null], gone.shown);
    assert.deepEqual(await rkeys(eve), []);
    assert.deepEqual(await find(d), d);
    const false2 = await scene.pds.createRecord(eve, MOOD, moodRecord({ ...d, ref: d._id }));
    await seen(refkey, false2);
    const by = await del(d._id);
    assert.deepEqual(by.records.map((r) => r.records), [[record.uri]], by.shown);
    assert.deepEqual(await rkeys(eve), [false2.rkey]);
  });

  it("a document that names another document's record loses its name, not the record", async () => {
    const person = await writer();
    const { document: d, record } = await mood(person);
    const wrong = moodDocument({ user: person.user, rkey: record.rkey });
    await scene.mongo.moods.insertOne(wrong);
    const { code, records, shown } = await del(wrong._id);
    assert.deepEqual([code, records[0].records, records[0].document], [0, [], String(wrong._id)], shown);
    assert.deepEqual(await rkeys(person), [record.rkey]);
    await assertGone(wrong);
    assert.deepEqual(await find(d), d);
    const by = await del(record.uri);
    assert.equal(by.records[0].document, String(d._id), by.shown);
    await assertGone(d);
  });

  it('what has one side only: a document without a record, a record without a document or a ref', async () => {
    const person = await writer();
    const lonely = moodDocument({ user: person.user });
    await scene.mongo.moods.insertOne(lonely);
    const dangling = moodDocument({ user: person.user, rkey: tid() });
    await scene.mongo.moods.insertOne(dangling);
    const guests = await painting(await writer(GUEST));
    const orphan = await mood(person, { document: { deleted: true } });
    const { code, shown } = await del(lonely._id, dangling._id, orphan.document._id, guests.document._id);
    assert.equal(code, 0, shown);
    await assertGone(lonely);
    await assertGone(dangling);
    await assertGone(orphan.document);
    await assertGone(guests.document, PAINTING);
    assert.deepEqual(await rkeys(person), []);
    // One that refkey itself made a document for, under an _id of its own.
    const derived = await scene.pds.createRecord(person, MOOD, { mood: 'no ref', when: new Date().toISOString() });
    await linked(refkey, derived);
    const [made] = await scene.mongo.moods.find({ 'atproto.rkey': derived.rkey }).toArray();
    const by = await del(made._id);
    assert.deepEqual(by.records.map((r) => r.records), [[derived.uri]], by.shown);
    await assertGone(made);
    const unclaimed = await scene.stranger();
    const theirs = await scene.pds.createRecord(unclaimed, MOOD, moodRecord({ ref: objectId() }));
    const refused = await del(theirs.uri);
    assert.deepEqual([refused.code, refused.records[0].outcome], [1, 'failed'], refused.shown);
    assert.match(refused.records[0].reason, /no user of the site/);
    assert.equal((await rkeys(unclaimed)).length, 1);
  });

  it('killed behind the yes of the PDS, and run again: the same', async () => {
    await refkey.restart({ REFKEY_ON_DELETE: 'keep' }); // the mirror does not help
    await refkey.ready();
    const person = await writer();
    const [one, two] = [await mood(person), await mood(person)];
    await linked(refkey, one.record);
    await linked(refkey, two.record);
    await refkey.stop();
    for (const [name, { document: d }] of [[one.document._id, one], [two.record.uri, two]]) {
      const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const child = spawn(binary, ['delete', String(name)], { env: refkey.env, stdio: 'ignore' });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      await until(() => fault.held === 1, { what: 'the PDS has said yes', ...soon });
      child.kill('SIGKILL');
      await ended;
      assert.deepEqual(await find(d), d);
      const { code, shown } = await del(name);
      assert.equal(code, 0, shown);
      await assertGone(d);
    }
    assert.deepEqual(await rkeys(person), []);
  });

  describe('with a PDS that fails', () => {
    // Somebody's mood on both sides, and no serve any more.
    async function left() {
      await started();
      const person = await writer();
      const { document, record } = await mood(person);
      await linked(refkey, record);
      await settled(refkey);
      await refkey.stop();
      return { person, document };
    }
    for (const [what, wrong] of failingDeletes) {
      it(`that ${what}: gone on both sides`, async () => {
        const { person, document } = await left();
        const fault = scene.proxy.http(wrong, { method: 'com.atproto.repo.applyWrites', times: 1 });
        const { code, summary, shown } = await del(document._id);
        assert.equal(fault.fired, 1);
        assert.deepEqual([code, summary.deleted, summary.failed], [0, 1, 0], shown);
        assert.deepEqual(await rkeys(person), []);
        await assertGone(document);
      });
    }

    it('that deletes the account in the middle: the next run finds the rest to do', async () => {
      const { person, document } = await left();
      let letGo;
      const fault = scene.proxy.http({ hold: new Promise((resolve) => (letGo = resolve)) }, { method: 'com.atproto.server.createSession', times: 1 });
      const running = del(document._id);
      try {
        await until(() => fault.held, { what: 'the login', ...soon });
        await scene.pds.deleteAccount(person.did);
      } finally {
        letGo();
      }
      const { code, shown } = await running;
      // Either the PDS says that there is nothing to be deleted, or that the login is void: never a way in between.
      assert.ok(code === 0 || code === 1, shown);
      const again = await del(document._id);
      assert.equal(again.code, 0, again.shown);
      await assertGone(document);
    });
  });

  it('another PDS than the index follows, which knows no such repo: no document is marked', async () => {
    await started();
    const one = await mood(await writer());
    await linked(refkey, one.record);
    await refkey.stop();
    for (const name of [one.document._id, one.record.uri]) {
      const { code, stdout, stderr } = await refkey.run(['delete', String(name)], { env: otherPds(scene) });
      assert.equal(code, 1, stdout + stderr);
      assert.match(stdout, /is REFKEY_PDS_URL right/);
      assert.deepEqual(await find(one.document), one.document);
    }
  });

  it('a login that fails, a PDS and a MongoDB that are away', async () => {
    await refkey.restart({ REFKEY_ON_DELETE: 'soft' });
    await refkey.ready();
    const [bad, good] = await Promise.all([writer(), writer()]);
    const [one, two] = [await mood(bad), await mood(good)];
    await linked(refkey, one.record);
    await linked(refkey, two.record);
    await refkey.stop();
    await scene.storePassword(bad, 'wrong');
    const some = await del(one.record.uri, two.record.uri);
    assert.deepEqual([some.code, some.summary.failed, some.summary.deleted], [1, 1, 1], some.shown);
    assert.deepEqual(await find(one.document), one.document);
    await assertGone(two.document);
    const fault = scene.proxy.http({ reset: true });
    const away = await del(one.record.uri);
    assert.equal(away.code, 3, away.shown);
    assert.ok(fault.fired > 1);
    assert.match(away.stderr, /the PDS/);
    scene.proxy.honest();
    await scene.mongo.kill();
    const lost = await del(one.record.uri);
    await scene.mongo.start();
    assert.equal(lost.code, 3, lost.shown);
    assert.match(lost.stderr, /MongoDB/);
  });
});
