// What every file here starts with: a network of its own (PLC, PDS, MongoDB, and a proxy where frames or
// requests are to go wrong), people on both sides, refkey between them; and the questions that tests ask
// of both sides.
//
//   const scene = await startScene({ proxy: true });
//   const [ada, bea] = await scene.people(2);
//   const refkey = await scene.refkey({ REFKEY_RECOVER: 'all' });
//   …
//   await scene.close();

import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { Secp256k1Keypair } from '@atproto/crypto';
import { Client } from '@did-plc/lib';
import { startMongo } from '../kit/mongo.mjs';
import { startNetwork } from '../kit/pds.mjs';
import { startProxy } from '../kit/proxy.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { MOOD, PAINTING } from '../kit/shapes.mjs';
import { patience, until } from '../kit/wait.mjs';

export const collections = [MOOD, PAINTING];

// Other builds may share the machine: generous, and an end all the same.
export const soon = { deadline: patience, every: 25 };

export class Scene {
  constructor() {
    this.ends = []; // to close, last first
    this.services = [];
    this.count = 0;
  }

  async #open({ mongo, proxy, pds }) {
    this.net = await startNetwork(pds);
    this.ends.push(() => this.net.stop());
    this.pds = this.net.pds;
    if (proxy) {
      this.proxy = await startProxy(this.pds.url);
      this.ends.push(() => this.proxy.close());
    }
    if (mongo) {
      this.mongo = await startMongo();
      this.ends.push(() => this.mongo.close());
    }
    return this;
  }

  static async start({ mongo = true, proxy = false, pds = {} } = {}) {
    const scene = new Scene();
    try {
      return await scene.#open({ mongo, proxy, pds });
    } catch (e) {
      await scene.close();
      throw e;
    }
  }

  // Everything is ended, whatever fails on the way; the first failure is the result.
  async close() {
    let failure;
    for (const service of this.services.reverse()) await service.close().catch((e) => (failure ??= e));
    for (const end of this.ends.reverse()) await Promise.resolve(end()).catch((e) => (failure ??= e));
    if (failure) throw failure;
  }

  get settings() {
    return {
      ...(this.mongo?.running && this.mongo.settings),
      REFKEY_PDS_URL: this.proxy?.url ?? this.pds.url,
      ...(this.proxy && { REFKEY_PDS_PUBLIC_URL: this.pds.url }),
      REFKEY_PLC_URL: this.net.plc.url,
    };
  }

  // Started and, unless ready is false, ready.
  async refkey(settings = {}, { ready = true, start = true } = {}) {
    const refkey = new Refkey({ ...this.settings, ...settings });
    this.services.push(refkey);
    if (start) await refkey.start();
    if (start && ready) await refkey.ready();
    return refkey;
  }

  // A user of the site with an account. user: its _id in MongoDB.
  async person(name = this.name(), user = `auth0|${name}`) {
    const account = await this.stranger(name);
    if (this.mongo) await this.mongo.user({ _id: user, handle: name, did: account.did });
    return { ...account, user, name };
  }

  // A person whose app password the site has; password: another one in its place.
  async writer({ user, password } = {}) {
    const person = await this.person(undefined, user);
    const { data } = await person.agent.com.atproto.server.createAppPassword({ name: 'site' });
    const writer = { ...person, appPassword: data.password };
    await this.storePassword(writer, password ?? writer.appPassword);
    return writer;
  }
  storePassword({ user }, password) {
    return this.mongo.users.updateOne({ _id: user }, { $set: { 'atproto.password': password } });
  }

  people(count) {
    return Promise.all(Array.from({ length: count }, () => this.person()));
  }

  // An account that no user of the site has.
  async stranger(name = this.name()) {
    return { ...(await this.pds.account(`${name}.test`)), name };
  }

  // The account's DID document says from now on that it lives at another PDS; that it signs with another key. The stream
  // is not told.
  async moves({ did }, url) {
    await this.#directory().updatePds(did, await this.#rotation(), url);
  }
  async signs({ did }, key) {
    await this.#directory().updateAtprotoKey(did, await this.#rotation(), key);
  }
  #directory() {
    return new Client(this.net.plc.url);
  }
  #rotation() {
    return Secp256k1Keypair.import(this.pds.config.plcRotationKeyK256PrivateKeyHex);
  }

  name() {
    return `user${this.count++}`;
  }

  documents(collection) {
    return collection === MOOD ? this.mongo.moods : this.mongo.paintings;
  }
}

