// What becomes of accounts: every status hides and gives back, a deleted one goes as REFKEY_ON_DELETE says, a
// moved one stays answered; what the stream says of numbers and times is not believed too far.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { encodeFrame } from '../kit/firehose.mjs';
import { startPds } from '../kit/pds.mjs';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import {
  assertChecks, explain, issues, linked, metrics, parts, seen, settled, soon, startScene, status, unseen,
} from './scene.mjs';

const GET_REPO = 'com.atproto.sync.getRepo';
const refused = (reason) => `refkey_refused_total{reason="${reason}"}`;

describe('accounts', () => {
  let scene;
  let refkey;

  before(async () => {
    scene = await startScene({ proxy: true });
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  afterEach((t) => {
    explain(t, refkey);
    scene?.proxy.honest();
  });

  const write = (account, mood, pds = scene.pds) =>
    pds.createRecord(account, MOOD, moodRecord({ mood, ref: objectId(3600) }));
  const document = (record) => scene.mongo.moods.findOne({ 'atproto.rkey': record.rkey });
  const send = (t, body) => scene.proxy.inject(encodeFrame({ op: 1, t }, { time: new Date().toISOString(), ...body }));
  const repoStatus = async (account) => (await refkey.xrpc('getRepoStatus', { repo: account.did })).body;
  const is = (account, fits, what) => until(async () => fits(await repoStatus(account)), { ...soon, what });

  // Somebody with two linked moods.
  async function person() {
    const who = await scene.person();
    const records = [await write(who, 'one'), await write(who, 'two')];
    for (const record of records) await linked(refkey, record);
    return { ...who, records };
  }
  const documentsOf = async ({ records }) => Promise.all(records.map(document));

  // Hidden from every question; documents untouched.
  async function assertHidden(who, documents) {
    const [record] = who.records;
    await unseen(refkey, record);
    for (const { _id } of documents)
      assert.equal((await refkey.xrpc('getByRef', { ref: String(_id) })).body.error, 'RecordNotFound');
    const list = await refkey.xrpc('listRecords', { collection: MOOD, repo: who.did });
    assert.deepEqual(list.body.records, []);
    await settled(refkey);
    assert.deepEqual(await documentsOf(who), documents, 'documents stay');
  }

  it('deactivated, it is hidden, and back with what it wrote since', async () => {
    const who = await person();
    const documents = await documentsOf(who);
    await scene.pds.deactivate(who);
    await assertHidden(who, documents);
    const { active, status } = await repoStatus(who);
    assert.deepEqual([active, status], [false, 'deactivated']);
    await scene.pds.activate(who);
    for (const record of who.records) await seen(refkey, record);
    await linked(refkey, await write(who, 'back again'));
  });

  it('taken down, it is hidden, and back', async () => {
    const who = await person();
    const documents = await documentsOf(who);
    await scene.pds.takedown(who.did);
    await assertHidden(who, documents);
    assert.equal((await repoStatus(who)).status, 'takendown');
    await scene.pds.takedown(who.did, false);
    for (const record of who.records) await seen(refkey, record);
  });

  // The reference PDS has no way to these.
  for (const [said, kept] of [['suspended', 'suspended'], ['throttled-by-a-later-version', 'inactive'], [undefined, 'inactive']]) {
    it(`inactive as ${said}, it is hidden as ${kept}, and back`, async () => {
      const who = await person();
      const documents = await documentsOf(who);
      const { cursor } = await status(refkey);
      send('#account', { did: who.did, seq: cursor + 1, active: false, ...(said && { status: said }) });
      await assertHidden(who, documents);
      const { active, status: told } = await repoStatus(who);
      assert.deepEqual([active, told], [false, kept]);
      send('#account', { did: who.did, seq: cursor + 2, active: true });
      for (const record of who.records) await seen(refkey, record);
    });
  }

  it('deleted, its records go and its documents as REFKEY_ON_DELETE says', async () => {
    const who = await person();
    await scene.pds.deleteAccount(who.did);
    for (const record of who.records) await unseen(refkey, record);
    const gone = () => scene.mongo.moods.find({ user: who.user }).toArray();
    await until(async () => (await gone()).every((d) => d.deleted === true && !d.atproto?.rkey), { ...soon, what: 'marked' });
    assert.equal((await gone()).length, 2);
    await assertChecks(refkey);
  });

  it('said to be deleted while the PDS has it, it keeps everything', async () => {
    const who = await person();
    const documents = await documentsOf(who);
    const fetches = scene.proxy.count(GET_REPO);
    send('#account', { did: who.did, seq: (await status(refkey)).cursor + 1, active: false, status: 'deleted' });
    await until(() => scene.proxy.count(GET_REPO) > fetches, { ...soon, what: 'the PDS is asked' });
    for (const record of who.records) await seen(refkey, record);
    await settled(refkey);
    assert.deepEqual(await documentsOf(who), documents);
  });

  it('an old event sent again erases nothing and hides nothing', async () => {
    const who = await person();
    const documents = await documentsOf(who);
    let frame;
    scene.proxy.stream((f) => [(frame = f).bytes], { when: (f) => f.type === '#account' && !f.body.active, times: 1 });
    await scene.pds.takedown(who.did);
    await unseen(refkey, who.records[0]);
    await scene.pds.takedown(who.did, false);
    for (const record of who.records) await seen(refkey, record);
    await settled(refkey);
    scene.proxy.inject(frame.bytes);
    send('#account', { did: who.did, seq: frame.body.seq, active: false, status: 'deleted' });
    await linked(refkey, await write(who, 'behind the old events'));
    for (const record of who.records) await seen(refkey, record);
    assert.equal((await repoStatus(who)).active, true);
    assert.deepEqual(await documentsOf(who), documents);
  });

  it('numbers far ahead and times to come take nothing with them', async () => {
    const who = await person();
    const { cursor } = await status(refkey);
    const fields = (await metrics(refkey))[refused('frame_field')];
    const time = '2199-01-01T00:00:00.000Z';
    // CBOR of 2^60, which JavaScript does not write.
    const absurd = encodeFrame({ op: 1, t: '#identity' }, { did: who.did, seq: 2 ** 32, time });
    const at = absurd.indexOf(Buffer.from('1b0000000100000000', 'hex'));
    assert.ok(at > 0);
    absurd.writeBigUInt64BE(2n ** 60n, at + 1);
    scene.proxy.inject(absurd);
    await until(async () => (await metrics(refkey))[refused('frame_field')] === fields + 1, { ...soon, what: 'it is refused' });
    for (const seq of [2 ** 52, 2 ** 51]) {
      send('#identity', { did: who.did, seq, time });
      send('#account', { did: who.did, seq: seq - 1_000_000, active: true, time });
    }
    await scene.pds.takedown(who.did);
    await unseen(refkey, who.records[0]);
    await scene.pds.takedown(who.did, false);
    for (const record of who.records) await seen(refkey, record);
    await seen(refkey, await write(who, 'one more'));
    const now = await status(refkey);
    assert.ok(now.cursor > cursor && now.cursor < cursor + 1000, `the cursor is ${now.cursor}, was ${cursor}`);
    assert.ok(now.lagSeconds >= 0 && now.lagSeconds < 3600, `lag ${now.lagSeconds}`);
    await refkey.restart();
    await refkey.ready();
    assert.ok(Number(scene.proxy.connections.at(-1).cursor) <= now.cursor);
    assert.equal(refkey.log().filter((e) => /sequence was reset/.test(JSON.stringify(e))).length, 0);
    for (const record of who.records) await seen(refkey, record);
  });

  it('moved to another PDS, it stays answered as moved, its documents stay, its commits here are refused', async () => {
    const who = await person();
    const documents = await documentsOf(who);
    const other = await startPds({ plc: scene.net.plc });
    try {
      const moved = async (url, said) => {
        await scene.moves(who, url);
        send('#identity', { did: who.did, seq: (await status(refkey)).cursor });
        const fits = ({ status, body }) => status === 200 && body.moved === said;
        return (await refkey.until('getByRkey', parts(who.records[0].uri), fits, soon)).body;
      };
      const view = await moved(other.url, true);
      assert.equal(view.linked, true);
      const elsewhere = (await metrics(refkey))[refused('repo_elsewhere')];
      const stray = await write(who, 'written where it no longer lives');
      await until(async () => (await metrics(refkey))[refused('repo_elsewhere')] > elsewhere, { ...soon, what: 'refused' });
      await unseen(refkey, stray);
      for (const record of who.records) await seen(refkey, record);
      await settled(refkey);
      assert.deepEqual(await documentsOf(who), documents);
      // Deactivated behind it, as one does.
      await scene.pds.deactivate(who);
      await is(who, (s) => s.active === false, 'it is not active here');
      for (const record of who.records) await seen(refkey, record);
      // Home again: with what it wrote meanwhile.
      await scene.moves(who, scene.pds.url);
      await scene.pds.activate(who);
      await linked(refkey, stray);
      assert.equal((await seen(refkey, stray)).moved, undefined);
    } finally {
      await other.close();
    }
    assert.equal((await issues(refkey)).vanished ?? 0, 0);
    await assertChecks(refkey);
  });

  // Its document was read just now, and the stream says nothing of the other one.
  for (const [how, leave] of Object.entries({
    deactivated: (who) => scene.pds.deactivate(who),
    'taken down': (who) => scene.pds.takedown(who.did),
    deleted: (who) => scene.pds.deleteAccount(who.did),
  })) {
    it(`moved without a word, and then ${how} here, it is answered as moved, and its documents stay`, async () => {
      const who = await person();
      const documents = await documentsOf(who);
      await scene.moves(who, 'https://elsewhere.example');
      await leave(who);
      for (const { uri } of who.records)
        await refkey.until('getByRkey', parts(uri), ({ status, body }) => status === 200 && body.moved === true, soon);
      assert.equal((await repoStatus(who)).active, false);
      await settled(refkey);
      assert.deepEqual(await documentsOf(who), documents);
      await assertChecks(refkey);
    });
  }
});

for (const [setting, fits] of [
  ['unlink', (d) => !d.deleted && !d.atproto?.rkey],
  ['keep', (d, record) => !d.deleted && d.atproto.rkey === record.rkey],
]) {
  describe(`an account deleted with REFKEY_ON_DELETE=${setting}`, () => {
    let scene;
    let refkey;

    before(async () => {
      scene = await startScene();
      refkey = await scene.refkey({ REFKEY_ON_DELETE: setting });
    });
    after(() => scene?.close());
    afterEach((t) => explain(t, refkey));

    it('leaves its documents as that says', async () => {
      const who = await scene.person();
      const record = await scene.pds.createRecord(who, MOOD, moodRecord({ mood: 'one', ref: objectId(3600) }));
      await linked(refkey, record);
      await scene.pds.deleteAccount(who.did);
      await unseen(refkey, record);
      await settled(refkey);
      const found = () => scene.mongo.moods.findOne({ user: who.user });
      await until(async () => fits(await found(), record), { ...soon, what: setting });
      await assertChecks(refkey);
    });
  });
}
