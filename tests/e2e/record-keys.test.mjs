// Keys that a tree can hold and that are no record keys: longer than 512 bytes, "." and "..". The reference PDS takes
// them in by importRepo; they are left out of a copy, and the rest of the repo is not held up by them.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Secp256k1Keypair } from '@atproto/crypto';
import { MemoryBlockstore, Repo, WriteOpAction, getFullRepo } from '@atproto/repo';
import { MOOD, moodRecord, objectId } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { joined } from '../sim/account.mjs';
import { assertChecks, explain, metrics, seen, settled, soon, startScene, tid } from './scene.mjs';

const MALFORMED = 'refkey_refused_total{reason="record_malformed"}';
const NONE = ['.', '..', 'a'.repeat(513), 'b'.repeat(900)];

describe('record keys that are none', () => {
  let scene;
  let refkey;

  before(async () => {
    scene = await startScene();
    refkey = await scene.refkey({ REFKEY_RECOVER: 'all' });
  });
  afterEach((t) => explain(t, refkey));
  after(() => scene?.close());

  it('are left out of a copy, and counted; what they stand beside is served, recovered and removed', async () => {
    const eve = await scene.person('eve');
    await seen(refkey, await scene.pds.createRecord(eve, MOOD, moodRecord({ mood: 'first', ref: objectId() })));
    const refused = (await metrics(refkey))[MALFORMED];
    const storage = new MemoryBlockstore();
    const beside = tid();
    const mood = (text) => ({ $type: MOOD, ...moodRecord({ mood: text, ref: objectId() }) });
    const repo = await Repo.create(
      storage,
      eve.did,
      await Secp256k1Keypair.create(),
      [...NONE, beside].map((rkey) => ({ action: WriteOpAction.Create, collection: MOOD, rkey, record: mood(rkey === beside ? 'beside' : rkey) })),
    );
    await eve.agent.com.atproto.repo.importRepo(await joined(getFullRepo(storage, repo.cid)), { encoding: 'application/vnd.ipld.car' });
    const next = await scene.pds.createRecord(eve, MOOD, moodRecord({ mood: 'next', ref: objectId() }));
    await seen(refkey, next);
    // In each copy that is fetched.
    const counted = async () => (await metrics(refkey))[MALFORMED] - refused;
    await until(async () => (await counted()) > 0, { what: 'they are counted', ...soon });
    await settled(refkey);
    assert.equal((await counted()) % NONE.length, 0, `${await counted()} are counted`);
    const served = async () =>
      (await refkey.xrpc('listRecords', { collection: MOOD, repo: eve.did })).body.records.map((r) => r.value.mood).sort();
    await until(async () => (await served()).join() === 'beside,next', { what: 'what is served', ...soon });
    for (const args of [['lexicon', 'validate', '--records'], ['recover', '--dry-run']]) {
      const { code, stdout, stderr } = await refkey.run(args);
      assert.equal(code, 0, stdout + stderr);
    }
    await scene.pds.deleteRecord(eve, MOOD, next.uri.split('/').pop());
    await until(async () => (await served()).join() === 'beside', { what: 'what is deleted goes', ...soon });
    await assertChecks(refkey);
  });
});
