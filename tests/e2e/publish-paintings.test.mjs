// `refkey publish paintings`: records with thumbnails of images from a server that does wrong, blobs on the
// real PDS; nothing twice, whatever happens on the way.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { dimensions, drawing, jpeg, png, startImages } from '../kit/images.mjs';
import { binary } from '../kit/refkey.mjs';
import { GUEST, PAINTING, paintingDocument, paintingRecord } from '../kit/shapes.mjs';
import { until } from '../kit/wait.mjs';
import { assertChecks, linked, settled, soon, startScene } from './scene.mjs';

const MOST = 1_000_000;

let count = 0;

// What every scene here is asked and given.
class Gallery {
  static async start(options = {}) {
    const gallery = new Gallery();
    gallery.scene = await startScene({ proxy: true, ...options });
    gallery.images = await startImages();
    gallery.refkey = await gallery.scene.refkey({ REFKEY_TEST_IMAGES: gallery.images.url });
    await gallery.refkey.stop();
    return gallery;
  }

  async close() {
    await this.scene.close();
    await this.images.close();
  }

  painter(user) {
    return this.scene.writer({ user });
  }

  // One for each image; `image` as the server of images takes it.
  async paintings(person, images) {
    const when = Date.now() - 3_600_000;
    const all = images.map((image, i) => {
      const n = count++;
      const d = paintingDocument({ user: person?.user, code: `c${n}`, slug: `painting-${n}`, when: new Date(when + i) });
      if (image) this.images.set(d.code, image);
      return d;
    });
    if (all.length) await this.scene.mongo.paintings.insertMany(all);
    return all;
  }

  find(_id) {
    return this.scene.mongo.paintings.findOne({ _id });
  }

  records(person) {
    return this.scene.pds.listRecordsAll(person.did, PAINTING);
  }

  async publish(...args) {
    const { code, signal, stdout, stderr } = await this.refkey.run(['publish', 'paintings', '--json', ...args]);
    const shown = `publish ${args.join(' ')}: ${signal ?? code}\n${stdout}${stderr}`;
    assert.notEqual(code, null, shown);
    return { code, shown, stderr, ...(stdout && JSON.parse(stdout)) };
  }

  spawn(...args) {
    const child = spawn(binary, ['publish', 'paintings', ...args], { env: this.refkey.env, stdio: ['ignore', 'pipe', 'ignore'] });
    child.text = '';
    child.stdout.on('data', (data) => (child.text += data));
    child.ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)));
    child.told = new Promise((resolve) => child.stdout.on('end', resolve));
    return child;
  }

  // Each document names one record, which says what it says, and has its thumbnail where there is to be one.
  async assertPublished(person, documents, { thumbnails = true } = {}) {
    const theirs = await this.records(person);
    const refs = theirs.map((r) => r.value.ref);
    assert.equal(new Set(refs).size, refs.length, 'a ref is there twice');
    for (const d of documents) {
      const record = theirs.find((r) => r.value.ref === String(d._id));
      assert.ok(record, `no record for ${d._id}`);
      const { thumbnail, ...rest } = record.value;
      assert.deepEqual(rest, { $type: PAINTING, ...paintingRecord({ ...d, ref: d._id }) });
      assert.deepEqual(await this.find(d._id), { ...d, atproto: { rkey: record.uri.split('/').pop() } });
      assert.equal(!!thumbnail, thumbnails, record.uri);
      if (thumbnail) await this.assertThumbnail(person, thumbnail);
    }
    return theirs;
  }

  async assertThumbnail(person, { ref, mimeType, size }) {
    const bytes = await this.blob(person, ref);
    const { type, width, height } = dimensions(bytes);
    assert.deepEqual([type, bytes.length], [mimeType, size]);
    assert.ok(width <= 512 && height <= 512 && size <= MOST, `${width} x ${height}, ${size} bytes`);
    return { type, width, height };
  }

  async blob(person, ref) {
    const query = new URLSearchParams({ did: person.did, cid: ref.$link ?? String(ref) });
    const res = await fetch(`${this.scene.pds.url}/xrpc/com.atproto.sync.getBlob?${query}`);
    assert.equal(res.status, 200);
    return Buffer.from(await res.arrayBuffer());
  }
}

const users = (...people) => people.flatMap((p) => ['--user', p.user]);
const text = (body, more) => ({ body: Buffer.from(body), ...more });

