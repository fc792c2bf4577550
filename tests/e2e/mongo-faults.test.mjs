// MongoDB away: queries and readiness never notice, the work is kept on disk and done when it is back.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { Child } from '../kit/child.mjs';
import { binary } from '../kit/refkey.mjs';
import {
  MOOD,
  PAINTING,
  moodDocument,
  moodRecord,
  objectId,
  paintingDocument,
  paintingRecord,
} from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import {
  assertChecks,
  assertIndexEqualsPds,
  explain,
  issues,
  linked,
  parts,
  seen,
  settled,
  soon,
  startScene,
  status,
} from './scene.mjs';

const ours = process.env.REFKEY_TEST_MONGO_URI
  ? { skip: 'REFKEY_TEST_MONGO_URI names a server that is not ours to stop' }
  : {};

describe('MongoDB', ours, () => {
  let scene;
  let refkey;
  let ada;
  let serial = 0;

  before(async () => {
    scene = await startScene();
    ada = await scene.person();
  });
  after(() => scene?.close());
  afterEach(async (t) => {
    explain(t, refkey);
    await assertChecks(refkey);
    await assertIndexEqualsPds(refkey, scene.pds, [ada.did]);
  });

  const connected = (yes) =>
    until(async () => (await status(refkey)).mongo.connected === yes, {
      what: yes ? 'connected to MongoDB' : 'not connected',
      ...soon,
    });
  const drained = () => settled(refkey);

  function thing(collection) {
    const n = ++serial;
    const base = { _id: objectId(), user: ada.user, when: new Date() };
    return {
      collection,
      ...base,
      ...(collection === MOOD ? { mood: `mood ${n}` } : { code: `f${n}`, slug: `f.${n}` }),
    };
  }
  const document = ({ collection, wrote, ...t }) => (collection === MOOD ? moodDocument : paintingDocument)(t);
  const find = (t) => scene.documents(t.collection).findOne({ _id: t._id });
  async function publish(t, change) {
    const make = t.collection === MOOD ? moodRecord : paintingRecord;
    const record = make({ ...t, ref: t._id });
    const wrote = change
      ? await scene.pds.putRecord(ada, t.collection, t.rkey, record)
      : await scene.pds.createRecord(ada, t.collection, record);
    return Object.assign(t, { rkey: wrote.rkey, wrote });
  }
  const remove = (t) => scene.pds.deleteRecord(ada, t.collection, t.rkey);

  // What is to come of everything that happens while it is away.
  async function busyDay({ known, removed }) {
    const created = [];
    for (let i = 0; i < 6; i++) created.push(await publish(thing(i % 2 ? MOOD : PAINTING)));
    for (const t of created) await seen(refkey, t.wrote);
    for (const t of known)
      await publish(
        Object.assign(t, t.collection === MOOD ? { mood: `${t.mood} changed` } : { slug: `${t.slug}:changed` }),
        true,
      );
    for (const t of removed) await remove(t);
    const passing = await publish(thing(MOOD));
    await remove(passing);
    await seen(refkey, (await publish(known[0], true)).wrote);
    for (const t of removed)
      await refkey.until('getByRkey', parts(t.wrote.uri), ({ body }) => body.error === 'RecordNotFound', soon);
    return { created, passing };
  }
  async function assertBusyDay({ known, removed }, { created, passing }) {
    for (const t of [...created, ...known]) {
      await linked(refkey, t.wrote);
      assert.deepEqual(await find(t), document(t), t.wrote.uri);
    }
    for (const t of removed) {
      const now = await find(t);
      assert.equal(now[t.collection === MOOD ? 'deleted' : 'nuked'], true, t.wrote.uri);
      assert.equal(now.atproto?.rkey, undefined);
    }
    assert.equal(await find(passing), null);
    const live = (c) => scene.documents(c).countDocuments({ user: ada.user, 'atproto.rkey': { $exists: true } });
    for (const c of [MOOD, PAINTING])
      assert.equal(await live(c), (await scene.pds.listRecordsAll(ada.did, c)).length, c);
  }

  // Asks all the time; no answer may be wrong.
  function ask(t) {
    const asker = { count: 0, stop: () => ((asking = false), end) };
    let asking = true;
    const end = (async () => {
      while (asking) {
        const { status: code, body } = await refkey.xrpc('getByRef', { ref: String(t._id) });
        assert.equal(code, 200, JSON.stringify(body));
        const health = await refkey.get('/xrpc/_health');
        assert.equal(health.status, 200, JSON.stringify(health.body));
        asker.count++;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    end.catch((e) => (asker.failure = e));
    return asker;
  }

  async function linkedThings(count) {
    const things = Array.from({ length: count }, (_, i) => thing(i % 2 ? MOOD : PAINTING));
    for (const t of things) await publish(t);
    for (const t of things) await linked(refkey, t.wrote);
    return things;
  }

  it('absent at the start: ready and answering, and it drains once it is there', async () => {
    const settings = scene.mongo.settings;
    await scene.mongo.stop();
    const early = await Promise.all(Array.from({ length: 4 }, () => publish(thing(MOOD))));
    refkey = await scene.refkey({ ...settings, REFKEY_RECOVER: 'all' });
    for (const t of early) assert.ok(!('linked' in (await seen(refkey, t.wrote))));
    const more = await publish(thing(PAINTING));
    await seen(refkey, more.wrote);
    const { mongo } = await status(refkey);
    assert.deepEqual(mongo, { connected: false, pending: 5 });
    await until(() => refkey.log().some((l) => l.component === 'mirror' && l.level === 'warn'), {
      what: 'the log says that MongoDB is away',
      ...soon,
    });
    await scene.mongo.start();
    await connected(true);
    await drained();
    for (const t of [...early, more]) assert.deepEqual(await find(t), document(t));
    const sayings = refkey.log().filter((l) => l.component === 'mirror' && l.level === 'warn');
    assert.ok(sayings.length < 10, 'it is not said at every try');
  });

  for (const how of ['stop', 'kill']) {
    it(`gone in the middle (${how}) and back: no query notices, everything is done`, async () => {
      const things = await linkedThings(8);
      const day = { known: things.slice(0, 4), removed: things.slice(4) };
      const asking = ask(day.known[0]);
      await scene.mongo[how]();
      const done = await busyDay(day);
      await connected(false);
      assert.ok((await status(refkey)).mongo.pending >= 8);
      // None of them waits for MongoDB, which stays away until so many were answered.
      const { count } = asking;
      await until(() => asking.failure || asking.count > count + 300, { what: 'queries answered meanwhile', ...soon });
      await scene.mongo.start();
      await connected(true);
      await drained();
      await asking.stop();
      await assertBusyDay(day, done);
    });
  }

  it('gone while refkey is killed and started again: the work was on disk', async () => {
    const things = await linkedThings(8);
    const day = { known: things.slice(0, 4), removed: things.slice(4) };
    await scene.mongo.kill();
    const done = await busyDay(day);
    const { pending } = (await status(refkey)).mongo;
    await refkey.kill();
    await refkey.start();
    await refkey.ready();
    assert.ok((await status(refkey)).mongo.pending >= pending);
    await scene.mongo.start();
    await connected(true);
    await drained();
    await assertBusyDay(day, done);
  });

  it('comes and goes while records are written: each document once', async () => {
    let writing = true;
    const wrote = [];
    const writer = (async () => {
      while (writing) wrote.push(await publish(thing(wrote.length % 2 ? MOOD : PAINTING)));
    })();
    try {
      for (let i = 0; i < 4; i++) {
        const from = wrote.length;
        await until(() => wrote.length >= from + 10, { what: 'some records', ...soon });
        await scene.mongo[i % 2 ? 'kill' : 'stop']();
        const then = wrote.length;
        await until(() => wrote.length >= then + 10, { what: 'some records more', ...soon });
        await scene.mongo.start();
        const last = wrote.at(-1);
        await until(() => find(last), { what: 'the document of a record of now', ...soon });
      }
    } finally {
      writing = false;
      await writer;
    }
    await seen(refkey, wrote.at(-1).wrote);
    await connected(true);
    await drained();
    for (const t of wrote) assert.deepEqual(await find(t), document(t));
  });

  it('gone when refkey is told to stop: it does not wait for it', async () => {
    await scene.mongo.stop();
    await seen(refkey, (await publish(thing(MOOD))).wrote);
    await refkey.stop();
    await scene.mongo.start();
    await refkey.start();
    await refkey.ready();
    await connected(true);
    await drained();
  });

  it('silent: a second Ctrl-C ends the command that waits for it, and run again it does all', async () => {
    await drained();
    await refkey.stop();
    const server = scene.mongo.child.pid;
    process.kill(server, 'SIGSTOP');
    let child;
    try {
      // It waits for 30 s and more (settings of the kit), for the server takes the connection and says nothing.
      child = new Child('recover', [binary, 'recover'], { env: refkey.env });
      const caught = () => {
        try {
          const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
          return (BigInt(`0x${/^SigCgt:\s*(\S+)$/m.exec(status)[1]}`) & 2n) !== 0n;
        } catch {
          return false; // it has ended
        }
      };
      await child.ready(caught, { what: 'Ctrl-C being caught' });
      child.process.kill('SIGINT');
      // Once it was heard, the next one is not caught any more.
      await until(() => !caught(), { what: 'the first one being heard', ...soon });
      child.process.kill('SIGINT');
      const { code, signal } = await child.end;
      // By the first, if it had heard from MongoDB for too long by then.
      assert.ok(signal === 'SIGINT' || [1, 3].includes(code), `${signal ?? code}: ${child.tail()}`);
    } finally {
      process.kill(server, 'SIGCONT');
    }
    const { code, stdout, stderr } = await refkey.run(['recover']);
    assert.equal(code, 0, stdout + stderr);
    await refkey.start();
    await refkey.ready();
    await connected(true);
  });

  it('leaves no issue behind', async () => {
    assert.deepEqual(await issues(refkey), {});
  });

  describe('of another address', () => {
    let other;
    beforeEach(() => (other = undefined));
    it('that nobody answers, or that is no MongoDB, hinders nothing', async () => {
      const addresses = {
        nobody: 'mongodb://127.0.0.1:9/',
        'an HTTP server': `mongodb://127.0.0.1:${scene.pds.port}/`,
        'no such host': 'mongodb://no-such-host.invalid/',
      };
      for (const [what, uri] of Object.entries(addresses)) {
        other = await scene.refkey({ REFKEY_MONGO_URI: uri });
        const [record] = await scene.pds.listRecordsAll(ada.did, MOOD);
        assert.equal((await seen(other, record)).uri, record.uri, what);
        assert.equal((await status(other)).mongo.connected, false, what);
        await other.stop();
      }
    });
  });
});