export const startScene = (options) => Scene.start(options);

// Prints the end of refkey's log below a test that failed: for afterEach.
export function explain(t, ...services) {
  if (t.error || t.passed === false) {
    for (const refkey of services) if (refkey?.child) t.diagnostic(`the log ends with:\n${refkey.child.tail(25)}`);
  }
}

// A record key as clients make them, of now or of a time that lies `age` milliseconds back.
export function tid(age = 0) {
  const letters = '234567abcdefghijklmnopqrstuvwxyz';
  let value = (BigInt(Date.now() - age) * 1000n + BigInt(tids++ % 1000)) << 10n;
  let text = '';
  for (let i = 0; i < 13; i++, value >>= 5n) text = letters[Number(value & 31n)] + text;
  return text;
}
let tids = 0;

// What a PDS may do wrong with a deletion, by what is said of it: [what, the proxy's fault].
export const failingDeletes = Object.entries({
  'answers 500': { status: 500 },
  'answers 429': { status: 429, headers: { 'retry-after': '1' } },
  'resets': { reset: true },
  'deletes, and its answer is cut off': { truncate: 0 },
  'deletes, and never answers': { hold: true },
  'never answers': { hang: true },
  'is slow': { delay: 1500 },
});

// Settings of a PDS that has no account of ours, as the proxy's faults say, and that the index does not follow.
export function otherPds(scene) {
  for (const [method, error] of [['com.atproto.repo.listRecords', 'InvalidRequest'], ['com.atproto.sync.getRepoStatus', 'RepoNotFound']])
    scene.proxy.http({ status: 400, body: JSON.stringify({ error, message: 'Could not find repo' }) }, { method });
  return { REFKEY_PDS_URL: scene.proxy.url.replace('127.0.0.1', 'localhost') };
}

export const parts = (uri) => {
  const [, , repo, collection, rkey] = uri.split('/');
  return { repo, collection, rkey };
};

// The record view of what the PDS acknowledged, once it is in the index in this version.
export async function seen(refkey, { uri, cid }, options = soon) {
  const { body } = await refkey.until(
    'getByRkey',
    parts(uri),
    ({ status, body }) => status === 200 && body.cid === cid,
    options,
  );
  return body;
}

// … and once MongoDB was asked about it.
export async function judged(refkey, { uri, cid }, options = soon) {
  const fits = ({ status, body }) => status === 200 && body.cid === cid && body.linked !== undefined;
  const { body } = await refkey.until('getByRkey', parts(uri), fits, options);
  return body;
}

// Once the record is linked.
export async function linked(refkey, { uri, cid }, options = soon) {
  const fits = ({ status, body }) => status === 200 && body.cid === cid && body.linked === true;
  const { body } = await refkey.until('getByRkey', parts(uri), fits, options);
  return body;
}

// Once the index knows the account by its handle, which is verified when the PDS has told of it.
export const named = (refkey, { did, handle }, options = soon) =>
  refkey.until('getRepoStatus', { repo: handle }, ({ body }) => body.did === did, options);

// Once the index no longer answers with it.
export const unseen = (refkey, { uri }, options = soon) =>
  refkey.until('getByRkey', parts(uri), ({ body }) => body.error === 'RecordNotFound', options);

// Every event of an operation, as the running serve sends them.
export async function asked(refkey, request) {
  const socket = net.connect(path.join(refkey.dataDirectory, 'control.sock'));
  socket.write(`${JSON.stringify(request)}\n`);
  const chunks = await socket.toArray();
  return Buffer.concat(chunks).toString().trim().split('\n').map((line) => JSON.parse(line));
}

