// The first comparison of MongoDB's documents with the index is over before any repo is in.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { moodDocument } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { explain, issues, soon, startScene, tid } from './scene.mjs';

describe('the first sweep', () => {
  let scene;
  let refkey;

  before(async () => {
    scene = await startScene({ proxy: true });
  });
  after(() => scene?.close());
  afterEach((t) => explain(t, refkey));

  it('a document that dangles is told once the repos are in', async () => {
    const { user } = await scene.person();
    await scene.mongo.moods.insertOne(moodDocument({ user, rkey: tid(7_200_000) }));
    const { promise, resolve } = Promise.withResolvers();
    const held = scene.proxy.http({ hold: promise }, { method: 'com.atproto.sync.getRepo' });
    refkey = await scene.refkey({ REFKEY_SWEEP_SECONDS: '86400', REFKEY_LOG_LEVEL: 'debug' }, { ready: false });
    const swept = ({ message }) => message === 'documents compared with the index';
    await until(() => refkey.log().some(swept), { what: 'a sweep', ...soon });
    await until(() => held.held === 1, { what: 'the repo was asked for', ...soon });
    assert.equal((await issues(refkey)).dangling, undefined);
    held.end();
    resolve();
    await until(async () => (await issues(refkey)).dangling === 1, { what: 'it is told', ...soon });
  });
});