// The processes of a run, and what they need of memory at most, in bytes.
function family(pid) {
  const all = [pid];
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid) all.push(Number(entry));
    } catch {
      // It has ended.
    }
  }
  return all;
}

function peak(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/status`, 'latin1').match(/^VmHWM:\s+(\d+) kB/m)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

describe('publish paintings', () => {
  let gallery;
  let scene;
  let images;

  before(async () => {
    gallery = await Gallery.start();
    ({ scene, images } = gallery);
  });
  after(() => gallery?.close());

  it('writes records with thumbnails, links documents, and again finds nothing', async () => {
    const [one, two] = await Promise.all([gallery.painter(), gallery.painter()]);
    const kinds = [
      [{ body: drawing(1, 64) }, { type: 'image/png', width: 64, height: 64 }],
      [{ body: drawing(2, 700) }, { type: 'image/png', width: 512, height: 512 }],
      [{ body: png(1500, 300) }, { type: 'image/png', width: 512, height: 102 }],
      // What it is, is told by what it holds.
      [{ body: jpeg, type: 'image/png' }, { type: 'image/jpeg', width: 512, height: 256 }],
      [{ body: drawing(3), type: 'text/html' }, { type: 'image/png', width: 64, height: 64 }],
      // Noise in all four channels is no PNG of a megabyte.
      [{ body: png(512, 512, { pixel: noise(), level: 1 }) }, { type: 'image/jpeg', width: 512, height: 512 }],
    ];
    const all = await gallery.paintings(one, kinds.map(([image]) => image));
    const others = await gallery.paintings(two, Array.from({ length: 30 }, (_, i) => ({ body: drawing(i) })));
    const nuked = paintingDocument({ user: one.user, code: `c${count++}`, slug: 'nuked', nuked: true });
    await scene.mongo.paintings.insertOne(nuked);
    const { code, records, summary, shown } = await gallery.publish(...users(one, two));
    assert.equal(code, 0, shown);
    assert.deepEqual([summary.found, summary.created, summary.failed], [36, 36, 0], shown);
    assert.deepEqual(records.find((r) => r.ref === String(all[0]._id)).words, all[0].slug);
    const theirs = await gallery.assertPublished(one, all);
    for (const [i, [, expected]] of kinds.entries()) {
      const { thumbnail } = theirs.find((r) => r.value.ref === String(all[i]._id)).value;
      assert.deepEqual(await gallery.assertThumbnail(one, thumbnail), expected);
    }
    assert.equal((await gallery.assertPublished(two, others)).length, 30);
    assert.deepEqual(await gallery.find(nuked._id), nuked);
    const asked = images.requests.length;
    const again = await gallery.publish(...users(one, two));
    assert.deepEqual([again.code, again.summary.found], [0, 0], again.shown);
    assert.equal(images.requests.length, asked);
  });

  it('a dry run asks for no image and writes nothing', async () => {
    const person = await gallery.painter();
    const all = await gallery.paintings(person, [{ body: drawing(1) }]);
    const { code, summary, shown } = await gallery.publish('--dry-run', ...users(person));
    assert.deepEqual([code, summary.created], [0, 1], shown);
    assert.equal(images.count(all[0].code), 0);
    assert.deepEqual(await gallery.records(person), []);
    assert.deepEqual(await gallery.find(all[0]._id), all[0]);
    await scene.mongo.paintings.deleteMany({ user: person.user });
  });

  it('what is no image is told and left; the rest is published, and it, too, when it is mended', async () => {
    const person = await gallery.painter();
    const bad = {
      'image: its server answers 404': { status: 404 },
      'image: its server answers 302, and redirects are not followed': { status: 302, headers: { location: '/' } },
      'image: its server answers 500': { status: 500 },
      'image: neither PNG nor JPEG, sent as text/html': text('<!DOCTYPE html><html>not here</html>', { type: 'text/html' }),
      'image: neither PNG nor JPEG, sent as image/png': text('GIF89a, which is something else'),
      'image: neither PNG nor JPEG, sent as image/jpeg': text('', { type: 'image/jpeg' }),
      'image: larger than 32 MB': { repeat: 40 << 20, body: drawing(1) },
      'image: the image has 20000 x 20000 pixels, 100 megapixels are taken': { body: png(20000, 20000, { bits: 1 }) },
      'image: the image has 60000 x 2 pixels, 100 megapixels are taken': { body: png(60000, 2, { bits: 1 }) },
      'image: nothing came for 15000 ms': { hang: true },
    };
    const worse = [
      { repeat: 40 << 20, body: drawing(1), chunked: true },
      { body: drawing(7, 256).subarray(0, 700) },
      { body: jpeg.subarray(0, 900) },
      { body: Buffer.concat([png(64, 64).subarray(0, 41), Buffer.alloc(500, 0x41)]) },
      { body: drawing(7, 256), drip: 20 },
      { reset: true },
    ];
    const known = await gallery.paintings(person, Object.values(bad));
    const others = await gallery.paintings(person, worse);
    const good = await gallery.paintings(person, [{ body: drawing(5) }, { body: drawing(6), status: 503, times: 1 }]);
    const { code, records, summary, shown } = await gallery.publish(...users(person));
    assert.equal(code, 1, shown);
    assert.deepEqual([summary.created, summary.failed], [2, known.length + others.length], shown);
    const reasons = Object.fromEntries(records.map((r) => [r.ref, r.reason]));
    assert.deepEqual(known.map((d) => reasons[d._id]), Object.keys(bad));
    for (const [i, pattern] of [/larger than 32 MB/, /damaged/, /damaged/, /damaged/, /bytes a second/, /reset/i].entries())
      assert.match(reasons[others[i]._id], pattern);
    await gallery.assertPublished(person, good);
    for (const d of [...known, ...others]) {
      assert.deepEqual(await gallery.find(d._id), d);
      images.set(d.code, { body: drawing(count++) });
    }
    const next = await gallery.publish(...users(person));
    assert.deepEqual([next.code, next.summary.created], [0, known.length + others.length], next.shown);
    await gallery.assertPublished(person, [...known, ...others, ...good]);
  });

  it('what cannot be published takes no place of --limit', async () => {
    const person = await gallery.painter();
    const all = await gallery.paintings(person, [...Array(4).fill({ status: 404 }), ...Array(3).fill({ body: drawing(1) })]);
    const [bad, good] = [all.slice(0, 4), all.slice(4)];
    const first = await gallery.publish(...users(person), '--limit', '2');
    const { created, failed, limited } = first.summary;
    assert.deepEqual([first.code, created, failed, limited], [1, 2, 4, true], first.shown);
    assert.deepEqual(first.records.map((l) => l.n), [1, 2, 3, 4, 5, 6]);
    assert.ok(first.records.every((l) => l.n <= l.total && l.total <= 6), first.shown);
    await gallery.assertPublished(person, good.slice(0, 2));
    const second = await gallery.publish(...users(person), '--limit', '2');
    assert.deepEqual([second.summary.created, second.summary.failed, second.summary.limited], [1, 4, false], second.shown);
    await gallery.assertPublished(person, good);
    await gallery.scene.mongo.paintings.deleteMany({ _id: { $in: bad.map((d) => d._id) } });
  });

  it('--skip-blobs: without thumbnails, and no image is asked for', async () => {
    const person = await gallery.painter();
    const all = await gallery.paintings(person, [{ status: 404 }, { body: drawing(1) }]);
    const uploads = scene.proxy.count('com.atproto.repo.uploadBlob');
    const { code, summary, shown } = await gallery.publish('--skip-blobs', ...users(person));
    assert.deepEqual([code, summary.created], [0, 2], shown);
    await gallery.assertPublished(person, all, { thumbnails: false });
    assert.equal(scene.proxy.count('com.atproto.repo.uploadBlob'), uploads);
    for (const d of all) assert.equal(images.count(d.code), 0);
  });

  it('guests only with --guests', async () => {
    const guest = await gallery.painter(GUEST);
    const all = await gallery.paintings(undefined, [{ body: drawing(1) }, { body: drawing(2) }]);
    assert.equal((await gallery.publish()).summary.found, 0);
    const { code, summary, shown } = await gallery.publish('--guests');
    assert.deepEqual([code, summary.created], [0, 2], shown);
    await gallery.assertPublished(guest, all);
  });

  it('what is on the PDS already is linked, without its image', async () => {
    const person = await gallery.painter();
    const [d] = await gallery.paintings(person, [{ body: drawing(1) }]);
    const theirs = await scene.pds.createRecord(person, PAINTING, paintingRecord({ ...d, ref: d._id }));
    const { code, summary, shown } = await gallery.publish(...users(person));
    assert.deepEqual([code, summary.linked], [0, 1], shown);
    assert.equal((await gallery.find(d._id)).atproto.rkey, theirs.rkey);
    assert.equal(images.count(d.code), 0);
  });

  it('a code is part of the path, whatever it holds', async () => {
    const person = await gallery.painter();
    const all = await gallery.paintings(person, [null, null, null]);
    for (const [i, code] of ['../a?b#c', 'é "\\ %2', 'a\0b'].entries()) {
      all[i].code = code;
      images.set(code, { body: drawing(i) });
      await scene.mongo.paintings.updateOne({ _id: all[i]._id }, { $set: { code } });
    }
    const { code, summary, shown } = await gallery.publish(...users(person));
    assert.deepEqual([code, summary.created], [0, 3], shown);
    for (const d of all) {
      assert.equal(images.count(d.code), 1);
      const record = (await gallery.records(person)).find((r) => r.value.ref === String(d._id));
      assert.equal(record.value.imageUrl, `https://aesthetic.computer/media/paintings/${encodeURIComponent(d.code)}`);
    }
  });

  it('a server of images that is away ends the run with 3', async () => {
    const person = await gallery.painter();
    const all = await gallery.paintings(person, Array.from({ length: 14 }, (_, i) => ({ body: drawing(i) })));
    const { REFKEY_TEST_IMAGES: url } = gallery.refkey.settings;
    gallery.refkey.settings.REFKEY_TEST_IMAGES = 'http://127.0.0.1:9';
    const { code, stderr, shown } = await gallery.publish(...users(person));
    gallery.refkey.settings.REFKEY_TEST_IMAGES = url;
    assert.equal(code, 3, shown);
    assert.match(stderr, /image: .*127\.0\.0\.1/);
    const next = await gallery.publish(...users(person));
    assert.deepEqual([next.code, next.summary.created], [0, 14], next.shown);
    await gallery.assertPublished(person, all);
  });

  it('memory stays within bounds, however large the images', async () => {
    const people = await Promise.all([gallery.painter(), gallery.painter(), gallery.painter()]);
    const large = png(9000, 9000, { level: 1 });
    const padded = { repeat: 31 << 20, body: drawing(1) };
    const all = await Promise.all(people.map((p) => gallery.paintings(p, [{ body: large }, padded, ...Array(3).fill({ body: large })])));
    // The run does not end before both programs were seen.
    const { promise, resolve } = Promise.withResolvers();
    scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.uploadBlob', times: 1 });
    const child = gallery.spawn(...users(...people));
    const peaks = new Map();
    const timer = setInterval(() => {
      for (const pid of family(child.pid)) peaks.set(pid, Math.max(peaks.get(pid) ?? 0, peak(pid)));
    }, 20);
    await until(() => peaks.size >= 2, { what: 'a process for thumbnails', ...soon }).finally(resolve);
    const code = await child.ended;
    clearInterval(timer);
    assert.equal(code, 0);
    const sum = [...peaks.values()].reduce((a, b) => a + b, 0);
    assert.ok(sum <= 256 << 20, `${[...peaks.values()].map((n) => n >> 20)} MB`);
    for (const [i, p] of people.entries()) await gallery.assertPublished(p, all[i]);
  });

  it('while eight users upload, the next one logs in', async () => {
    const people = await Promise.all(Array.from({ length: 9 }, () => gallery.painter()));
    const all = await Promise.all(people.map((p, i) => gallery.paintings(p, [{ body: drawing(i) }])));
    const logins = () => scene.proxy.count('com.atproto.server.createSession');
    const before = logins();
    const { promise, resolve } = Promise.withResolvers();
    const fault = scene.proxy.http({ hold: promise }, { method: 'com.atproto.repo.uploadBlob' });
    const child = gallery.spawn('--threads', '1', ...users(...people));
    try {
      await until(() => fault.held >= 8 && logins() - before >= 9, { what: 'nine logins and eight uploads', ...soon });
    } finally {
      fault.end();
      resolve();
    }
    // An upload that is not answered for most of a minute fails, and the next user's turn comes: not so here.
    assert.equal(await child.ended, 0);
    for (const [i, p] of people.entries()) await gallery.assertPublished(p, all[i]);
  });

  describe('with a PDS that fails at uploads', () => {
    for (const [what, wrong] of Object.entries({
      'answers 500': { status: 500 },
      'answers 429': { status: 429, headers: { 'retry-after': '1' } },
      'resets': { reset: true },
      'takes it, and its answer is cut off': { truncate: 0 },
      'takes it and never answers': { hold: true },
    })) {
      it(`that ${what}: nothing twice, nothing missing`, async () => {
        const person = await gallery.painter();
        const all = await gallery.paintings(person, Array.from({ length: 5 }, (_, i) => ({ body: drawing(i) })));
        const fault = scene.proxy.http(wrong, { method: 'com.atproto.repo.uploadBlob', times: wrong.hold ? 1 : 2 });
        const { code, summary, shown } = await gallery.publish(...users(person));
        assert.ok(fault.fired > 0);
        assert.deepEqual([code, summary.created, summary.failed], [0, 5, 0], shown);
        assert.equal((await gallery.assertPublished(person, all)).length, 5);
      });
    }

    it('that takes a blob for another one: told, nothing written', async () => {
      const person = await gallery.painter();
      const [d] = await gallery.paintings(person, [{ body: drawing(1) }]);
      const link = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';
      const body = JSON.stringify({ blob: { $type: 'blob', ref: { $link: link }, mimeType: 'image/png', size: 3 } });
      const fault = scene.proxy.http({ status: 200, body }, { method: 'com.atproto.repo.uploadBlob', times: 1 });
      const { code, records, shown } = await gallery.publish(...users(person));
      assert.equal(fault.fired, 1);
      assert.equal(code, 1, shown);
      assert.match(records[0].reason, /took a blob/);
      assert.deepEqual(await gallery.records(person), []);
      assert.deepEqual(await gallery.find(d._id), d);
      await scene.mongo.paintings.deleteMany({ user: person.user });
    });
  });

  describe('killed', () => {
    for (const [what, method] of [
      ['between the blob and the record', 'com.atproto.repo.uploadBlob'],
      ['between the record and the document', 'com.atproto.repo.applyWrites'],
    ]) {
      it(`${what}: the same records, none twice`, async () => {
        const person = await gallery.painter();
        const all = await gallery.paintings(person, Array.from({ length: 8 }, (_, i) => ({ body: drawing(i) })));
        for (let round = 0; round < 2; round++) {
          const fault = scene.proxy.http({ hold: true }, { method, times: 1 });
          const child = gallery.spawn(...users(person), '--batch-size', '3');
          await until(() => fault.held === 1, { what: 'the PDS has said yes', ...soon });
          child.kill('SIGKILL');
          await child.ended;
        }
        const { code, shown } = await gallery.publish(...users(person));
        assert.equal(code, 0, shown);
        assert.equal((await gallery.assertPublished(person, all)).length, 8);
      });
    }

    it('at any moment, again and again', async () => {
      const people = await Promise.all([gallery.painter(), gallery.painter()]);
      const all = await Promise.all(
        people.map((p) => gallery.paintings(p, Array.from({ length: 10 }, (_, i) => ({ body: drawing(i) })))),
      );
      for (let round = 0; round < 6; round++) {
        const child = gallery.spawn(...users(...people), '--batch-size', '4');
        const seen = scene.proxy.requests.length;
        await until(() => child.exitCode !== null || scene.proxy.requests.length > seen + 4 + round * 3, soon);
        child.kill('SIGKILL');
        await child.ended;
      }
      const { code, shown } = await gallery.publish(...users(...people));
      assert.equal(code, 0, shown);
      for (const [i, p] of people.entries()) assert.equal((await gallery.assertPublished(p, all[i])).length, 10);
    });

    it('the program for thumbnails: the run goes on', async () => {
      const person = await gallery.painter();
      const slow = Array.from({ length: 6 }, () => ({ body: png(4000, 4000, { level: 1 }) }));
      // The last image comes when it has been killed: it is needed again.
      const { promise, resolve } = Promise.withResolvers();
      slow.at(-1).hold = promise;
      const all = await gallery.paintings(person, slow);
      const child = gallery.spawn(...users(person));
      await until(() => family(child.pid).length > 1, { what: 'it was started', ...soon });
      for (const pid of family(child.pid).slice(1)) process.kill(pid, 'SIGKILL');
      resolve();
      const code = await child.ended;
      const next = await gallery.publish(...users(person));
      assert.ok(code === 0 || (code === 1 && next.summary.created > 0), `${code}: ${next.shown}`);
      assert.equal(next.code, 0, next.shown);
      await gallery.assertPublished(person, all);
    });

    it('Ctrl-C beside a slow server of images: ends with what was done', async () => {
      // An image hangs for 15 s by itself. The machine may stand still so long, but hardly each time.
      let failed = 1;
      for (let tries = 0; failed && tries < 3; tries++) {
        const person = await gallery.painter();
        const all = await gallery.paintings(person, [{ hang: true }]);
        const child = gallery.spawn('--json', ...users(person));
        await until(() => images.count(all[0].code) === 1, { what: 'the image is asked for', ...soon });
        child.kill('SIGINT');
        const [code] = await Promise.all([child.ended, child.told]);
        const { summary } = JSON.parse(child.text);
        assert.deepEqual([code, summary.stopped], [1, true], child.text);
        failed = summary.failed;
        images.set(all[0].code, { body: drawing(1) });
        assert.equal((await gallery.publish(...users(person))).code, 0);
        await gallery.assertPublished(person, all);
      }
      assert.equal(failed, 0, 'it waited until the image had failed');
    });
  });

  describe('beside a running serve', () => {
    before(async () => {
      // FerretDB: the statements of all updates at a time must be fewer than 100, the mirror's among them.
      if (scene.mongo.kind === 'ferretdb') gallery.refkey.settings.REFKEY_MONGO_BATCH = '40';
      await gallery.refkey.start();
      await gallery.refkey.ready();
    });

    it('does the same, while the mirror links what it sees', async () => {
      const people = await Promise.all([gallery.painter(), gallery.painter()]);
      const all = await Promise.all(people.map((p) => gallery.paintings(p, Array.from({ length: 8 }, (_, i) => ({ body: drawing(i) })))));
      const { code, summary, shown } = await gallery.publish(...users(...people), '--batch-size', '3');
      assert.equal(code, 0, shown);
      assert.equal(summary.created + summary.linked, 16, shown);
      for (const [i, p] of people.entries()) {
        for (const r of await gallery.assertPublished(p, all[i])) await linked(gallery.refkey, r);
      }
      await settled(gallery.refkey);
      await assertChecks(gallery.refkey);
    });
  });
});

