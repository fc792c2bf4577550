// The dual write of paintings: as of moods (publish-watch.test.mjs), with thumbnails of images that may come
// later than the document.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, afterEach, before, describe, it } from 'node:test';
import { drawing, startImages } from '../kit/images.mjs';
import { binary } from '../kit/refkey.mjs';
import { PAINTING, objectId, paintingDocument, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, explain, linked, settled, soon, startScene, status } from './scene.mjs';
import { smallBatches } from './site.mjs';

let count = 0;

describe('the dual write of paintings', () => {
  let scene;
  let images;
  let refkey;
  let person;

  before(async () => {
    scene = await startScene({ proxy: true });
    images = await startImages();
    person = await scene.writer();
    refkey = await scene.refkey({ REFKEY_PUBLISH: 'exclusive', REFKEY_TEST_IMAGES: images.url, ...smallBatches(scene) });
  });
  afterEach((t) => explain(t, refkey));
  after(async () => {
    await scene?.close();
    await images?.close();
  });

  // As a function of the site does it: MongoDB only.
  async function paint(image) {
    const n = count++;
    const d = paintingDocument({ _id: objectId(0), user: person.user, code: `w${n}`, slug: `watched-${n}` });
    if (image) images.set(d.code, { body: image });
    await scene.mongo.paintings.insertOne(d);
    return d;
  }
  const find = (d) => scene.mongo.paintings.findOne({ _id: d._id });
  const recordsOf = async (d) =>
    (await scene.pds.listRecordsAll(person.did, PAINTING)).filter((r) => r.value.ref === String(d._id));
  const figures = async () => (await status(refkey)).mongo.publish;

  // The one record of a document, once it names it.
  const published = (d) =>
    until(
      async () => {
        const theirs = await recordsOf(d);
        assert.equal(theirs.length, 1);
        assert.equal((await find(d)).atproto?.rkey, theirs[0].uri.split('/').pop());
        return theirs[0];
      },
      { what: `${d.slug} is published`, ...soon },
    );

  it('a new painting is on the PDS with its thumbnail', async () => {
    const d = await paint(drawing(1));
    const record = await published(d);
    const { thumbnail, ...rest } = record.value;
    assert.deepEqual(rest, { $type: PAINTING, ...paintingRecord({ ...d, ref: d._id }) });
    assert.equal(thumbnail.mimeType, 'image/png');
    await linked(refkey, record);
  });

  it('an image that is not there yet is asked for again, and holds up no other painting', async () => {
    const late = await paint();
    await until(async () => (await figures()).failing === 1, { what: 'the failure is shown', ...soon });
    await published(await paint(drawing(2)));
    assert.deepEqual(await recordsOf(late), []);
    images.set(late.code, { body: drawing(3) });
    assert.ok((await published(late)).value.thumbnail);
    await until(async () => (await figures()).failing === 0, { what: 'no failure is left', ...soon });
  });

  it('a nuked painting takes its record; back again, it is published again', async () => {
    const d = await paint(drawing(4));
    await published(d);
    await scene.mongo.paintings.updateOne({ _id: d._id }, { $set: { nuked: true } });
    await until(
      async () => (await recordsOf(d)).length === 0 && !(await find(d)).atproto?.rkey,
      { what: 'the record is gone', ...soon },
    );
    assert.equal((await find(d)).nuked, true);
    await scene.mongo.paintings.updateOne({ _id: d._id }, { $unset: { nuked: '' } });
    assert.ok((await published(d)).value.thumbnail);
    await settled(refkey);
    await assertChecks(refkey);
  });

  it('an app password that is taken back: the next one is used', async () => {
    await published(await paint(drawing(5)));
    await person.agent.com.atproto.server.revokeAppPassword({ name: 'site' });
    const { data } = await person.agent.com.atproto.server.createAppPassword({ name: 'new' });
    await scene.storePassword(person, data.password);
    // The login that serve has kept expires, and is not renewed any more.
    const logins = () => scene.proxy.count('com.atproto.server.createSession');
    const before = logins();
    const fault = scene.proxy.http(
      { status: 400, body: JSON.stringify({ error: 'ExpiredToken', message: 'Token has expired' }) },
      { method: 'com.atproto.repo.uploadBlob', query: () => logins() === before },
    );
    await published(await paint(drawing(6)));
    assert.ok(fault.fired > 0);
  });

  it('a second one is refused while serve does it', async () => {
    const { code, stderr } = await refkey.run(['publish', 'paintings', '--watch']);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /REFKEY_PUBLISH/);
  });

  it('from a terminal, without thumbnails if asked', async () => {
    await refkey.stop();
    const d = await paint();
    const child = spawn(binary, ['publish', 'paintings', '--watch', '--skip-blobs'], { env: refkey.env });
    let out = '';
    child.stdout.on('data', (text) => (out += text));
    const ended = new Promise((resolve) => child.on('close', resolve));
    const record = await published(d);
    assert.equal(record.value.thumbnail, undefined);
    await until(() => out.includes(`Synced (${record.uri.split('/').pop()})`), { what: 'it says so', ...soon });
    assert.equal(images.count(d.code), 0);
    child.kill('SIGINT');
    assert.equal(await ended, 0, out);
  });
});
