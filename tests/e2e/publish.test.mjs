// `refkey publish moods`: MongoDB to the PDS, alone and beside a running serve; nothing twice, whatever
// happens on the way.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { binary } from '../kit/refkey.mjs';
import { GUEST, MOOD, moodDocument, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, linked, settled, soon, startScene, tid } from './scene.mjs';

describe('publish moods', () => {
  let scene;
  let refkey;
  let count = 0;

  const writer = (password) => scene.writer({ password });
  async function moods(person, n, more = {}) {
    const when = Date.now() - 3_600_000;
    const all = Array.from({ length: n }, (_, i) =>
      moodDocument({ user: person.user, mood: `mood ${count++} 🌱`, when: new Date(when + i), ...more }),
    );
    if (n) await scene.mongo.moods.insertMany(all);
    return all;
  }
  const find = (_id) => scene.mongo.moods.findOne({ _id });
  const records = (person) => scene.pds.listRecordsAll(person.did, MOOD);

  async function publish(...args) {
    const { code, signal, stdout, stderr } = await refkey.run(['publish', 'moods', '--json', ...args]);
    const shown = `publish ${args.join(' ')}: ${signal ?? code}\n${stdout}${stderr}`;
    assert.notEqual(code, null, shown);
    return { code, shown, stderr, ...(stdout && JSON.parse(stdout)) };
  }
  const users = (...people) => people.flatMap((p) => ['--user', p.user]);

  // Each document names one record, which says what it says; no record is there twice.
  async function assertPublished(person, documents) {
    const theirs = await records(person);
    const refs = theirs.map((r) => r.value.ref);
    assert.equal(new Set(refs).size, refs.length, 'a ref is there twice');
    for (const d of documents) {
      const record = theirs.find((r) => r.value.ref === String(d._id));
      assert.ok(record, `no record for ${d._id}`);
      assert.deepEqual(record.value, { $type: MOOD, ...moodRecord({ ...d, ref: d._id }) });
      assert.deepEqual(await find(d._id), { ...d, atproto: { rkey: record.uri.split('/').pop() } });
    }
    return theirs;
  }

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey();
    await refkey.stop();
  });
  after(() => scene?.close());

  it('refuses what it cannot do with 2', async () => {
    const cases = [
      [[], /moods\|paintings/],
      [['kidlisp'], /kidlisp/],
      [['moods', '--batch-size', '201'], /200/],
      [['moods', '--max-wait', 'x'], /--max-wait/],
      [['moods', '--user', '@nobody-at-all'], /nobody-at-all/],
      [['moods', '--report', '/proc/refkey'], /\/proc\/refkey/],
      [['moods', '--skip-blobs'], /moods have no images/],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await refkey.run(['publish', ...args]);
      assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
      assert.match(stderr, message);
      assert.equal(stdout, '', `${args}: nothing was begun`);
    }
  });

  it('a dry run says what would be, and writes nothing', async () => {
    const person = await writer();
    const all = await moods(person, 3);
    const { code, records: lines, summary, shown } = await publish('--dry-run', ...users(person));
    assert.equal(code, 0, shown);
    assert.equal(summary.created, 3);
    assert.deepEqual(lines.map((l) => l.ref).sort(), all.map((d) => String(d._id)).sort());
    assert.deepEqual(await records(person), []);
    for (const d of all) assert.deepEqual(await find(d._id), d);
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  it('writes records, links documents, and again finds nothing', async () => {
    const people = await Promise.all([writer(), writer(), writer()]);
    const all = await Promise.all(people.map((p, i) => moods(p, [205, 1, 7][i])));
    const gone = await moods(people[0], 1, { deleted: true });
    const had = await moods(people[1], 1, { rkey: tid() });
    const { code, records: lines, summary, shown } = await publish(...users(...people));
    assert.equal(code, 0, shown);
    assert.deepEqual([summary.found, summary.created, summary.linked, summary.failed], [213, 213, 0, 0]);
    assert.deepEqual(lines.map((l) => l.n), lines.map((_, i) => i + 1));
    for (const [i, p] of people.entries()) assert.equal((await assertPublished(p, all[i])).length, all[i].length);
    assert.deepEqual(await find(gone[0]._id), gone[0]);
    assert.deepEqual(await find(had[0]._id), had[0]);
    const again = await publish(...users(...people));
    assert.deepEqual([again.code, again.summary.found], [0, 0], again.shown);
  });

  it('tells people each record on a line', async () => {
    const person = await writer();
    const [d] = await moods(person, 1);
    const poor = await scene.mongo.user({ _id: 'auth0|poor', handle: 'poor' });
    const without = await moods({ user: poor }, 2);
    const { code, stdout } = await refkey.run(['publish', 'moods', '--user', `@${person.name}`, '--user', '@poor']);
    assert.equal(code, 0, stdout);
    const { atproto } = await find(d._id);
    assert.ok(stdout.includes(`[3/3] @${person.name} - ${d.mood} ✅ Synced (${atproto.rkey})\n`), stdout);
    assert.match(stdout, /Mode: live\nBatch size: 200\nDelay: 0 ms\nFound: 3/);
    assert.match(stdout, /@poor: 2 skipped: no ATProto account\n[^]*\nSynced: {2}1\nSkipped: 2\nFailed: {2}0\n/);
    await scene.mongo.moods.deleteMany({ _id: { $in: without.map((w) => w._id) } });
  });

  it('what a terminal would obey is written out for people, and exact for programs', async () => {
    const person = await writer();
    const handle = 'no\u001b[2Jb\u202eody\n';
    await scene.mongo.handles.updateOne({ _id: person.user }, { $set: { handle } });
    const texts = ['a\u202eb', 'c\u200bd 👩‍👧', 'e\u009bf'];
    const [bad] = await moods(person, 1, { when: 'never' });
    for (const mood of texts) await moods(person, 1, { mood });
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    const { stdout } = await refkey.run(['publish', 'moods', '--dry-run', '--report', report, '--user', person.user]);
    const lines = stdout.split('\n').filter((l) => l.startsWith('['));
    assert.equal(lines.length, texts.length + 1, stdout);
    for (const l of lines) assert.match(l, /^\[\d\/4\] @no\\u\{1b\}\[2Jb\\u\{202e\}ody\\u\{a\} - /);
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/);
    assert.match(stdout, / - a\\u\{202e\}b ✅/);
    assert.match(stdout, / - c\\u\{200b\}d 👩‍👧 ✅/);
    const [error] = JSON.parse(readFileSync(path.join(report, 'migration-errors.json'), 'utf8'));
    assert.deepEqual([error.user, error.ref], [handle, String(bad._id)]);
    rmSync(report, { recursive: true });
    const { records: all } = await publish('--dry-run', ...users(person));
    assert.deepEqual(all.map((l) => l.user), all.map(() => handle));
    assert.ok(all.some((l) => l.words === texts[0]));
    await scene.mongo.moods.deleteMany({ user: person.user });
    await scene.mongo.handles.updateOne({ _id: person.user }, { $set: { handle: person.name } });
  });

  it('what is on the PDS already is linked, under whatever key', async () => {
    const person = await writer();
    const [a, b, c] = await moods(person, 3);
    const theirs = await scene.pds.createRecord(person, MOOD, moodRecord({ ...a, ref: a._id }));
    await scene.pds.createRecord(person, MOOD, { text: b.mood, when: b.when.toISOString(), mongoId: String(b._id).toUpperCase() });
    const { code, summary, shown } = await publish(...users(person));
    assert.deepEqual([code, summary.created, summary.linked], [0, 1, 2], shown);
    assert.equal((await find(a._id)).atproto.rkey, theirs.rkey);
    assert.equal((await records(person)).length, 3);
    assert.ok((await find(c._id)).atproto.rkey);
  });

  it('a key that another record has gives way', async () => {
    const [one, two] = await Promise.all([writer(), writer()]);
    const [d] = await moods(one, 1);
    const dry = await publish('--dry-run', ...users(one));
    const [{ rkey }] = dry.records;
    await scene.pds.createRecord(one, MOOD, moodRecord({ mood: 'in the way', ref: objectId() }), rkey);
    const { code, records: lines, shown } = await publish(...users(one, two));
    assert.equal(code, 0, shown);
    assert.notEqual(lines[0].rkey, rkey);
    await assertPublished(one, [d]);
    assert.equal((await records(one)).find((r) => r.uri.endsWith(rkey)).value.mood, 'in the way');
  });

  // The place within its millisecond that a document's key begins with.
  const placeOf = (id) => {
    const hash = createHash('sha256').update(`${MOOD}\0`).update(id.id).digest();
    return hash.readBigUInt64BE() % 1_024_000n;
  };

  it('two of one batch whose keys meet: one gives way, and both are written in one request', async () => {
    const person = await writer();
    const places = new Map();
    const ids = [];
    while (ids.length === 0) {
      const id = objectId();
      const other = places.get(placeOf(id));
      if (other) ids.push(other, id);
      places.set(placeOf(id), id);
    }
    const when = new Date(Date.now() - 3_600_000);
    const all = ids.map((_id) => moodDocument({ _id, user: person.user, mood: `mood ${count++}`, when }));
    await scene.mongo.moods.insertMany(all);
    const writes = scene.proxy.count('com.atproto.repo.applyWrites');
    const { code, summary, shown } = await publish(...users(person));
    assert.deepEqual([code, summary.created], [0, 2], shown);
    assert.equal((await assertPublished(person, all)).length, 2);
    assert.equal(scene.proxy.count('com.atproto.repo.applyWrites') - writes, 1);
  });

  it('--limit, --skip, --batch-size and --delay', async () => {
    const [one, two] = await Promise.all([writer(), writer()]);
    const [timeless, ...all] = [...(await moods(one, 1, { when: 'yesterday' })), ...(await moods(one, 5)), ...(await moods(two, 2))];
    const limited = await publish(...users(one, two), '--skip', two.did, '--limit', '2');
    assert.deepEqual([limited.code, limited.summary.created, limited.summary.limited], [0, 2, true], limited.shown);
    assert.deepEqual(limited.records.map((l) => l.ref).sort(), all.slice(0, 2).map((d) => String(d._id)).sort(), limited.shown);
    await scene.mongo.moods.deleteOne({ _id: timeless._id });
    scene.proxy.requests.length = 0;
    const rest = await publish(...users(one, two), '--batch-size', '1', '--delay', '10');
    assert.deepEqual([rest.code, rest.summary.created], [0, 5], rest.shown);
    assert.equal(scene.proxy.count('com.atproto.repo.applyWrites'), 5);
    assert.equal(scene.proxy.count('com.atproto.server.createSession'), 2);
    await assertPublished(one, all.slice(0, 5));
    await assertPublished(two, all.slice(5));
  });

  it('guests only with --guests', async () => {
    const guest = await scene.writer({ user: GUEST });
    const [d] = await moods({}, 1);
    const { user, ...guests } = d;
    await scene.mongo.moods.replaceOne({ _id: d._id }, guests);
    assert.equal((await publish()).summary.found, 0);
    const { code, summary, shown } = await publish('--guests');
    assert.deepEqual([code, summary.created], [0, 1], shown);
    await assertPublished(guest, [guests]);
  });

  it('a document whose atproto is null gets its key like any other', async () => {
    const person = await writer();
    const all = [...(await moods(person, 1, { atproto: null })), ...(await moods(person, 2))];
    const { code, summary, shown } = await publish(...users(person));
    assert.equal(code, 0, shown);
    assert.equal(summary.created, 3, shown);
    await assertPublished(person, all);
  });

  it('what cannot become a record is told, and the rest is published', async () => {
    const person = await writer();
    const [good, half] = [...(await moods(person, 1)), ...(await moods(person, 1, { mood: 'half \ud83d' }))];
    const bad = {
      'when is missing': { when: undefined },
      'when is not a date': { when: '2025-01-01T00:00:00Z' },
      'mood has 5001 bytes, 5000 are allowed': { mood: 'é'.repeat(2500) + 'x' },
      'mood is missing': { mood: undefined },
      'mood is not a string': { mood: 5 },
      'atproto is not an object': { atproto: 'no' },
    };
    const ids = {};
    for (const [reason, change] of Object.entries(bad)) {
      const d = { ...moodDocument({ user: person.user, mood: 'bad' }), ...change };
      for (const [name, value] of Object.entries(change)) if (value === undefined) delete d[name];
      await scene.mongo.moods.insertOne(d);
      ids[String(d._id)] = reason;
    }
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    chmodSync(report, 0o755);
    const { code, records: lines, summary, shown } = await publish('--report', report, ...users(person));
    assert.equal(code, 1, shown);
    assert.deepEqual([summary.created, summary.failed], [2, 6], shown);
    const failed = lines.filter((l) => l.outcome === 'failed');
    assert.deepEqual(Object.fromEntries(failed.map((l) => [l.ref, l.reason])), ids);
    await assertPublished(person, [good, await find(half._id)]); // as drivers write it
    assert.deepEqual(readdirSync(report).sort(), ['migration-errors.json', 'publish-summary.json', 'users-without-atproto.json']);
    for (const name of readdirSync(report)) assert.equal(statSync(path.join(report, name)).mode & 0o777, 0o600);
    const errors = JSON.parse(readFileSync(path.join(report, 'migration-errors.json'), 'utf8'));
    assert.deepEqual(Object.fromEntries(errors.map((e) => [e.ref, e.reason])), ids);
    rmSync(report, { recursive: true });
    await scene.mongo.moods.deleteMany({ user: person.user });
  });

  // What audit calls not synced is what publish does, or tells by name.
  it('whatever is no key is none; what can never be published is told by its _id', async () => {
    await scene.mongo.moods.deleteMany({});
    const person = await writer();
    const keys = ['', 5, false, { a: 1 }, ['3kaaaaaaaaaa2'], null];
    const none = [];
    for (const rkey of keys) none.push(...(await moods(person, 1, { atproto: { rkey } })));
    const named = await moods(person, 1, { rkey: tid() });
    const text = 'a \u001b[31m\u202e' + 'é'.repeat(2000);
    const ids = [text, 17, { a: [1] }];
    for (const _id of ids) await scene.mongo.moods.insertOne({ ...moodDocument({ user: person.user, mood: 'x' }), _id });
    await scene.mongo.moods.insertOne({ ...moodDocument({ user: person.user, mood: 'x' }), atproto: [{ rkey: 'x' }] });
    const [nobodys] = await moods(person, 1, { user: 12 });
    const { code, records: lines, summary, shown } = await publish();
    assert.equal(code, 1, shown);
    assert.deepEqual([summary.found, summary.created, summary.failed], [keys.length + 5, keys.length, 5], shown);
    assert.deepEqual(lines.map((l) => [l.n, l.total]), lines.map((_, i) => [i + 1, keys.length + 5]));
    const failed = lines.filter((l) => l.outcome === 'failed');
    const foreign = failed.filter((l) => l.reason === 'the _id is no ObjectId');
    assert.deepEqual(foreign.map((l) => l.user), ids.map(() => person.name));
    assert.deepEqual(
      foreign.map((l) => l.ref).sort(),
      ['"a \\u001b[31m\u202e' + 'é'.repeat(56) + '…', '17', '{ "a" : [ 1 ] }'].sort(),
    );
    assert.deepEqual(failed.filter((l) => l.reason === 'its user is no string').map((l) => l.ref), [String(nobodys._id)]);
    assert.equal(failed.filter((l) => l.reason === 'atproto is not an object').length, 1, shown);
    assert.match((await refkey.run(['publish', 'moods'])).stdout, /^\[\d\/5\] nobody ❌ Failed: its user is no string \(/m);
    const theirs = await records(person);
    for (const d of none) {
      const record = theirs.find((r) => r.value.ref === String(d._id));
      assert.ok(record, `${JSON.stringify(d.atproto)} is published`);
      assert.deepEqual((await find(d._id)).atproto, { rkey: record.uri.split('/').pop() });
    }
    assert.deepEqual(await find(named[0]._id), named[0]);
    assert.equal(theirs.length, none.length);
    await scene.mongo.moods.deleteMany({});
  });

  it('a full disk takes the reports, not the records', async (t) => {
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'refkey-test', report], { stdio: 'pipe' });
    } catch {
      rmSync(report, { recursive: true });
      return t.skip('a small file system cannot be mounted here (that takes root)');
    }
    try {
      assert.throws(() => writeFileSync(path.join(report, 'fill'), Buffer.alloc(1 << 20)), /ENOSPC/);
      const person = await writer();
      const all = await moods(person, 1);
      const { code, stderr, shown } = await publish('--report', report, ...users(person));
      assert.equal(code, 1, shown);
      assert.match(stderr, /publish-summary\.json cannot be written: No space left/);
      assert.deepEqual(readdirSync(report), ['fill']);
      await assertPublished(person, all);
    } finally {
      execFileSync('umount', [report]);
      rmSync(report, { recursive: true });
    }
  });

  it('a user who fails does not keep the others; nobody sees a password', async () => {
    const [good, wrong, none, closed, away] = [await writer(), await writer('hunter2-hunter2'), await scene.person(), await writer(), await writer()];
    const all = await moods(good, 2);
    for (const p of [wrong, none, closed, away]) await moods(p, 1);
    await Promise.all([scene.pds.deleteAccount(closed.did), scene.pds.deactivate(away)]);
    const poor = await scene.mongo.user({ _id: 'auth0|poorer', handle: 'poorer' });
    await Promise.all([scene.mongo.users.updateOne({ _id: poor }, { $set: { email: 'p@mail.example' } }), moods({ user: poor }, 3)]);
    const everybody = users(good, wrong, none, closed, away, { user: poor });
    const report = mkdtempSync(path.join(os.tmpdir(), 'refkey-report-'));
    const dry = await publish('--dry-run', ...everybody);
    assert.deepEqual([dry.summary.created, dry.summary.failed], [3, 3], dry.shown); // of the login nothing is known
    const { code, records: lines, summary, shown } = await publish('--report', report, ...everybody);
    assert.deepEqual([code, summary.created, summary.failed, summary.skipped], [1, 2, 4, 3], shown);
    await assertPublished(good, all);
    const reason = (p) => lines.find((l) => l.did === p.did).reason;
    const wanted = [[wrong, /AuthenticationRequired/], [none, /no app password/], [closed, /RepoNotFound/], [away, /is deactivated/]];
    for (const [p, text] of wanted) assert.match(reason(p), text);
    const files = readdirSync(report).map((name) => readFileSync(path.join(report, name), 'utf8'));
    assert.ok(![shown, ...files].some((text) => text.includes('hunter2')));
    assert.deepEqual(JSON.parse(readFileSync(path.join(report, 'users-without-atproto.json'), 'utf8')), [
      { handle: 'poorer', sub: poor, email: 'p@mail.example', count: 3 },
    ]);
    rmSync(report, { recursive: true });
    await scene.mongo.moods.deleteMany({ user: { $in: [wrong.user, none.user, closed.user, away.user, poor] } });
  });

  describe('with a PDS that fails', () => {
    for (const [what, wrong] of Object.entries({
      'answers 500': { status: 500 },
      'answers 429': { status: 429, headers: { 'retry-after': '1' } },
      'resets': { reset: true },
      'writes, and its answer is cut off': { truncate: 0 },
      'is slow': { delay: 2000 },
      'never answers': { hang: true },
      'writes and never answers': { hold: true },
    })) {
      it(`that ${what}: nothing twice, nothing missing`, async () => {
        const person = await writer();
        const all = await moods(person, 30);
        const faults = ['com.atproto.repo.applyWrites', 'com.atproto.repo.listRecords'].map((method) =>
          scene.proxy.http(wrong, { method, times: wrong.hang || wrong.hold ? 1 : 2 }),
        );
        if (wrong.hang || wrong.hold) faults.pop().end();
        const { code, summary, shown } = await publish(...users(person), '--batch-size', '10');
        for (const fault of faults) assert.ok(fault.fired > 0, `${fault.method} did not go wrong`);
        assert.deepEqual([code, summary.created + summary.linked, summary.failed], [0, 30, 0], shown);
        assert.equal((await assertPublished(person, all)).length, 30);
      });
    }

    it('that deletes an account in the middle: told, and the others go on', async () => {
      const [gone, other] = [await writer(), await writer()];
      const theirs = await moods(gone, 3).then(() => moods(other, 2));
      let letGo;
      const fault = scene.proxy.http({ hold: new Promise((go) => (letGo = go)) }, { method: 'com.atproto.repo.applyWrites', times: 2 });
      const running = publish(...users(gone, other), '--batch-size', '1');
      await until(() => fault.held === 2, { what: 'both writing' });
      await scene.pds.deleteAccount(gone.did).finally(letGo);
      const { code, summary, shown } = await running; // what was not written before fails
      assert.deepEqual([code, summary.created + summary.linked + summary.failed], [summary.failed ? 1 : 0, 5], shown);
      await assertPublished(other, theirs);
    });

    it('for good: ends with 3, and goes on when it is back', async () => {
      const person = await writer();
      const all = await moods(person, 3);
      const fault = scene.proxy.http({ status: 503 }, { method: 'com.atproto.repo.applyWrites' });
      const { code, stderr, shown } = await publish(...users(person));
      fault.end();
      assert.equal(code, 3, shown);
      assert.match(stderr, /503/);
      const next = await publish(...users(person));
      assert.deepEqual([next.code, next.summary.created], [0, 3], next.shown);
      await assertPublished(person, all);
    });

    it('a limit that lasts longer than --max-wait: partial, the others go on', async () => {
      const [slow, quick] = [await writer(), await writer()];
      const all = [...(await moods(slow, 2)), ...(await moods(quick, 2))];
      const fault = scene.proxy.http(
        { status: 429, headers: { 'retry-after': '3600' } },
        { method: 'com.atproto.repo.applyWrites', times: 1 },
      );
      const { code, summary, shown } = await publish(...users(slow, quick), '--max-wait', '2');
      assert.equal(fault.fired, 1);
      assert.deepEqual([code, summary.created, summary.putOff, summary.failed], [1, 2, 2, 0], shown);
      const next = await publish(...users(slow, quick));
      assert.deepEqual([next.code, next.summary.created], [0, 2], next.shown);
      await assertPublished(slow, all.slice(0, 2));
      await assertPublished(quick, all.slice(2));
    });
  });

  it('a document that is deleted while a limit keeps the one before back is not published', async () => {
    const person = await writer();
    const [a, b] = await moods(person, 2); // by time, as they are published
    // Longer than a document that was read ahead counts as it was read.
    const limit = { status: 429, headers: { 'retry-after': '11' } };
    const fault = scene.proxy.http(limit, { method: 'com.atproto.repo.applyWrites', times: 1 });
    // … and what comes behind it is not done before the document is deleted.
    const { promise, resolve } = Promise.withResolvers();
    scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.applyWrites', times: 1 });
    const running = publish(...users(person), '--batch-size', '1');
    await until(() => fault.fired === 1, { what: 'the PDS is asked', ...soon });
    await scene.mongo.moods.updateOne({ _id: b._id }, { $set: { deleted: true } });
    resolve();
    const { code, summary, shown } = await running;
    assert.deepEqual([code, summary.created, summary.skipped, summary.failed], [0, 1, 1, 0], shown);
    await assertPublished(person, [a]);
  });

  it('killed between the yes of the PDS and the document: the same records, none twice', async () => {
    const person = await writer();
    const all = await moods(person, 25);
    let before = [];
    for (let round = 0; round < 3; round++) {
      const fault = scene.proxy.http({ hold: true }, { method: 'com.atproto.repo.applyWrites', times: 1 });
      const child = spawn(binary, ['publish', 'moods', ...users(person), '--batch-size', '5'], {
        env: refkey.env,
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      await until(() => fault.held === 1, { what: 'the PDS has said yes', ...soon });
      child.kill('SIGKILL');
      await ended;
      const now = (await records(person)).map((r) => r.uri).sort();
      assert.equal(now.length, 5 * (round + 1));
      for (const uri of before) assert.ok(now.includes(uri));
      before = now;
    }
    const { code, summary, shown } = await publish(...users(person));
    assert.equal(code, 0, shown);
    assert.equal(summary.created, 10, shown);
    const theirs = await assertPublished(person, all);
    assert.equal(theirs.length, 25);
    for (const uri of before) assert.ok(theirs.some((r) => r.uri === uri));
  });

  it('killed at any moment, again and again', async () => {
    const people = await Promise.all([writer(), writer(), writer(), writer()]);
    const all = await Promise.all(people.map((p) => moods(p, 15)));
    for (let round = 0; round < 6; round++) {
      const child = spawn(binary, ['publish', 'moods', ...users(...people), '--batch-size', '5'], {
        env: refkey.env,
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      const seen = scene.proxy.requests.length;
      await until(() => child.exitCode !== null || scene.proxy.requests.length > seen + 4 + round * 2, soon);
      child.kill('SIGKILL');
      await ended;
    }
    const { code, shown } = await publish(...users(...people));
    assert.equal(code, 0, shown);
    for (const [i, p] of people.entries()) assert.equal((await assertPublished(p, all[i])).length, 15);
  });

  it('MongoDB lost between two batches, and back: goes on', async () => {
    const person = await writer();
    const all = await moods(person, 6);
    const running = publish(...users(person), '--batch-size', '1', '--delay', '300');
    const writes = scene.proxy.count('com.atproto.repo.applyWrites');
    await until(() => scene.proxy.count('com.atproto.repo.applyWrites') > writes + 1, { what: 'two batches', ...soon });
    await scene.mongo.kill();
    await scene.mongo.start();
    let { code, shown } = await running;
    // A reading that fell into the gap ends the run; a write waits.
    if (code !== 0) {
      assert.equal(code, 3, shown);
      ({ code, shown } = await publish(...users(person)));
    }
    assert.equal(code, 0, shown);
    assert.equal((await assertPublished(person, all)).length, 6);
  });

  it('two at once that do not know of each other: each record once', async () => {
    const other = await scene.refkey();
    await other.stop();
    const person = await writer();
    const all = await moods(person, 40);
    const release = Promise.withResolvers();
    const fault = scene.proxy.http({ hold: release.promise }, { method: 'com.atproto.repo.applyWrites', times: 2 });
    const runs = [refkey, other].map((r) => r.run(['publish', 'moods', '--json', ...users(person)]));
    await until(() => fault.held === 2, { what: 'both are about to write', ...soon });
    release.resolve();
    for (const { code, stdout, stderr } of await Promise.all(runs)) {
      assert.equal(code, 0, stdout + stderr);
      const { summary } = JSON.parse(stdout);
      assert.equal(summary.created + summary.linked, 40, stdout + stderr);
    }
    assert.equal((await assertPublished(person, all)).length, 40);
  });

  describe('beside a running serve', () => {
    before(async () => {
      await refkey.start();
      await refkey.ready();
    });

    it('does the same, while the mirror links what it sees', async () => {
      const people = await Promise.all([writer(), writer()]);
      const all = await Promise.all(people.map((p) => moods(p, 30)));
      const { code, summary, shown } = await publish(...users(...people), '--batch-size', '10');
      assert.equal(code, 0, shown);
      assert.equal(summary.created + summary.linked, 60, shown);
      for (const [i, p] of people.entries()) {
        for (const r of await assertPublished(p, all[i])) await linked(refkey, r);
      }
      await settled(refkey);
      await assertChecks(refkey);
    });

    it('two at once: the second is refused', async () => {
      const person = await writer();
      const all = await moods(person, 3);
      const { promise, resolve } = Promise.withResolvers();
      const fault = scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.listRecords', times: 1 });
      const first = publish(...users(person));
      await until(() => fault.held === 1, { what: 'the first is under way', ...soon });
      const second = await publish(...users(person));
      assert.equal(second.code, 2, second.shown);
      assert.match(second.stderr, /another publish/);
      const erasing = await refkey.run(['forget', person.user, '--yes']);
      assert.equal(erasing.code, 2, erasing.stderr);
      assert.match(erasing.stderr, /another publish/);
      resolve();
      const { code, shown } = await first;
      assert.equal(code, 0, shown);
      assert.equal((await assertPublished(person, all)).length, 3);
    });
  });
});

describe('publish moods on a PDS with limits', () => {
  const key = 'the-bypass-key';
  let scene;

  before(async () => {
    scene = await startScene({ proxy: true, pds: { rateLimitsEnabled: true, rateLimitBypassKey: key } });
  });
  after(() => scene?.close());

  it('keeps to them before they bite; REFKEY_PDS_BYPASS_KEY lifts them', async () => {
    const person = await scene.person();
    await scene.storePassword(person, person.password);
    const refkey = await scene.refkey();
    await refkey.stop();
    // 1,600 of the 1,666 records that an account may write in an hour.
    for (let i = 0; i < 8; i++) {
      const writes = Array.from({ length: 200 }, () => ({ action: 'create', collection: 'com.example.note', value: {} }));
      await scene.pds.applyWrites(person, writes);
    }
    const all = Array.from({ length: 100 }, (_, i) => moodDocument({ user: person.user, mood: `mood ${i}` }));
    await scene.mongo.moods.insertMany(all);
    const limited = async () => {
      const { code, stdout, stderr } = await refkey.run(['publish', 'moods', '--json', '--batch-size', '50', '--max-wait', '1']);
      assert.notEqual(stdout, '', stderr);
      return { code, ...JSON.parse(stdout).summary };
    };
    const first = await limited();
    assert.deepEqual([first.code, first.created, first.putOff, first.failed], [1, 66, 34, 0]);
    assert.deepEqual(scene.proxy.requests.filter((r) => r.status === 429), []);
    // What the first answer of the next run says comes with a refusal.
    const second = await limited();
    assert.deepEqual([second.code, second.created, second.putOff, second.failed], [1, 0, 34, 0]);
    refkey.settings.REFKEY_PDS_BYPASS_KEY = key;
    const lifted = await limited();
    assert.deepEqual([lifted.code, lifted.created, lifted.putOff], [0, 34, 0]);
    const refs = (await scene.pds.listRecordsAll(person.did, MOOD)).map((r) => r.value.ref);
    assert.deepEqual(refs.sort(), all.map((d) => String(d._id)).sort());
  });
});
