// A relay as the source: two PDSs behind it, each behind a proxy that counts what is asked of it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { startPds, startPlc } from '../kit/pds.mjs';
import { startProxy } from '../kit/proxy.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { startRelay } from '../kit/relay.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { freePort, until } from '../kit/wait.mjs';
import { assertChecks, assertIndexEqualsPds, explain, metrics, parts, seen, settled, soon, unseen } from './scene.mjs';

const FOREIGN = 'app.example.note';
// Of indexer/ring.h.
const [RING_BYTES, RING_SLOTS] = [16 << 20, 6144];

// Behind a proxy whose URL its accounts' DID documents name.
async function startHost(plc) {
  const [port, publicPort] = [await freePort(), await freePort()];
  const proxy = await startProxy(`http://127.0.0.1:${port}`, publicPort);
  const pds = await startPds({ plc, port, publicUrl: `http://localhost:${publicPort}` });
  return { pds, proxy };
}

describe('behind a relay', () => {
  const ends = [];
  let [plc, directory, one, two, relay, refkey, count] = [];

  before(async () => {
    plc = await startPlc();
    directory = await startProxy(plc.url);
    ends.push(() => plc.stop(), () => directory.close());
    [one, two] = await Promise.all([startHost(plc), startHost(plc)]);
    for (const { pds, proxy } of [one, two]) ends.push(() => proxy.close(), () => pds.close());
    relay = await startRelay([one.pds.url, two.pds.url]);
    ends.push(() => relay.close());
    refkey = new Refkey({
      REFKEY_SOURCE: 'relay',
      REFKEY_PDS_URL: relay.url,
      REFKEY_PLC_URL: directory.url,
      REFKEY_SWEEP_SECONDS: '3600',
    });
    count = 0;
  });
  after(async () => {
    await refkey?.close();
    for (const end of ends.reverse()) await end();
  });
  afterEach((t) => explain(t, refkey));

  const mood = (text, ref = objectId()) => moodRecord({ mood: text, ref });
  const person = async ({ pds, proxy }) => ({ pds, proxy, ...(await pds.account(`person${count++}.test`)) });
  const create = (who, record, collection = MOOD) => who.pds.createRecord(who, collection, record);
  const asked = ({ proxy, did }, method = 'getRepo') =>
    proxy.requests.filter((r) => r.method === `com.atproto.sync.${method}` && r.query.get('did') === did).length;
  const refused = async (reason) => (await metrics(refkey))[`refkey_refused_total{reason="${reason}"}`];
  // What the relay has sent by now is in the index, or passed over.
  async function passed() {
    const { sent } = relay;
    await until(async () => (await metrics(refkey)).refkey_frames_total >= sent, { what: 'frames', ...soon });
    await until(async () => (await metrics(refkey)).refkey_ring_frames === 0, { what: 'an empty ring', ...soon });
  }

  const compared = () => refkey.log().find((line) => line.message === 'compared with the source');
  // Starts it, which finds that a repo differs: a host that takes seconds for one answer, as every host does where
  // the machine stands still, is left for the next sweep, but hardly each time.
  async function started() {
    for (let times = 1; ; times++) {
      await refkey.start();
      await refkey.ready();
      const { differed } = await until(compared, { what: 'the start is over', ...soon });
      if (differed > 0 || times === 5) return;
      await refkey.stop();
    }
  }

  it('finds repos by their collections, fetches them where they live, and no others', async () => {
    const people = await Promise.all([one, one, two].map(person));
    const strangers = await Promise.all([one, two].map(person));
    for (const who of people) await create(who, mood('before'));
    for (const who of strangers) await create(who, { text: 'a note' }, FOREIGN);
    await until(() => relay.repos(MOOD).size === 3 && relay.repos(FOREIGN).size === 2, { what: 'the relay', ...soon });
    await refkey.start();
    await refkey.ready();
    await settled(refkey);
    for (const who of people) {
      await assertIndexEqualsPds(refkey, who.pds, [who.did]);
      assert.ok(asked(who) >= 1);
    }
    const frames = relay.frames.length;
    for (const who of strangers) await create(who, { text: 'another' }, FOREIGN);
    await until(() => relay.frames.length >= frames + 2, { what: 'their frames', ...soon });
    await passed();
    for (const who of strangers) {
      assert.equal(asked(who), 0);
      assert.equal((await refkey.xrpc('getRepoStatus', { repo: who.did })).body.error, 'RepoNotFound');
    }
    assert.equal(relay.count('com.atproto.sync.listRepos'), 0);
    assert.ok((await metrics(refkey)).refkey_frames_foreign_total > 0);
  });

  it('takes live commits of both hosts, a handle, and the way back from ref to record', async () => {
    for (const host of [one, two]) {
      const who = await person(host);
      const ref = objectId();
      await create(who, { text: 'not ours' }, FOREIGN);
      const first = await create(who, mood('its first', ref)); // from now on it is tracked
      await seen(refkey, first, soon);
      assert.equal((await refkey.xrpc('getByRef', { ref: String(ref) })).body.uri, first.uri);
      const fetched = asked(who);
      const second = await create(who, mood('live'));
      await seen(refkey, second, soon);
      await who.pds.deleteRecord(who, MOOD, first.rkey);
      await unseen(refkey, first);
      assert.equal(asked(who), fetched, 'a commit that follows makes nothing be fetched');
      const { rkey } = parts(second.uri);
      await refkey.until('getByRkey', { repo: who.handle, collection: MOOD, rkey });
    }
  });

  // Each host says that it is its own account's; anybody may run one.
  it('leaves a handle with the account that had it first', async () => {
    if (!refkey.running) await refkey.start();
    const [ours, theirs] = await Promise.all([one, two].map((host) => host.pds.account('twin.test')));
    const first = await create({ ...ours, pds: one.pds }, mood('of the first'));
    await seen(refkey, first);
    const byHandle = { repo: 'twin.test', collection: MOOD, rkey: first.rkey };
    await refkey.until('getByRkey', byHandle);
    const taken = await refused('handle_taken');
    await seen(refkey, await create({ ...theirs, pds: two.pds }, mood('of the second')));
    assert.equal((await refkey.xrpc('getByRkey', byHandle)).body.uri, first.uri);
    await until(async () => (await refused('handle_taken')) > taken, { what: 'it is counted', ...soon });
  });

  it('hides, purges and moves nothing on the relay’s word alone', async () => {
    if (!refkey.running) await refkey.start();
    const denied = await refused('account_denied');
    const claims = ['deleted', 'takendown', 'deactivated'].map(async (status) => {
      const who = await person(one);
      const record = await create(who, mood('stays'));
      await seen(refkey, record);
      const before = asked(who, 'getRepoStatus');
      relay.say('#account', { did: who.did, active: false, status });
      await until(() => asked(who, 'getRepoStatus') > before, { what: `${status} asked at its host`, ...soon });
      await settled(refkey);
      assert.equal((await refkey.xrpc('getByRkey', parts(record.uri))).status, 200, status);
      assert.equal(asked(who), 1, status);
    });
    await Promise.all(claims);
    // Counted once it is on disk, which others see before.
    await until(async () => (await refused('account_denied')) >= denied + 3, { what: 'all are counted', ...soon });
    assert.equal(await refused('account_denied'), denied + 3);
  });

  it('shows nothing on the relay’s word alone, and takes what comes behind it', async () => {
    const who = await person(one);
    const record = await create(who, mood('hidden'));
    await seen(refkey, record);
    await who.pds.deactivate(who);
    await unseen(refkey, record);
    const denied = await refused('account_denied');
    let release;
    const hold = new Promise((resolve) => (release = resolve));
    const held = one.proxy.http({ hold }, { method: 'com.atproto.sync.getRepoStatus' });
    relay.say('#account', { did: who.did, active: true });
    await until(() => held.held > 0, { what: 'its host is being asked', ...soon });
    await unseen(refkey, record);
    held.end();
    release();
    await until(async () => (await refused('account_denied')) === denied + 1, { what: 'it is counted', ...soon });
    await unseen(refkey, record);
    // The word of the host is held back until there is a commit behind it.
    const again = one.proxy.http({ hold: new Promise((resolve) => (release = resolve)) }, { method: 'com.atproto.sync.getRepoStatus' });
    await who.pds.activate(who);
    await until(() => again.held > 0, { what: 'its host is being asked again', ...soon });
    const frames = relay.frames.length;
    const next = await create(who, mood('behind it'));
    await until(() => relay.frames.length > frames, { what: 'the commit behind it', ...soon });
    await passed();
    again.end();
    release();
    await seen(refkey, record);
    await seen(refkey, next);
    assert.equal(await refused('account_denied'), denied + 1);
    assert.equal(await refused('repo_inactive'), 0);
  });

  it('takes no older answer for a word that was taken back', async () => {
    if (!refkey.running) await refkey.start();
    const who = await person(one);
    const record = await create(who, mood('taken back'));
    await seen(refkey, record);
    let release;
    const hold = new Promise((resolve) => (release = resolve));
    const held = one.proxy.http({ hold }, { method: 'com.atproto.sync.getRepoStatus', query: (q) => q.get('did') === who.did });
    const said = () => relay.frames.filter((b) => b.includes('#account') && b.includes(who.did)).length;
    await who.pds.deactivate(who);
    await until(() => held.held > 0, { what: 'its host has answered, and is not heard', ...soon });
    const before = said();
    await who.pds.activate(who);
    await until(() => said() > before, { what: 'the relay takes it back', ...soon });
    await passed();
    held.end();
    release();
    await settled(refkey); // for which its host is asked once more
    await seen(refkey, record);
  });

  it('hides what its host confirms, and shows it again', async () => {
    const who = await person(two);
    const record = await create(who, mood('hidden'));
    await seen(refkey, record);
    await who.pds.deactivate(who);
    await unseen(refkey, record);
    await who.pds.activate(who);
    await seen(refkey, record);
  });

  it('purges an account that its host no longer knows', async () => {
    const who = await person(one);
    const record = await create(who, mood('gone'));
    await seen(refkey, record);
    await who.pds.deleteAccount(who.did);
    await unseen(refkey, record);
    await until(async () => (await refkey.xrpc('getRepoStatus', { repo: who.did })).body.status === 'deleted', soon);
  });

  it('gives up no account for what a host says that may be its old one', async () => {
    if (!refkey.running) await refkey.start();
    const who = await person(two);
    const record = await create(who, mood('lives elsewhere'));
    await seen(refkey, record);
    const reads = () => directory.count(`/${who.did}`);
    const named = (handle) => refkey.until('getRepoStatus', { repo: who.did }, ({ body }) => body.handle === handle, soon);
    await named(who.handle);
    // For a while its document says that it is at another host, where it is not.
    const wrong = JSON.stringify(await plc.document(who.did)).replace(two.proxy.port, one.proxy.port);
    assert.ok(wrong.includes(one.proxy.port));
    const elsewhere = directory.http({ status: 200, body: wrong }, { method: `/${who.did}` });
    relay.say('#identity', { did: who.did });
    await named(undefined); // which nobody there has
    elsewhere.end();
    let release;
    const hold = new Promise((resolve) => (release = resolve));
    const held = directory.http({ hold }, { method: `/${who.did}` });
    const before = reads();
    relay.say('#identity', { did: who.did });
    await until(() => held.held > 0 && reads() > before, { what: 'it is being read again', ...soon });
    const questions = () => asked({ ...who, proxy: one.proxy }, 'getRepoStatus');
    relay.say('#account', { did: who.did, active: false, status: 'deactivated' });
    await until(() => questions() > 0, { what: 'its old host is asked', ...soon });
    held.end();
    release();
    await settled(refkey);
    assert.equal((await refkey.xrpc('getByRkey', parts(record.uri))).status, 200);
  });

  it('fetches again what the relay swallowed, once it shows', async () => {
    const who = await person(two);
    await seen(refkey, await create(who, mood('one')));
    let drops = 0;
    relay.drop = (frame) => frame.body.repo === who.did && ++drops;
    const swallowed = await create(who, mood('two'));
    await until(() => drops > 0, { what: 'it is swallowed', ...soon });
    relay.drop = () => false;
    const third = await create(who, mood('three'));
    await seen(refkey, third);
    await seen(refkey, swallowed);
    await assertIndexEqualsPds(refkey, who.pds, [who.did]);
  });

  it('finds at a start what happened meanwhile and the relay did not tell', async () => {
    const who = await person(one);
    const kept = await create(who, mood('kept'));
    await seen(refkey, kept);
    await refkey.stop();
    relay.drop = (frame) => frame.body.repo === who.did;
    await who.pds.deleteRecord(who, MOOD, kept.rkey);
    const found = await create(who, mood('found by the survey'));
    await started();
    await seen(refkey, found);
    await unseen(refkey, kept);
    relay.drop = () => false;
  });

  // The start asks its host, and the stream has it asked again, before what the start found is written.
  it('shows nobody at a start whom its host has called inactive', async () => {
    if (!refkey.running) await refkey.start();
    const [who, last] = [await person(one), await person(two)];
    const record = await create(who, mood('deactivated meanwhile'));
    await seen(refkey, record);
    await seen(refkey, await create(last, mood('keeps the start waiting')));
    await settled(refkey);
    await refkey.stop();
    let drops = 0;
    relay.drop = (frame) => frame.body.did === who.did && ++drops;
    await who.pds.deactivate(who);
    await until(() => drops > 0, { what: 'it is swallowed', ...soon });
    relay.drop = () => false;
    const releases = [];
    const hold = ({ proxy, did }) =>
      proxy.http(
        { hold: new Promise((resolve) => releases.push(resolve)) },
        { method: 'com.atproto.sync.getRepoStatus', query: (q) => q.get('did') === did },
      );
    const waiting = hold(last);
    const before = asked(who, 'getRepoStatus');
    const isAsked = () => asked(who, 'getRepoStatus') > before;
    do {
      await refkey.stop();
      await refkey.start();
      await until(() => isAsked() || compared(), { what: 'its host is asked', ...soon });
    } while (!isAsked()); // its host took seconds to answer for another
    relay.say('#account', { did: who.did, active: false, status: 'deactivated' });
    const repo = { repo: who.did }; // records that are not there are not said to be absent yet
    await refkey.until('getRepoStatus', repo, ({ body }) => body.active === false, soon);
    const again = hold(who);
    waiting.end();
    releases[0]();
    await until(async () => (await metrics(refkey)).refkey_sweeps_total > 0, { what: 'the start is over', ...soon });
    assert.equal((await refkey.xrpc('getRepoStatus', repo)).body.active, false);
    again.end();
    releases[1]();
  });

  // The first host's answer comes only once the other one was asked.
  it('asks hosts beside each other at a start', async () => {
    if (!refkey.running) await refkey.start();
    const who = await person(two);
    await seen(refkey, await create(who, mood('kept')));
    const last = await person(one);
    await seen(refkey, await create(last, mood('behind it')));
    await refkey.stop();
    relay.drop = (frame) => frame.body.repo === who.did;
    const found = await create(who, mood('found beside the others'));
    let release;
    const hold = new Promise((resolve) => (release = resolve));
    const held = two.proxy.http({ hold }, { method: 'com.atproto.sync.getRepoStatus' });
    const before = asked(last, 'getRepoStatus');
    const starting = started();
    await until(() => held.held > 0 && asked(last, 'getRepoStatus') > before, { ...soon, what: 'the other host is asked' });
    release();
    await starting;
    await seen(refkey, found);
    held.end();
    relay.drop = () => false;
  });

  it('is not held up by a host that is down', async () => {
    const lost = await person(two);
    const well = await person(one);
    await seen(refkey, await create(lost, mood('before')));
    await two.proxy.down();
    // A gap, which would have it fetched.
    relay.drop = (frame) => frame.body.repo === lost.did && frame.body.ops.some((op) => op.action === 'delete');
    const next = await create(lost, mood('swallowed'));
    await lost.pds.deleteRecord(lost, MOOD, next.rkey);
    await create(lost, mood('after'));
    await seen(refkey, await create(well, mood('elsewhere')), soon);
    const gaps = async () => (await refkey.xrpc('getStatus')).body.desynchronized;
    await until(async () => (await gaps()) === 1, { what: 'the gap', ...soon });
    await two.proxy.up();
    relay.drop = () => false;
    await settled(refkey);
    await assertIndexEqualsPds(refkey, lost.pds, [lost.did]);
  });

  it('is ready though a host says for ever to come later', async () => {
    const put = await person(two);
    const headers = { 'retry-after': '1' };
    const later = two.proxy.http({ status: 429, headers }, { method: 'com.atproto.sync.getRepo' });
    await create(put, mood('put off'));
    const ready = async () => later.fired >= 3 && (await refkey.get('/xrpc/_health')).status === 200;
    await until(ready, { ...soon, what: 'ready' });
    assert.equal((await refkey.xrpc('getStatus')).body.desynchronized, 1);
    later.end();
    await settled(refkey);
    await assertIndexEqualsPds(refkey, put.pds, [put.did]);
  });

  // Another one, on the same network.
  async function another(t, settings) {
    const service = new Refkey({ ...refkey.settings, ...settings });
    t.after(async () => {
      explain(t, service);
      await service.close();
    });
    return service.start();
  }

  it('says once what to do about a relay that lists nobody, and is ready once it does', async (t) => {
    const front = await startProxy(relay.url);
    t.after(() => front.close());
    const body = JSON.stringify({ error: 'MethodNotImplemented', message: 'Method Not Implemented' });
    const none = front.http({ status: 501, body }, { method: 'com.atproto.sync.listReposByCollection' });
    const service = await another(t, { REFKEY_PDS_URL: front.url });
    const said = () => service.log().filter((l) => l.component === 'sweep' && l.level === 'warn');
    await until(() => none.fired >= 3 && said().length > 0, { ...soon, what: 'it has asked, and says so' });
    assert.match(said()[0].message, /REFKEY_SOURCE=pds/);
    assert.equal(said().length, 1);
    none.end();
    await service.ready();
  });

  it('proves no handle by a PDS that may not be asked, and calls none false for that', async (t) => {
    const who = await person(one);
    await create(who, mood('at a private address'));
    await until(() => relay.repos(MOOD).has(who.did), { ...soon, what: 'the relay has it' });
    const service = await another(t, { REFKEY_ALLOW_PRIVATE: 'off' });
    const said = () => service.log().filter((l) => l.handle === who.handle).map((l) => l.message);
    await until(() => said().length > 0, { ...soon, what: 'its handle is judged' });
    assert.deepEqual(said(), ['a handle could not be proven: its PDS may not be asked']);
    assert.equal((await metrics(service))['refkey_refused_total{reason="handle_false"}'], 0);
  });

  it('spends nothing on a hundred thousand strangers', async () => {
    const rss = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${refkey.child.pid}/status`, 'utf8'))[1]);
    const size = async () => (await refkey.run(['status', '--json'])).stdout;
    const bytes = relay.frames.find((b) => b.includes(FOREIGN) && b.includes('#commit'));
    const at = bytes.indexOf('did:plc:');
    const letters = 'abcdefghijklmnopqrstuvwxyz234567';
    const send = (from, to) => {
      for (let n = from; n < to; n++) {
        const frame = Buffer.from(bytes);
        for (let i = 0, left = n; i < 8; i++, left = Math.floor(left / 32)) frame.write(letters[left % 32], at + 8 + i);
        for (const client of relay.clients) client.send(frame);
      }
    };
    const foreign = async () => (await metrics(refkey)).refkey_frames_foreign_total;
    const start = await foreign();
    const records = JSON.parse(await size());
    // Until each byte and slot that frames wait in was used.
    const first = Math.ceil(RING_BYTES / bytes.length) + RING_SLOTS;
    send(0, first);
    await until(async () => (await foreign()) === start + first, { every: 100 });
    const [before, commits] = [rss(), (await metrics(refkey)).refkey_writer_commits_total];
    send(first, first + 100_000);
    await until(async () => (await foreign()) === start + first + 100_000, { every: 100 });
    const now = JSON.parse(await size());
    assert.deepEqual(now.repos, records.repos);
    assert.ok(rss() - before < 16 << 10, `grew by ${rss() - before} KiB`);
    // Of others a host may be asked at any time, as by a sweep that comes again for a host that took its time.
    const made = bytes.toString('latin1', at + 16, at + 32);
    const about = ({ method, query }) => `${method}?${query}`.includes(made);
    assert.deepEqual([one.proxy, two.proxy, directory].flatMap((p) => p.requests.filter(about)), []);
    const spent = (await metrics(refkey)).refkey_writer_commits_total - commits;
    assert.ok(spent < 1000, `${spent} transactions`);
    await assertChecks(refkey);
  });
});
