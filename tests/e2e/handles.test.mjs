// A handle is an account's only in both directions: its DID document names it, and the PDS resolves it
// to that DID.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { explain, metrics, seen, soon, startScene } from './scene.mjs';

describe('a handle', () => {
  let scene;
  let refkey;
  before(async () => {
    scene = await startScene({ mongo: false, proxy: true });
    refkey = await scene.refkey();
  });
  after(() => scene?.close());
  afterEach((t) => {
    explain(t, refkey);
    scene.proxy.honest();
  });

  const resolveHandle = 'com.atproto.identity.resolveHandle';
  const json = { 'content-type': 'application/json' };
  const write = (account) => scene.pds.createRecord(account, MOOD, moodRecord({ mood: 'named', ref: objectId() }));

  const wrongs = {
    'that resolves to another DID': () => ({ status: 200, headers: json, body: JSON.stringify({ did: 'did:web:b.test' }) }),
    'that resolves to nobody': () => ({ status: 400, headers: json, body: '{"error":"HandleNotFound","message":"no"}' }),
    'whose answer is none': () => ({ status: 200, headers: json, body: '{"did":["' }),
  };
  for (const [what, wrong] of Object.entries(wrongs)) {
    it(`${what} answers for no account, until it is true`, async () => {
      // By handle, as the log has them: while a handle is changed it may be read when the directory has it
      // and the PDS has not yet, so that how many are refused in all is a matter of chance; and it is told
      // and counted behind the answers that come of it, in another test, too.
      const refused = () => refkey.log().filter((line) => line.message === 'a handle was refused');
      const refusals = (handle) => refused().filter((line) => line.handle === handle).length;
      const counted = async () => (await metrics(refkey))['refkey_refused_total{reason="handle_false"}'];
      const fault = scene.proxy.http(wrong(), { method: resolveHandle });
      const ada = await scene.stranger();
      const record = await write(ada);
      // By its DID it is there: the DID document was read before the repo was fetched.
      await seen(refkey, record);
      assert.ok(fault.fired >= 1);
      const asked = (repo) => ({ repo, collection: MOOD, rkey: record.rkey });
      const miss = await refkey.xrpc('getByRkey', asked(ada.handle));
      assert.deepEqual([miss.status, miss.body.error], [400, 'RecordNotFound']);
      // Counted once, however often it is asked for.
      const times = fault.fired;
      await ada.agent.com.atproto.identity.updateHandle({ handle: ada.handle });
      await until(() => fault.fired > times, { ...soon, what: 'asked again' });
      scene.proxy.honest();
      const handle = `true-${ada.handle}`;
      await ada.agent.com.atproto.identity.updateHandle({ handle });
      await refkey.until('getByRkey', asked(handle), undefined, soon);
      await until(() => refusals(ada.handle) > 0, { ...soon, what: 'a refusal in the log' });
      await until(async () => (await counted()) === refused().length, { ...soon, what: 'as many are counted as are told' });
      assert.equal(refusals(ada.handle), 1);
    });
  }
});
