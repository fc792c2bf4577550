// The dual write on a server with change streams: a change makes it look at once. Without them it goes on as it is.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { startStreams } from '../kit/streams.mjs';
import { until } from '../kit/wait.mjs';
import { explain, soon, startScene } from './scene.mjs';

const ours = process.env.REFKEY_TEST_MONGO_URI
  ? { skip: 'REFKEY_TEST_MONGO_URI names a server that is not ours to stand before' }
  : {};

describe('the dual write and change streams', ours, () => {
  let scene;
  let streams;
  let refkey;

  before(async () => (scene = await startScene()));
  beforeEach(async () => (streams = await startStreams(scene.mongo.port)));
  afterEach(async (t) => {
    explain(t, refkey);
    await refkey?.stop();
    await streams.close();
  });
  after(() => scene?.close());

  // By itself it looks each five seconds.
  const start = () => scene.refkey({ ...scene.mongo.settings, REFKEY_MONGO_URI: streams.uri, REFKEY_PUBLISH: 'on' });
  const times = (log, name) => log.filter((one) => one === name).length;

  it('a change is looked at before anything else is asked', async () => {
    refkey = await start();
    for (const collection of ['moods', 'paintings']) {
      await until(() => streams.watching(collection)?.log.at(-1) === 'getMore', { what: `${collection} being watched`, ...soon });
      const { log } = streams.watching(collection);
      const from = log.length;
      streams.tell(collection);
      const told = await until(() => log.indexOf('told', from) + 1, { what: 'the change being told', ...soon });
      const found = await until(() => log.indexOf('find', told) + 1, { what: 'a look', ...soon });
      // One more question, whether that was all; a fifth of a second each, there would be more than twenty.
      const between = log.slice(told, found - 1);
      assert.ok(times(between, 'getMore') <= 2, between.join());
    }
  });

  it('a server without them is asked once', async () => {
    streams.none = true;
    refkey = await start();
    await until(() => streams.watching('moods'), { what: 'the question', ...soon });
    const { log } = streams.watching('moods');
    const from = times(log, 'find');
    await until(() => times(log, 'find') >= from + 2, { what: 'two looks', ...soon });
    assert.equal(times(log, 'watch'), 1, log.join());
  });
});