export async function status(refkey) {
  const answer = await refkey.xrpc('getStatus');
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}

// Once nothing is left to be fetched, and nothing to be done in MongoDB (without one, that waits).
export const settled = (refkey, options = soon) =>
  until(
    async () => {
      const { desynchronized, mongo } = await status(refkey);
      if (desynchronized || (refkey.settings.REFKEY_MONGO_URI && mongo.pending))
        throw new Error(JSON.stringify({ desynchronized, mongo }));
      return true;
    },
    { what: 'nothing pending', ...options },
  );

// { kind: count } as `refkey status` tells them.
export async function issues(refkey) {
  const { stdout, stderr } = await refkey.run(['status', '--json']);
  assert.notEqual(stdout, '', stderr);
  return Object.fromEntries(JSON.parse(stdout).issues.map(({ kind, count }) => [kind, count]));
}

// { 'refkey_frames_total': 3, 'refkey_refused_total{reason="frame_body"}': 0, … }
export async function metrics(refkey) {
  const { status, body } = await refkey.get('/metrics');
  assert.equal(status, 200);
  const lines = body.split('\n').filter((line) => line && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => line.match(/^(.*) (\S+)$/).slice(1)).map(([name, n]) => [name, Number(n)]),
  );
}

// Every record of a query, page by page.
export async function listAll(refkey, params) {
  const all = [];
  let cursor;
  do {
    const { status, body } = await refkey.xrpc('listRecords', { limit: 100, ...params, cursor });
    if (body.error === 'RepoNotFound') return all;
    assert.equal(status, 200, JSON.stringify(body));
    all.push(...body.records);
    cursor = body.cursor;
  } while (cursor);
  return all;
}

const byUri = (records) =>
  Object.fromEntries(records.map(({ uri, cid, value }) => [uri, { cid, value }]).sort(([a], [b]) => (a < b ? -1 : 1)));

// What the PDS has of these repos and what refkey lists of them are the same, forwards and backwards.
export async function assertIndexEqualsPds(refkey, pds, dids) {
  for (const repo of dids) {
    for (const collection of collections) {
      const theirs = byUri(await pds.listRecordsAll(repo, collection));
      const ours = await listAll(refkey, { repo, collection });
      assert.equal(new Set(ours.map((r) => r.uri)).size, ours.length, 'a record is listed twice');
      assert.deepEqual(byUri(ours), theirs, `${collection} of ${repo}`);
      const back = await listAll(refkey, { repo, collection, reverse: true });
      assert.deepEqual(byUri(back), theirs, `${collection} of ${repo}, oldest first`);
    }
  }
}

export const untilIndexEqualsPds = (refkey, pds, dids, { deadline = patience } = {}) =>
  until(() => assertIndexEqualsPds(refkey, pds, dids).then(() => true), {
    deadline,
    every: 250,
    what: 'the index equals the PDS',
  });

// `refkey check` finds nothing. Runs beside a serve as well as alone.
export async function assertChecks(refkey) {
  const { code, stdout, stderr } = await refkey.run(['check', '--json']);
  assert.equal(code, 0, `refkey check: ${stdout}${stderr}`);
  assert.deepEqual(JSON.parse(stdout).findings, []);
}

// An answer that must be an error of the contract: its status, its name (undefined: any), and a message
// that says what about.
export async function refusal(refkey, pathAndQuery, code, error, message = /./, options) {
  const answer = await refkey.get(pathAndQuery, options);
  const shown = `${pathAndQuery.slice(0, 200)}: ${answer.status} ${JSON.stringify(answer.body)}`;
  assert.equal(answer.status, code, shown);
  assert.deepEqual(Object.keys(answer.body), ['error', 'message'], shown);
  if (error) assert.equal(answer.body.error, error, shown);
  assert.match(answer.body.message, message, shown);
  assert.equal(answer.headers.get('access-control-allow-origin'), '*', shown);
  return answer;
}
