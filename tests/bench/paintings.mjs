// `refkey publish paintings`, from its start to its end, against what the PDS takes at best: bare uploadBlob and
// applyWrites, over eight connections, of the same thumbnails, which are ready made there and have to
// be fetched and scaled here. In turn, each with repos of its own. The bare run is made twice, as in
// publish.mjs: with accounts that are logged in already, and logging each of them in first. And the memory that
// it takes of images as large as they may be.

import { Agent, request } from 'node:http';
import { startImages, drawing, png } from '../kit/images.mjs';
import { startMongo } from '../kit/mongo.mjs';
import { startNetwork } from '../kit/pds.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { PAINTING, paintingDocument, paintingRecord } from '../kit/shapes.mjs';
import { median } from './table.mjs';
import { costRows, costs, peakAnonymousBytes } from './tools.mjs';

const rounds = 3;
const paintings = 300;
const users = 30;
const each = paintings / users;
const sides = [256, 512, 800, 1600]; // pixels of an image; what is no larger than 512 is not scaled
const large = { count: 12, side: 9000 }; // 81 megapixels, of 100 that are taken
const connections = 8; // of the bare run; publish has sixteen users in hand, half of whom may log in at once
const json = 'application/json';

export async function publishPaintings({ table, note }) {
  const net = await startNetwork();
  const mongo = await startMongo();
  const images = await startImages();
  const { pds } = net;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const refkey = new Refkey({
    ...mongo.settings,
    REFKEY_PDS_URL: pds.url,
    REFKEY_PLC_URL: net.plc.url,
    REFKEY_TEST_IMAGES: images.url,
  });
  let count = 0;
  try {
    // Publishing alone is measured; the index that it asks for is empty.
    await refkey.start();
    await refkey.ready({ deadline: 60_000 });
    await refkey.stop();
    for (const side of sides) await measured(side);
    note('publish paintings, memory');
    const body = png(large.side, large.side);
    const [one] = await people(1);
    await documents([one], Array(large.count).fill(body));
    const most = await peakAnonymousBytes(['refkey', 'refkey-thumbnail'], () => published(large.count));
    table.limit(`own memory with images of ${large.side} x ${large.side}`, most / 1e6, 'MB', 256);
  } finally {
    agent.destroy();
    await refkey.close();
    await images.close();
    await mongo.close();
    await net.stop();
  }

  async function measured(side) {
    const bodies = Array.from({ length: each }, (_, i) => drawing(i, side));
    const [ours, ready, all, cost, bareCost] = [[], [], [], [], []];
    let thumbnails;
    for (let round = 0; round < rounds; round++) {
      note(`publish paintings, images of ${side} x ${side}, round ${round + 1} of ${rounds}`);
      const some = await people(users);
      await documents(some, bodies);
      cost.push(await costs({ pds, mongo }, paintings, () => published(paintings)));
      ours.push(paintings / cost.at(-1).value);
      thumbnails ??= await thumbnailsOf(some[0]);
      const closed = await people(users);
      bareCost.push(await costs({ pds, mongo }, paintings, () => bare(closed, thumbnails, true)));
      all.push(paintings / bareCost.at(-1).value);
      ready.push(paintings / (await bare(await people(users), thumbnails, false)));
    }
    const unit = 'paintings/s';
    const what = `publish ${paintings} paintings of ${users} users, images of ${side} x ${side}`;
    const peer = 'bare logins, uploadBlob and applyWrites';
    table.peer(what, { unit, ours, theirs: all, peer, least: 0.8 });
    table.peer('  accounts logged in already', { unit, ours, theirs: ready, peer: 'bare uploadBlob and applyWrites' });
    costRows(table, 'painting', { ours: cost, theirs: bareCost, peer });
    table.plain('  time', paintings / median(ours), 's', `${paintings} s at one record a second`);
  }

  async function people(many) {
    const all = [];
    for (let i = 0; i < many; i++) {
      const name = `user${count++}`;
      const account = await pds.account(`${name}.test`);
      const { data } = await account.agent.com.atproto.server.createAppPassword({ name: 'site' });
      const user = await mongo.user({ _id: `auth0|${name}`, handle: name, did: account.did, password: data.password });
      all.push({ did: account.did, token: account.agent.session.accessJwt, password: data.password, user });
    }
    return all;
  }

  function document(user, i) {
    const n = count++;
    return paintingDocument({ user, code: `c${n}`, slug: `painting-${n}`, when: new Date(Date.now() - 1000 * i) });
  }

  // New paintings in MongoDB, and their images; those of before are gone.
  async function documents(some, bodies) {
    const all = some.flatMap(({ user }) => bodies.map((body, i) => [document(user, i), body]));
    for (const [d, body] of all) images.set(d.code, { body });
    await mongo.paintings.deleteMany({});
    await mongo.paintings.insertMany(all.map(([d]) => d));
  }

  // Seconds of the whole command, with so many documents there.
  async function published(count) {
    const began = performance.now();
    const { code, stdout, stderr } = await refkey.run(['publish', 'paintings', '--json'], { deadline: 1_800_000 });
    const seconds = (performance.now() - began) / 1000;
    if (code !== 0 || JSON.parse(stdout).summary.created !== count) throw new Error(`publish ended with ${code}: ${stderr}`);
    return seconds;
  }

  async function thumbnailsOf({ did }) {
    const records = await pds.listRecordsAll(did, PAINTING);
    return Promise.all(
      records.map(async ({ value: { thumbnail } }) => {
        const query = new URLSearchParams({ did, cid: thumbnail.ref.$link ?? String(thumbnail.ref) });
        const res = await fetch(`${pds.url}/xrpc/com.atproto.sync.getBlob?${query}`);
        return { bytes: Buffer.from(await res.arrayBuffer()), type: thumbnail.mimeType };
      }),
    );
  }

  // Seconds.
  async function bare(some, thumbnails, login) {
    const left = [...some];
    const began = performance.now();
    const work = async () => {
      for (let one = left.pop(); one; one = left.pop()) {
        const writes = [];
        const identity = JSON.stringify({ identifier: one.did, password: one.password });
        const token = login ? (await post('server.createSession', undefined, Buffer.from(identity), json)).accessJwt : one.token;
        for (const [i, { bytes, type }] of thumbnails.entries()) {
          const { blob } = await post('repo.uploadBlob', token, bytes, type);
          const d = document(one.user, i);
          const value = { $type: PAINTING, ...paintingRecord({ ...d, ref: d._id }), thumbnail: blob };
          writes.push({ $type: 'com.atproto.repo.applyWrites#create', collection: PAINTING, value });
        }
        await post('repo.applyWrites', token, Buffer.from(JSON.stringify({ repo: one.did, writes })), json);
      }
    };
    await Promise.all(Array.from({ length: connections }, work));
    return (performance.now() - began) / 1000;
  }

  function post(method, token, body, type) {
    const headers = { ...(token && { authorization: `Bearer ${token}` }), 'content-type': type, 'content-length': body.length };
    return new Promise((resolve, reject) => {
      const req = request(`${pds.url}/xrpc/com.atproto.${method}`, { method: 'POST', agent, headers }, async (res) => {
        const text = Buffer.concat(await res.toArray()).toString();
        if (res.statusCode !== 200) return reject(new Error(`${method}: ${res.statusCode} ${text}`));
        return resolve(JSON.parse(text));
      });
      req.on('error', reject);
      req.end(body);
    });
  }
}