describe('publish paintings on a PDS with limits', () => {
  let gallery;

  before(async () => {
    gallery = await Gallery.start({ pds: { rateLimitsEnabled: true, rateLimitBypassKey: 'the-bypass-key' } });
  });
  after(() => gallery?.close());

  it('a thousand blobs a day: what was uploaded is published, the rest put off before it is refused', async () => {
    const { scene } = gallery;
    const person = await gallery.painter();
    const spent = 997;
    for (let i = 0; i < spent; i += 50) {
      const some = Array.from({ length: Math.min(50, spent - i) }, (_, k) =>
        person.agent.com.atproto.repo.uploadBlob(Buffer.from(`blob ${i + k}`), { encoding: 'text/plain' }),
      );
      await Promise.all(some);
    }
    const all = await gallery.paintings(person, Array.from({ length: 6 }, (_, i) => ({ body: drawing(i) })));
    const first = await gallery.publish('--max-wait', '1');
    assert.deepEqual([first.code, first.summary.created, first.summary.putOff, first.summary.failed], [1, 3, 3, 0], first.shown);
    assert.deepEqual(scene.proxy.requests.filter((r) => r.status === 429), []);
    assert.equal((await gallery.records(person)).length, 3);
    gallery.refkey.settings.REFKEY_PDS_BYPASS_KEY = 'the-bypass-key';
    const lifted = await gallery.publish('--max-wait', '1');
    assert.deepEqual([lifted.code, lifted.summary.created, lifted.summary.putOff], [0, 3, 0], lifted.shown);
    assert.equal((await gallery.assertPublished(person, all)).length, 6);
  });
});

// Pixels that no compression makes smaller, the same on every run.
function noise() {
  let state = 1;
  const next = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 24);
  return () => [next(), next(), next(), next()];
}
